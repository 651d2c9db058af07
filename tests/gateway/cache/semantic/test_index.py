"""Questions with a kept answer, known to all workers through a real cache store, and bounded."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import msgspec
import pytest

from gateway.cache.semantic.index import MAX_SCOPES, Index
from gateway.cache.semantic.question import Question
from gateway.cache.semantic.reading import read
from gateway.cache.semantic.vectors import Vector, packed
from gateway.state import keys
from gateway.state.resp import RespClient
from gateway.telemetry.metrics import Metrics
from tests.support.embedding_server import hashed_vector
from tests.support.real_valkey import RealValkey


@pytest.fixture
def server() -> Iterator[RealValkey]:
    with RealValkey() as server:
        yield server


@pytest.fixture
async def make(server: RealValkey) -> AsyncIterator[Callable[[], "Worker"]]:
    workers: list[Worker] = []

    def make() -> Worker:
        workers.append(Worker(server.url))
        return workers[-1]

    yield make
    for worker in workers:
        await worker.redis.close()


class Worker:
    """An index with a connection of its own."""

    def __init__(self, url: str) -> None:
        self.redis = RespClient(url, budget_s=2.0)
        self.redis.start()
        self.metrics = Metrics()
        self.generation = "1"
        self.index = Index(self.redis, self.metrics, lambda: self.generation)

    async def up(self) -> "Worker":
        async with asyncio.timeout(5):
            while not self.redis.is_up:
                await asyncio.sleep(0.002)
        return self

    async def tell(self, text: str, answer: str, *, scope: str = "s", most: int = 8, ttl_s: float = 60.0) -> None:
        self.index.add(*asked(text, scope), answer, most=most, ttl_s=ttl_s)
        await self.redis.call("PING")

    async def find(self, text: str, *, scope: str = "s", most: int = 8) -> list[str]:
        await self.index.refresh(scope, most)
        return [known.answer for _, known in self.index.near(*asked(text, scope), 4)]


def asked(text: str, scope: str) -> tuple[Question, Vector]:
    reading, vector = read(text), packed(hashed_vector(text))
    assert reading is not None
    assert vector is not None
    return Question(scope, text, reading), vector


Make = Callable[[], Worker]


async def test_what_one_worker_tells_another_one_finds_at_once(make: Make) -> None:
    one, other = await make().up(), await make().up()
    assert await other.find("What is the capital of France?") == []
    await one.tell("What is the capital of France?", "a1")
    assert await other.find("Tell me the capital of France.") == ["a1"]
    await one.tell("What is the capital of Spain?", "a2")
    assert sorted(await other.find("Tell me the capital of Spain.")) == ["a1", "a2"]


async def test_nothing_is_found_in_another_scope(make: Make) -> None:
    one = await make().up()
    await one.tell("What is the capital of France?", "a1", scope="s")
    assert await one.find("What is the capital of France?", scope="t") == []


async def test_of_a_scope_the_latest_are_kept_in_the_store_and_here(make: Make, server: RealValkey) -> None:
    one, other = await make().up(), await make().up()
    await one.find("What?")
    for number in range(20):
        await one.tell(f"What is {number} plus 1?", f"a{number}", most=4)
        await other.find("What?", most=4)
    assert len(await other.find("What is 3 plus 1?", most=4)) == 4
    assert len(other.index) == 4
    with server.client() as client:
        assert client.xlen(keys.questions("1", "s")) == 4
    assert sorted(await (await make().up()).find("What is 3 plus 1?", most=4)) == ["a16", "a17", "a18", "a19"]


async def test_what_a_worker_remembers_is_bounded_by_scopes(make: Make) -> None:
    one = await make().up()
    for number in range(MAX_SCOPES + 10):
        await one.tell("What is it?", "a", scope=f"s{number}")
        await one.find("What is it?", scope=f"s{number}")
    assert len(one.index) == MAX_SCOPES
    assert await one.find("What is it?", scope="s0") == ["a"]


async def test_the_same_answer_told_twice_is_one_question(make: Make) -> None:
    one = await make().up()
    for _ in range(3):
        await one.tell("What is the capital of France?", "a1")
        assert await one.find("What is the capital of France?") == ["a1"]
    assert len(one.index) == 1


async def test_after_all_was_forgotten_nothing_is_found(make: Make) -> None:
    one = await make().up()
    await one.tell("What is the capital of France?", "a1")
    one.generation = "2"
    assert await one.find("What is the capital of France?") == []


async def test_a_question_whose_answer_is_gone_is_forgotten(make: Make) -> None:
    one = await make().up()
    await one.tell("What is the capital of France?", "a1")
    await one.find("What is the capital of France?")
    question, vector = asked("What is the capital of France?", "s")
    [(_, known)] = one.index.near(question, vector, 4)
    one.index.forget(question, known)
    one.index.forget(question, known)
    assert one.index.near(question, vector, 4) == []
    assert len(one.index) == 0


async def test_a_scope_ends_with_its_latest_answer(make: Make, server: RealValkey) -> None:
    one = await make().up()
    await one.tell("What is the capital of France?", "a1", ttl_s=60.0)
    with server.client() as client:
        left_ms = client.pttl(keys.questions("1", "s"))
    assert 50_000 < left_ms <= 60_000


async def test_what_another_version_wrote_is_passed_over(make: Make, server: RealValkey) -> None:
    one = await make().up()
    with server.client() as client:
        client.xadd(keys.questions("1", "s"), {"q": b"\x93not ours"})
        client.xadd(keys.questions("1", "s"), {"q": msgspec.msgpack.encode([1, 2]), "r": b""})
    await one.tell("What is the capital of France?", "a1")
    assert await one.find("What is the capital of France?") == ["a1"]


async def test_a_store_that_holds_something_else_there_is_a_miss(make: Make, server: RealValkey) -> None:
    one = await make().up()
    with server.client() as client:
        client.set(keys.questions("1", "s"), "x")
    await one.tell("What is the capital of France?", "a1")
    assert await one.find("What is the capital of France?") == []
    assert one.metrics.cache_failures.pending[("questions",)] >= 2
    assert one.index.unsent == 0


async def test_a_store_that_is_gone_is_a_miss_and_comes_back_empty(make: Make, server: RealValkey) -> None:
    one = await make().up()
    await one.tell("What is the capital of France?", "a1")
    server.kill()
    assert await one.find("What is the capital of France?") == []
    one.index.add(*asked("What is the capital of Spain?", "s"), "a2", most=8, ttl_s=60)
    server.start()
    await one.up()
    assert await one.find("What is the capital of France?") == []
    await one.tell("What is the capital of France?", "a3")
    assert await one.find("What is the capital of France?") == ["a3"]


async def test_without_a_store_there_is_nothing_to_find() -> None:
    index = Index(None, Metrics(), lambda: "1")
    question, vector = asked("What is the capital of France?", "s")
    index.add(question, vector, "a1", most=8, ttl_s=60)
    await index.refresh("s", 8)
    assert index.near(question, vector, 4) == []
