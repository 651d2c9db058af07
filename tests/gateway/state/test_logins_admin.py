"""Failed log-ins on a real server: counted once for all who ask, bounded, and forgotten in time."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from gateway.state import keys, logins_admin
from gateway.state.logins_admin import MAX_WHO, Limit, count_login, forget_logins, read_logins
from gateway.state.resp import Script
from tests.support.real_valkey import RealValkey

START = 1_800_000_000_000
COUNT = Script("count_login").text.decode()
ADDRESS, ACCOUNT = Limit("address:198.51.100.1", 3, 60.0), Limit("account:ada", 5, 600.0)


@pytest.fixture
async def pair(valkey: RealValkey) -> AsyncIterator[tuple[Redis, Redis]]:
    clients = Redis.from_url(valkey.url), Redis.from_url(valkey.url)
    yield clients
    for client in clients:
        await client.aclose()


async def at(redis: Redis, ms: int, *limits: Limit, most: int = MAX_WHO) -> list[int]:
    words = [
        str(word) for one in limits for word in (one.who, one.most, int(one.window_s * 1000), int(one.may_have_to_wait))
    ]
    return list(await redis.eval(COUNT, 2, keys.LOGINS, keys.LOGINS_ENDS, str(most), str(START + ms), *words))


async def test_tries_at_once_by_two_processes_are_as_many_as_one_has(pair: tuple[Redis, Redis]) -> None:
    answers = await asyncio.gather(*(count_login(pair[n % 2], [ADDRESS, ACCOUNT]) for n in range(40)))
    assert sum(late is None for late, _ in answers) == 3
    assert {late for late, _ in answers if late is not None} == {ADDRESS}
    assert all(55 < wait_s <= 60 for late, wait_s in answers if late is not None)
    now, tries = await read_logins(pair[0])
    assert {who: len(times) for who, times in tries.items()} == {ADDRESS.who: 3, ACCOUNT.who: 3}
    assert all(now - 60 < when <= now for times in tries.values() for when in times)


async def test_the_window_slides_and_says_when_the_first_has_left_it(pair: tuple[Redis, Redis]) -> None:
    for ms in (0, 10_000, 20_000):
        assert await at(pair[0], ms, ADDRESS) == [0, 0]
    assert await at(pair[0], 30_000, ADDRESS) == [1, 30_000]
    assert await at(pair[0], 60_000, ADDRESS) == [0, 0]
    assert await at(pair[0], 60_001, ADDRESS) == [1, 9_999]


async def test_of_a_refused_try_nothing_is_counted(pair: tuple[Redis, Redis]) -> None:
    for ms in range(5):
        assert await at(pair[0], ms, ACCOUNT) == [0, 0]
    assert await at(pair[0], 10, ADDRESS, ACCOUNT) == [2, 599_990]
    assert set((await read_logins(pair[0]))[1]) == {ACCOUNT.who}


async def test_who_need_not_wait_is_counted_all_the_same(pair: tuple[Redis, Redis]) -> None:
    known = Limit(ACCOUNT.who, ACCOUNT.most, ACCOUNT.window_s, may_have_to_wait=False)
    for ms in range(8):
        assert await at(pair[0], ms, known) == [0, 0]
    assert (await at(pair[0], 10, ACCOUNT))[0] == 1


async def test_who_is_forgiven_begins_anew(pair: tuple[Redis, Redis]) -> None:
    for _ in range(3):
        await count_login(pair[0], [ADDRESS])
    assert (await count_login(pair[1], [ADDRESS]))[0] == ADDRESS
    await forget_logins(pair[1], [ADDRESS.who])
    assert (await count_login(pair[0], [ADDRESS]))[0] is None


async def test_a_clock_that_was_set_back_locks_nobody_out_for_long(pair: tuple[Redis, Redis]) -> None:
    for _ in range(3):
        await at(pair[0], 0, ADDRESS)
    assert (await at(pair[0], -86_400_000, ADDRESS))[0] == 1
    assert (await at(pair[0], -86_400_000, ADDRESS))[1] <= 60_000


async def test_so_many_are_remembered_and_those_of_before_are_swept(pair: tuple[Redis, Redis]) -> None:
    for n in range(30):
        await at(pair[0], n, Limit(f"address:{n}", 3, 60.0), most=10)
    assert await pair[0].hlen(keys.LOGINS) == await pair[0].zcard(keys.LOGINS_ENDS) == 10
    await at(pair[0], 120_000, ADDRESS)
    assert set((await read_logins(pair[0]))[1]) == {ADDRESS.who}
    assert logins_admin.MAX_WHO == 10_000
