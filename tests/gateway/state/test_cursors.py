"""Tickets of a round-robin: each given to one worker alone, in order, without a wait."""

import asyncio
import time
from collections import Counter
from typing import Any

from redis import Redis

from gateway.state import keys
from gateway.state.cursors import MAX_CURSORS, RUNS_A_BLOCK, Cursors
from gateway.state.resp import RespClient
from tests.gateway.state.conftest import until
from tests.support.real_valkey import RealValkey


async def cursors_of(connect: Any, url: str, worker: str) -> Cursors:
    return Cursors(await connect(url, budget_s=5.0), worker, time.monotonic)


async def test_two_workers_share_the_turns_to_the_last_one(valkey: RealValkey, connect: Any) -> None:
    workers = [await cursors_of(connect, valkey.url, name) for name in ("w1", "w2")]
    taken: list[int] = []

    async def work(cursors: Cursors) -> None:
        await cursors.lease("c", 3)
        for _ in range(RUNS_A_BLOCK * 3 * 10):
            taken.append(cursors.ticket("c", 3))
            await asyncio.sleep(0.0005)

    await asyncio.gather(*(work(cursors) for cursors in workers))
    assert [cursors.alone for cursors in workers] == [0, 0], "the next block is there before the last one ends"
    assert sorted(taken) == list(range(len(taken)))
    shares = Counter(ticket // 3 % 4 for ticket in taken)
    assert set(shares.values()) == {len(taken) // 4}


async def test_blocks_never_overlap_when_two_clients_race(valkey: RealValkey, connect: Any) -> None:
    workers = [await cursors_of(connect, valkey.url, name) for name in ("w1", "w2")]

    async def block(cursors: Cursors, name: str) -> int:
        await cursors.lease(name)
        return cursors.ticket(name)

    await asyncio.gather(*(cursors.lease("c") for cursors in workers for _ in range(50)))
    with valkey.client() as sync:
        assert sync.get(keys.cursor("c")) == str(100 * RUNS_A_BLOCK).encode()
    firsts = await asyncio.gather(*(block(cursors, "other") for cursors in workers))
    assert sorted(firsts) == [0, RUNS_A_BLOCK]


async def test_a_changed_sticky_limit_begins_at_a_multiple_of_it(valkey: RealValkey, connect: Any) -> None:
    cursors = await cursors_of(connect, valkey.url, "w")
    await cursors.lease("c", 1)
    other = await cursors_of(connect, valkey.url, "other")
    await other.lease("c", 7)
    assert other.ticket("c", 7) == 35  # 32 were given out; the next multiple of 7


async def test_a_cursor_is_forgotten_when_nobody_turns_it(valkey: RealValkey, connect: Any, sync: Redis) -> None:
    cursors = await cursors_of(connect, valkey.url, "w")
    await cursors.lease("c")
    assert keys.CURSOR_TTL_S - 5 < sync.ttl(keys.cursor("c")) <= keys.CURSOR_TTL_S


async def test_without_redis_a_worker_counts_on_alone() -> None:
    cursors = Cursors(RespClient("unix:///nowhere/v.sock"), "w", time.monotonic)
    tickets = [cursors.ticket("c", 2) for _ in range(40)]
    assert tickets == list(range(tickets[0], tickets[0] + 40))
    assert cursors.alone == 40


async def test_redis_that_goes_stops_no_ticket_and_is_asked_again(own_valkey: RealValkey, connect: Any) -> None:
    cursors = await cursors_of(connect, own_valkey.url, "w")
    await cursors.lease("c")
    own_valkey.kill()
    tickets = []
    for _ in range(2 * RUNS_A_BLOCK):
        tickets.append(cursors.ticket("c"))
        await asyncio.sleep(0.001)
    assert tickets == list(range(2 * RUNS_A_BLOCK))
    own_valkey.start()

    async with asyncio.timeout(10):
        while True:
            before = cursors.alone
            cursors.ticket("c")
            if cursors.alone == before:
                break
            await asyncio.sleep(0.02)
    await cursors.close()


async def test_the_first_ticket_of_all_asks_for_a_block(valkey: RealValkey, connect: Any) -> None:
    cursors = await cursors_of(connect, valkey.url, "w")
    cursors.ticket("c")
    assert cursors.alone == 1
    with valkey.client() as sync:
        await until(lambda: sync.get(keys.cursor("c")) is not None)
    await asyncio.sleep(0.01)
    assert cursors.ticket("c") == 0


async def test_cursors_are_bounded() -> None:
    cursors = Cursors(RespClient("unix:///nowhere/v.sock"), "w", time.monotonic)
    for index in range(MAX_CURSORS + 10):
        cursors.ticket(f"c{index}")
    assert len(cursors) == MAX_CURSORS
