"""What the control plane reads of the cache, and how it has everything forgotten."""

import asyncio
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.state import keys
from gateway.state.client import make_client

STORE_S = 1.0
SWEEP_S = 5.0
"""The store's memory is given back for so long; what is left ends by its own time."""


async def read_counts(redis: Redis) -> dict[str, int]:
    """`front`, `store`, `miss`: look-ups that ended so; `kept`: answers. Of all workers, since the last time all was forgotten."""
    found: dict[Any, Any] = await redis.hgetall(keys.CACHE_COUNTS)
    return {name.decode(): int(count) for name, count in found.items()}


async def read_store(url: str) -> dict[str, Any]:
    """`up`, and of a store that is: `usedBytes`, `maxBytes`, `evicted`."""
    if not url:
        return {"up": False}
    client = make_client(url, socket_connect_timeout=STORE_S, socket_timeout=STORE_S)
    try:
        async with client, asyncio.timeout(2 * STORE_S):
            memory, stats = await client.info("memory"), await client.info("stats")
    except (RedisError, OSError, TimeoutError):
        return {"up": False}
    return {
        "up": True,
        "usedBytes": memory["used_memory"],
        "maxBytes": memory["maxmemory"],
        "evicted": stats["evicted_keys"],
    }


async def _sweep(client: Redis, prefix: str) -> None:
    batch: list[bytes] = []
    async for name in client.scan_iter(match=f"{prefix}*", count=1000):
        batch.append(name)
        if len(batch) == 1000:
            await client.unlink(*batch)
            batch.clear()
    if batch:
        await client.unlink(*batch)


async def forget_answers(redis: Redis, url: str) -> None:
    """No worker finds an answer kept before this any more, within a second. Raises RedisError when the state store is away."""
    await redis.incr(keys.CACHE_GENERATION)
    await redis.delete(keys.CACHE_COUNTS)
    if not url:
        return
    client = make_client(url, socket_connect_timeout=STORE_S, socket_timeout=STORE_S)
    try:
        async with client, asyncio.timeout(SWEEP_S):
            for prefix in (keys.CACHED_QUESTIONS, keys.CACHED_ANSWERS):
                await _sweep(client, prefix)
    except (RedisError, OSError, TimeoutError):
        return  # what the workers go by is the generation
