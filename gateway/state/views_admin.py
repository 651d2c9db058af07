"""What workers told each other of targets lately, for the control plane: it listens and tells nothing."""

from typing import Any

from redis.asyncio import Redis

from gateway.state import keys
from gateway.state.views import LIFETIME_S, MAX_ENTRIES, Heard


async def read_told(redis: Redis) -> list[Heard]:
    """The messages of the last LIFETIME_S, oldest first. Raises redis.exceptions.RedisError."""
    pipeline = redis.pipeline(transaction=False)
    pipeline.time()
    pipeline.xrevrange(keys.VIEW, count=MAX_ENTRIES)
    (seconds, microseconds), entries = await pipeline.execute()
    now_s = seconds + microseconds / 1e6
    heard = [_heard(now_s, name, fields) for name, fields in reversed(entries)]
    return [one for one in heard if one.age_s <= LIFETIME_S]


def _heard(now_s: float, name: bytes, fields: dict[bytes, Any]) -> Heard:
    at_s = int(name.partition(b"-")[0]) / 1000
    return Heard(max(0.0, now_s - at_s), fields.get(b"w", b"").decode(), fields.get(b"m", b""))
