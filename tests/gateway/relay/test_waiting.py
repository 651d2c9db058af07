"""Waiting for a slot: in order of arrival, bounded in number and time, one at a time at Redis, left cleanly."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from gateway.domain.target import Connection
from gateway.domain.waiting import Waiting
from gateway.relay.waiting import SlotLines
from gateway.state.resp import RespClient
from gateway.state.slots import FREE, NoSlot, Slot, Slots
from tests.support.real_valkey import RealValkey


def connection(name: str = "c", **limits: Any) -> Connection:
    return Connection(
        id=name, name=name, provider="p", prefix="p", dialect="openai_chat", paths={}, headers=(), **limits
    )


class Bench:
    """The lines of one worker, on its own limits (no Redis) or on a server; `given` are hold ids in order."""

    def __init__(self, redis: RespClient | None = None, **settings: Any) -> None:
        self.settings = Waiting(**settings)
        self.slots = Slots(redis or RespClient("unix:///tmp/no-such-server.sock"), "w", lambda: self.settings)
        self.lines = SlotLines(self.slots, lambda: self.settings)
        self.given: list[str] = []

    async def run(self, where: Connection, name: str, open_s: float = 0.0) -> Slot | NoSlot:
        taken = await self.lines.take(where, name)
        if isinstance(taken, Slot):
            self.given.append(name)
            await asyncio.sleep(open_s)
            self.lines.leave(taken)
        return taken

    def start(self, where: Connection, count: int, open_s: float = 0.0) -> list[asyncio.Task[Slot | NoSlot]]:
        return [asyncio.create_task(self.run(where, f"r{n:03}", open_s)) for n in range(count)]

    def assert_idle(self) -> None:
        assert (self.lines.waiting, self.lines.lines, self.slots.open) == (0, 0, 0)


@pytest.fixture(scope="module")
def valkey() -> Iterator[RealValkey]:
    with RealValkey() as server:
        yield server


@pytest.fixture
async def client(valkey: RealValkey) -> AsyncIterator[RespClient]:
    with valkey.client() as sync:
        sync.flushall()
    made = RespClient(valkey.url, budget_s=5.0)
    made.start()
    while not made.is_up:
        await asyncio.sleep(0.002)
    yield made
    await made.close()


async def test_a_connection_without_limits_waits_for_nothing() -> None:
    bench = Bench()
    assert await bench.lines.take(connection(), "a") is FREE
    bench.lines.leave(FREE)
    bench.assert_idle()


@pytest.mark.parametrize("on_redis", [False, True])
async def test_slots_go_out_in_order_of_arrival(client: RespClient, on_redis: bool) -> None:
    bench = Bench(client if on_redis else None)
    tasks = bench.start(connection(max_concurrency=2), 40, open_s=0.002)
    await asyncio.gather(*tasks)
    assert bench.given == sorted(bench.given)
    assert len(bench.given) == 40
    bench.assert_idle()


async def test_nobody_overtakes_the_line(client: RespClient) -> None:
    bench, where = Bench(client), connection(max_concurrency=1)
    first = await bench.lines.take(where, "first")
    assert isinstance(first, Slot)
    old = bench.start(where, 3)
    await asyncio.sleep(0.02)
    bench.lines.leave(first)
    new = asyncio.create_task(bench.run(where, "new"))
    await asyncio.gather(*old, new)
    assert bench.given == ["r000", "r001", "r002", "new"]


async def test_starts_come_when_the_gap_is_over(client: RespClient) -> None:
    bench, started_at = Bench(client), time.monotonic()
    await asyncio.gather(*bench.start(connection(min_gap_ms=30), 8))
    assert time.monotonic() - started_at >= 0.21
    assert bench.given == sorted(bench.given)


async def test_a_slot_freed_in_another_worker_is_found(client: RespClient) -> None:
    where, here, there = connection(max_concurrency=1), Bench(client), Slots(client, "other", Waiting)
    taken = await there.take(where, "x")
    assert isinstance(taken, Slot)
    waiting = here.start(where, 2)
    await asyncio.sleep(0.05)
    there.leave(taken)
    await asyncio.wait_for(asyncio.gather(*waiting), 0.5)


async def test_one_of_the_line_asks_redis_at_a_time(client: RespClient, valkey: RealValkey) -> None:
    bench, where = Bench(client, max_wait_s=0.35), connection(max_concurrency=1)
    first = await bench.lines.take(where, "first")
    waiting = bench.start(where, 50)
    await asyncio.sleep(0.03)
    with valkey.client() as sync:
        sync.config_resetstat()
        answers = await asyncio.gather(*waiting)
        asked = sync.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]
    assert asked <= 4, "a look every 0.1 s, by whoever stands first"
    assert {answer.reason for answer in answers if isinstance(answer, NoSlot)} == {"waited"}
    assert isinstance(first, Slot)
    bench.lines.leave(first)
    bench.assert_idle()


async def test_a_full_line_sends_on_to_the_next_target_at_once() -> None:
    bench, where = Bench(max_waiting=3), connection(max_concurrency=1)
    first = await bench.lines.take(where, "first")
    tasks = bench.start(where, 5)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [task.result() for task in tasks if task.done()] == [NoSlot("queue_full")] * 2
    assert bench.lines.waiting == 3
    assert isinstance(first, Slot)
    bench.lines.leave(first)
    await asyncio.gather(*tasks)
    assert bench.given == ["r000", "r001", "r002"]
    bench.assert_idle()


async def test_waiting_ends_in_time() -> None:
    bench, where = Bench(max_wait_s=0.1), connection(max_concurrency=1)
    first = await bench.lines.take(where, "first")
    started_at = time.monotonic()
    assert await asyncio.gather(*bench.start(where, 5)) == [NoSlot("waited")] * 5
    assert time.monotonic() - started_at >= 0.1
    assert await bench.lines.take(where, "brief", within_s=0.02) == NoSlot("waited")
    assert await bench.lines.take(where, "hasty", within_s=0) == NoSlot("concurrency")
    assert isinstance(first, Slot)
    bench.lines.leave(first)
    bench.assert_idle()


async def test_who_would_wait_in_vain_does_not_wait() -> None:
    bench, where = Bench(max_wait_s=30.0), connection(min_gap_ms=60_000)
    await bench.run(where, "first")
    started_at = time.monotonic()
    answer = await bench.lines.take(where, "second")
    assert isinstance(answer, NoSlot)
    assert answer.reason == "gap"
    assert 30 < (answer.wait_s or 0) <= 60
    assert time.monotonic() - started_at < 20
    bench.assert_idle()


async def test_those_behind_go_when_the_first_learns_that_it_takes_too_long() -> None:
    bench, where = Bench(max_wait_s=2.5), connection(min_gap_ms=1500)
    await bench.run(where, "first")
    started_at = time.monotonic()
    answers = await asyncio.gather(*bench.start(where, 4))
    assert [isinstance(answer, Slot) for answer in answers] == [True, False, False, False]
    assert time.monotonic() - started_at < 2.3, "not the whole time: the next start is after their time"
    bench.assert_idle()


@pytest.mark.parametrize("how", ["cancelled", "told"])
async def test_a_caller_that_leaves_frees_its_place(client: RespClient, how: str) -> None:
    bench, where = Bench(client), connection(max_concurrency=1)
    first = await bench.lines.take(where, "first")
    tasks = bench.start(where, 4)
    await asyncio.sleep(0.02)
    for index in (0, 2):
        if how == "cancelled":
            tasks[index].cancel()
        else:
            bench.lines.caller_left(f"r{index:03}")
    await asyncio.sleep(0)
    assert isinstance(first, Slot)
    bench.lines.leave(first)
    for index in (0, 2):
        with contextlib.suppress(asyncio.CancelledError):
            assert await tasks[index] == NoSlot("left")
    await asyncio.gather(tasks[1], tasks[3])
    assert bench.given == ["r001", "r003"]
    bench.assert_idle()


@pytest.mark.parametrize("how", ["cancelled", "told"])
async def test_one_that_leaves_while_it_asks_hands_its_turn_on(client: RespClient, how: str) -> None:
    bench, where = Bench(client), connection(max_concurrency=1)
    first = await bench.lines.take(where, "first")
    tasks = bench.start(where, 2)
    await asyncio.sleep(0.02)
    assert isinstance(first, Slot)
    bench.lines.leave(first)
    await asyncio.sleep(0)  # r000 has its turn
    await asyncio.sleep(0)  # and has asked
    if how == "cancelled":
        tasks[0].cancel()
    else:
        bench.lines.caller_left("r000")
    await asyncio.wait_for(tasks[1], 20)
    assert bench.given == ["r001"]
    bench.assert_idle()


async def test_lines_of_different_connections_do_not_meet() -> None:
    bench = Bench(max_wait_s=0.3)
    held = await bench.lines.take(connection("full", max_concurrency=1), "first")
    stuck = asyncio.create_task(bench.run(connection("full", max_concurrency=1), "stuck"))
    await asyncio.gather(*bench.start(connection("paced", min_gap_ms=10), 10))
    assert not stuck.done()
    assert await stuck == NoSlot("waited")
    assert isinstance(held, Slot)


async def test_one_timer_and_few_events_serve_any_number() -> None:
    bench, where = Bench(max_waiting=1_000), connection(max_concurrency=4)
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, bench.lines.events)
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    for _ in range(5):
        await asyncio.gather(*bench.start(where, 500))
    watching.cancel()
    assert 0 < most <= 100 + 4 * 500
    bench.assert_idle()
