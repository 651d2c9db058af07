"""Requests from one address: never more than the limit in any rolling minute, counted by two clients at once."""

import asyncio
from typing import Any

import pytest
from redis import Redis

from gateway.state.resp import Script
from tests.support.real_valkey import RealValkey

COUNT = Script("address_minute")
START = 1_800_000_000


@pytest.fixture
async def pair(valkey: RealValkey, connect: Any) -> tuple[Any, Any]:
    return await connect(valkey.url, budget_s=5.0), await connect(valkey.url, budget_s=5.0)


async def test_at_no_time_are_there_more_than_the_limit_in_the_last_minute(pair: Any) -> None:
    asked = [now for now in range(START, START + 300) for _ in range(3 if now % 60 > 40 else 1)]
    let_in = [now for now in asked if await pair[now % 2].run(COUNT, ("address",), (20, now)) == 0]
    most = max(sum(second - 60 <= other <= second for other in let_in) for second in let_in)
    assert most == 20
    assert len(let_in) >= 4 * 20, "what has left the minute makes room again"


async def test_who_is_refused_is_told_when_there_is_room(pair: Any) -> None:
    ask = pair[0].run
    for second in (0, 0, 7):
        assert await ask(COUNT, ("address",), (3, START + second)) == 0
    assert await ask(COUNT, ("address",), (3, START + 10)) == 51
    assert await ask(COUNT, ("address",), (3, START + 60)) == 1
    assert [await ask(COUNT, ("address",), (3, START + 61)) for _ in range(3)] == [0, 0, 7]


async def test_a_clock_that_was_set_back_shuts_nobody_out_for_long(pair: Any) -> None:
    for _ in range(3):
        assert await pair[0].run(COUNT, ("address",), (3, START)) == 0
    assert await pair[0].run(COUNT, ("address",), (3, START - 5000)) == 61
    assert await pair[0].run(COUNT, ("address",), (3, START - 5000 + 61)) == 0


async def test_two_clients_at_once_let_in_as_many_as_the_limit_and_the_key_goes_by_itself(
    pair: Any, sync: Redis
) -> None:
    answers = await asyncio.gather(*(pair[n % 2].run(COUNT, ("address",), (50,)) for n in range(120)))
    assert answers.count(0) == 50
    assert all(1 <= wait_s <= 61 for wait_s in answers if wait_s)
    assert 55 <= sync.ttl("address") <= 62
