"""What workers agree on about the cache: which generation of answers counts, and what was found and kept in all."""

import asyncio
import contextlib
import random

from gateway.cache.responses import ResponseCache
from gateway.runtime import RuntimeHolder
from gateway.state import keys
from gateway.state.resp import RespClient, StateAway

LOOK_S = 0.5
"""All workers have forgotten what is to be forgotten within a second."""


async def follow_cache(redis: RespClient, cache: ResponseCache, runtimes: RuntimeHolder) -> None:
    """`redis` is the state store. While it is away the generation seen last counts."""
    while True:
        if runtimes.is_ready and runtimes.current().caching is not None:
            with contextlib.suppress(StateAway):
                await _look(redis, cache)
        await asyncio.sleep(LOOK_S * random.uniform(0.8, 1.2))


async def _look(redis: RespClient, cache: ResponseCache) -> None:
    generation = await redis.call("GET", keys.CACHE_GENERATION)
    cache.forget_all(generation.decode() if isinstance(generation, bytes) else "")
    for name in tuple(cache.untold):
        await redis.call("HINCRBY", keys.CACHE_COUNTS, name, cache.untold.pop(name))
