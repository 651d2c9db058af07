"""What the last look at the database's pages found; kept in Redis, so that a restart does not ask for another one."""

import msgspec
from redis.asyncio import Redis

from gateway.state import keys


class StorageCheck(msgspec.Struct, frozen=True):
    """`at` is unix seconds; `damage` is empty when the pages are whole."""

    at: float
    damage: str = ""


async def load_check(redis: Redis) -> StorageCheck | None:
    """None before the first one. Raises redis.exceptions.RedisError."""
    text = await redis.get(keys.STORAGE_CHECK)
    try:
        return None if text is None else msgspec.json.decode(text, type=StorageCheck)
    except msgspec.DecodeError:
        return None


async def note_check(redis: Redis, check: StorageCheck) -> None:
    """In place of the one before. Raises redis.exceptions.RedisError."""
    await redis.set(keys.STORAGE_CHECK, msgspec.json.encode(check))
