"""What one worker sees of targets the others believe too; without Redis each goes by itself."""

import time
from collections.abc import AsyncIterator, Callable, Iterator

import msgspec
import pytest

from gateway.domain.rest import Resilience
from gateway.domain.target import Target
from gateway.relay import hearsay as hearsay_module
from gateway.relay.hearsay import SILENT_S, Hearsay
from gateway.relay.standing import MAX_UNTOLD, Standing
from gateway.routing.told import Told
from gateway.state.resp import RespClient
from gateway.state.rests import Rests
from gateway.state.views import Views
from tests.gateway.state.conftest import until
from tests.support.catalogs import target
from tests.support.real_valkey import RealValkey

A, B = target("a"), target("b")


class Worker:
    """One worker's beliefs and its place in the exchange."""

    def __init__(self, redis: RespClient, name: str) -> None:
        self.redis = redis
        self.standing = Standing(Rests(redis, name, time.monotonic, Resilience, lambda: 0.5))
        self.late_s = 0.0
        self.hearsay = Hearsay(self.standing, Views(redis, name), lambda: time.monotonic() + self.late_s)

    async def exchange(self) -> None:
        await self.hearsay.exchange()

    def open(self, one: Target) -> int:
        speed = self.standing.speed(one.connection, one.model)
        return speed.open if speed else 0

    def ttft_ms(self, one: Target) -> float | None:
        speed = self.standing.speed(one.connection, one.model)
        return speed.ttft_ms if speed else None

    def ask(self, one: Target, first_s: float = 0.1) -> None:
        """A whole request."""
        self.standing.begun(one)
        self.standing.answered(one, first_s, 0.0, 0)
        self.standing.ended(one)


@pytest.fixture
def valkey() -> Iterator[RealValkey]:
    with RealValkey() as server:
        yield server


@pytest.fixture
async def workers(valkey: RealValkey) -> AsyncIterator[list[Worker]]:
    clients = [RespClient(valkey.url, budget_s=5.0) for _ in range(3)]
    for client in clients:
        client.start()
    await until(lambda: all(client.is_up for client in clients))
    yield [Worker(client, f"w{number}") for number, client in enumerate(clients)]
    for client in clients:
        await client.close()


async def exchange(*workers: Worker) -> None:
    """Twice, so that all have heard all."""
    for worker in (*workers, *workers):
        await worker.exchange()


async def test_a_peak_that_one_worker_saw_counts_at_once_for_all(workers: list[Worker]) -> None:
    one, two, _ = workers
    one.ask(A, 0.1), two.ask(A, 0.1)
    await exchange(one, two)
    one.ask(A, 3.0)
    await exchange(one, two)
    assert one.ttft_ms(A) == pytest.approx(3000)
    assert two.ttft_ms(A) == pytest.approx(3000, rel=0.02)


async def test_a_peak_does_not_go_round_for_ever(workers: list[Worker]) -> None:
    one, two, _ = workers
    for worker in workers:
        worker.ask(B, 0.1)
    one.ask(A, 3.0)
    for _ in range(5):
        await exchange(*workers)
    told = [told for worker in workers for told in worker.standing.take_untold(100, time.monotonic())]
    assert told == [], "what was heard is not told again"
    asked_at = one.standing.speed(A.connection, A.model)
    heard_at = two.standing.speed(A.connection, A.model)
    assert asked_at is not None
    assert heard_at is not None
    assert heard_at.at == pytest.approx(asked_at.at, abs=0.1), "hearing of it again does not make it newer"


async def test_time_per_token_is_shared_too(workers: list[Worker]) -> None:
    one, two, _ = workers
    two.ask(B)
    one.standing.begun(A)
    one.standing.answered(A, 0.2, 0.0, 0)
    one.standing.answered(A, 0.2, 5.0, 100)
    one.standing.ended(A)
    await exchange(one, two)
    speed = two.standing.speed(A.connection, A.model)
    assert speed is not None
    assert (speed.ttft_ms, speed.per_token_ms) == (pytest.approx(200, rel=0.02), pytest.approx(50, rel=0.02))


async def test_the_end_of_a_long_answer_does_not_tell_its_first_byte_again() -> None:
    worker = Worker(RespClient("unix:///tmp/no-such-server.sock"), "w")
    worker.ask(A, 0.1)
    worker.standing.answered(A, 9.0, 60.0, 100)
    assert worker.ttft_ms(A) == pytest.approx(100)


async def test_uses_of_all_workers_are_counted(workers: list[Worker]) -> None:
    for worker, times in zip(workers, (3, 2, 1), strict=True):
        for _ in range(times):
            worker.ask(A)
    await exchange(*workers)
    assert [worker.standing.uses(A.connection) for worker in workers] == [6, 6, 6]
    assert [worker.standing.model_uses(A.connection.provider, A.model) for worker in workers] == [6, 6, 6]


async def test_open_requests_of_all_workers_are_counted_until_they_end(workers: list[Worker]) -> None:
    one, two, _ = workers
    for worker in workers:
        worker.standing.begun(A)
    two.standing.begun(A)
    await exchange(*workers)
    assert [worker.open(A) for worker in workers] == [4, 4, 4]
    one.standing.ended(A), two.standing.ended(A)
    await exchange(*workers)
    assert [worker.open(A) for worker in workers] == [2, 2, 2]


async def test_open_requests_of_a_worker_that_has_died_are_forgotten(workers: list[Worker]) -> None:
    one, two, _ = workers
    one.standing.begun(A), two.standing.begun(A)
    await exchange(one, two)
    assert two.open(A) == 2
    two.late_s = SILENT_S + 0.1
    await two.exchange()
    assert two.open(A) == 1, "its own"


async def test_a_worker_with_open_requests_is_not_taken_for_dead(workers: list[Worker]) -> None:
    one, two, _ = workers
    one.standing.begun(A), two.standing.begun(B)
    await exchange(one, two)
    one.late_s = 2.0  # nothing is new, but it says that it lives
    await one.exchange()
    two.late_s = SILENT_S - 0.5
    await two.exchange()
    assert two.open(A) == 1


async def test_after_a_lost_message_open_requests_are_those_told_since(workers: list[Worker]) -> None:
    one, two, _ = workers
    one.standing.begun(A), one.standing.begun(B), two.standing.begun(B)
    await exchange(one, two)
    one.standing.ended(A)
    one.standing.take_untold(100, time.monotonic())
    one.hearsay._number += 1  # what a message that never arrives leaves behind
    one.standing.begun(B)
    await exchange(one, two)
    assert (two.open(A), two.open(B)) == (0, 3)


async def test_a_worker_that_comes_late_learns_what_was_told_lately(workers: list[Worker]) -> None:
    one, late, _ = workers
    one.ask(A, 2.0)
    await one.exchange()
    late.ask(B)
    await late.exchange()
    assert late.ttft_ms(A) == pytest.approx(2000, rel=0.05)


async def test_without_redis_a_worker_goes_by_itself_and_catches_up(workers: list[Worker], valkey: RealValkey) -> None:
    one, two, _ = workers
    two.ask(B)
    valkey.kill()
    await until(lambda: not one.redis.is_up and not two.redis.is_up, 5.0)
    one.ask(A, 1.0)
    await exchange(one, two)
    assert (one.ttft_ms(A), two.ttft_ms(A)) == (pytest.approx(1000), None)
    valkey.start()
    await until(lambda: one.redis.is_up and two.redis.is_up, 5.0)
    one.ask(A, 1.5)
    await exchange(one, two)
    assert two.ttft_ms(A) == pytest.approx(1500, rel=0.02)


async def test_a_worker_without_a_choice_to_make_neither_tells_nor_listens(
    workers: list[Worker], valkey: RealValkey, count: "Callable[[], int]"
) -> None:
    one, idle, _ = workers
    one.ask(A)
    await one.exchange()
    before = count()
    await idle.exchange()
    assert count() == before
    assert idle.standing.heard_of == 0


@pytest.fixture
def count(valkey: RealValkey) -> Callable[[], int]:
    """Scripts that the server was asked to run."""

    def asked() -> int:
        with valkey.client() as client:
            stats = client.info("commandstats")
        return sum(int(stats.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in ("eval", "evalsha"))

    return asked


async def test_many_changes_are_told_bit_by_bit(workers: list[Worker]) -> None:
    one, two, _ = workers
    two.ask(B)
    many = [target(f"c{number}") for number in range(hearsay_module.MAX_TOLD * 2 + 50)]
    for each in many:
        one.ask(each)
    for _ in range(3):
        await one.exchange()
    await two.exchange()
    assert one.standing.untold == 0
    assert all(two.ttft_ms(each) is not None for each in many)


async def test_what_waits_to_be_told_is_bounded() -> None:
    worker = Worker(RespClient("unix:///tmp/no-such-server.sock"), "w")
    for number in range(MAX_UNTOLD + 100):
        worker.ask(target(f"c{number}"))
    assert worker.standing.untold == MAX_UNTOLD


async def test_what_cannot_be_read_is_passed_over(workers: list[Worker]) -> None:
    one, two, _ = workers
    two.ask(B)
    await Views(one.redis, "newer").exchange(b"\x81\xa1x\x01")
    await Views(one.redis, "strange").exchange(msgspec.msgpack.encode((1, [("id", "p", "m", -5, 0, None, 0, None, 0)])))
    one.ask(A, 2.0)
    await exchange(one, two)
    assert two.ttft_ms(A) is not None


def test_told_says_what_is_open_now() -> None:
    worker = Worker(RespClient("unix:///tmp/no-such-server.sock"), "w")
    worker.standing.begun(A)
    worker.standing.begun(A)
    [told] = worker.standing.take_untold(10, time.monotonic())
    assert (told.open, told.uses) == (2, 2)
    assert isinstance(told, Told)
