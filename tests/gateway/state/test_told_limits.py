"""What providers tell of their limits is there for people: the newest of each connection, as long as it means something."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from redis.asyncio import Redis

from gateway.state import keys
from gateway.state.resp import RespClient, StateAway
from gateway.state.told_limits import MAX_NOTED, MOST_TOLD, Told, ToldLimits, ToldWindow, read_told
from tests.support.real_valkey import RealValkey

NOW = 1_700_000_000.0


def hints(**told: float) -> Any:
    names = [f"{what}_{which}" for what in ("requests", "tokens") for which in ("limit", "remaining", "reset_s")]
    return SimpleNamespace(**{name: told.get(name) for name in names})


async def test_the_newest_of_each_connection_is_told_with_the_instant_of_its_reset(
    valkey: RealValkey, connect: Callable[..., Any]
) -> None:
    told = ToldLimits(await connect(valkey.url), lambda: NOW)
    told.note("a", hints(requests_limit=100, requests_remaining=90, requests_reset_s=30))
    told.note("a", hints(requests_limit=100, requests_remaining=89, requests_reset_s=29.5))
    told.note("b", hints(tokens_limit=10_000, tokens_remaining=0))
    told.tell()
    assert len(told) == 0
    wanted = [Told(NOW, ToldWindow(100, 89, NOW + 29.5)), Told(NOW, None, ToldWindow(10_000, 0)), None]
    async with Redis.from_url(valkey.url) as redis, asyncio.timeout(10):
        while await read_told(redis, ["a", "b", "c"]) != wanted:
            await asyncio.sleep(0.01)
        assert 0 < await redis.ttl(keys.slot_told("a")) <= 60


async def test_notes_are_bounded_and_go_on_at_the_next_beat(valkey: RealValkey, connect: Callable[..., Any]) -> None:
    told = ToldLimits(await connect(valkey.url))
    for number in range(MAX_NOTED + 10):
        told.note(f"c{number}", hints(requests_limit=1, requests_remaining=1))
    assert len(told) == MAX_NOTED
    told.tell()
    assert len(told) == MAX_NOTED - MOST_TOLD


async def test_while_redis_is_away_nothing_is_kept_back(tmp_path: Any) -> None:
    told = ToldLimits(RespClient(f"unix://{tmp_path}/nobody.sock"))
    told.note("a", hints(requests_limit=1, requests_remaining=1))
    with pytest.raises(StateAway):
        told.tell()
    assert len(told) == 0
