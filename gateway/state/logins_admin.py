"""Tries to log in, counted for all admin processes at once: who tries at two of them has no more tries than at one."""

from collections.abc import Sequence

import msgspec
from redis.asyncio import Redis

from gateway.state import keys
from gateway.state.resp import Script

MAX_WHO = 10_000
"""How many addresses and accounts are remembered; who would be forgotten soonest makes room."""

_COUNT = Script("count_login").text.decode()


class Limit(msgspec.Struct, frozen=True):
    """`who` may fail `most` times in `window_s`; one who need not wait is counted all the same."""

    who: str
    most: int
    window_s: float
    may_have_to_wait: bool = True


async def count_login(redis: Redis, limits: Sequence[Limit]) -> tuple[Limit | None, float]:
    """Count a try; or who has to wait and for how many seconds, and nothing is counted. Raises redis.exceptions.RedisError."""
    arguments = [
        text
        for limit in limits
        for text in (limit.who, str(limit.most), f"{limit.window_s * 1000:.0f}", str(int(limit.may_have_to_wait)))
    ]
    number, wait_ms = await redis.eval(_COUNT, 2, keys.LOGINS, keys.LOGINS_ENDS, str(MAX_WHO), "", *arguments)
    return (limits[int(number) - 1], float(wait_ms) / 1000) if number else (None, 0.0)


async def forget_logins(redis: Redis, who: Sequence[str]) -> None:
    """They begin anew. Raises redis.exceptions.RedisError."""
    async with redis.pipeline(transaction=True) as pipeline:
        pipeline.hdel(keys.LOGINS, *who)
        pipeline.zrem(keys.LOGINS_ENDS, *who)
        await pipeline.execute()


async def read_logins(redis: Redis) -> tuple[float, dict[str, list[float]]]:
    """The server's time, and who failed when; unix seconds, oldest first. Raises redis.exceptions.RedisError."""
    async with redis.pipeline(transaction=True) as pipeline:
        pipeline.time()
        pipeline.hgetall(keys.LOGINS)
        (seconds, micros), found = await pipeline.execute()
    tries = {who.decode(errors="replace"): [int(at) / 1000 for at in times.split()] for who, times in found.items()}
    return seconds + micros / 1e6, tries
