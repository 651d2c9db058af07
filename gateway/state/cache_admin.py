"""What the control plane reads of the cache, and how it has everything forgotten."""

import asyncio
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gateway.state import keys
from gateway.state.client import make_client

STORE_S, TAKE_S, MAX_CONNECTIONS = 1.0, 5.0, 32
"""Until it is connected; for a batch of stored bodies."""
SWEEP_S = 5.0
"""The store's memory is given back for so long; what is left ends by its own time."""


async def read_counts(redis: Redis) -> dict[str, int]:
    """`front`, `store`, `miss`: look-ups that ended so; `kept`: answers. Of all workers, since the last time all was forgotten."""
    found: dict[Any, Any] = await redis.hgetall(keys.CACHE_COUNTS)
    return {name.decode(): int(count) for name, count in found.items()}


def connect_cache_store(url: str) -> Redis:
    """The admin process's client. Tried once again: the store may have been started anew since it was last asked."""
    return make_client(
        url,
        socket_connect_timeout=STORE_S,
        socket_timeout=TAKE_S,
        retry=Retry(NoBackoff(), 1),
        health_check_interval=0,
        max_connections=MAX_CONNECTIONS,
    )


async def read_store(store: Redis | None) -> dict[str, Any]:
    """`up`, and of a store that is: `usedBytes`, `maxBytes`, `evicted`."""
    if store is None:
        return {"up": False}
    try:
        async with asyncio.timeout(2 * STORE_S):
            memory, stats = await store.info("memory"), await store.info("stats")
    except (RedisError, OSError, TimeoutError):
        return {"up": False}
    return {
        "up": True,
        "usedBytes": memory["used_memory"],
        "maxBytes": memory["maxmemory"],
        "evicted": stats["evicted_keys"],
    }


async def _sweep(store: Redis, prefix: str) -> None:
    batch: list[bytes] = []
    async for name in store.scan_iter(match=f"{prefix}*", count=1000):
        batch.append(name)
        if len(batch) == 1000:
            await store.unlink(*batch)
            batch.clear()
    if batch:
        await store.unlink(*batch)


async def forget_answers(redis: Redis, store: Redis | None) -> None:
    """No worker finds an answer kept before this any more, within a second. Raises RedisError when the state store is away."""
    await redis.incr(keys.CACHE_GENERATION)
    await redis.delete(keys.CACHE_COUNTS)
    if store is None:
        return
    try:
        async with asyncio.timeout(SWEEP_S):
            for prefix in (keys.CACHED_QUESTIONS, keys.CACHED_ANSWERS):
                await _sweep(store, prefix)
    except (RedisError, OSError, TimeoutError):
        return  # what the workers go by is the generation
