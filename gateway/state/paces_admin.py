"""How the limits of connections stand, for the control plane: read and reset through Redis, whether or not a worker runs."""

from collections.abc import Mapping, Sequence

import msgspec
from redis.asyncio import Redis

from gateway.state import keys

_PAGE = 500


class Pace(msgspec.Struct, frozen=True):
    """One connection. `starts` within the last minute and `open` are 0 where no limit makes anybody count.

    `adaptive_limit` of 0: none was tried out. `learned_until_ms` is unix ms.
    """

    starts: int = 0
    open: int = 0
    adaptive_limit: float = 0.0
    learned_gap_ms: int = 0
    learned_until_ms: int = 0


async def read_paces(redis: Redis, ids: Sequence[str]) -> list[Pace]:
    """In the order of the ids. Raises redis.exceptions.RedisError."""
    seconds, micros = await redis.time()
    now = seconds * 1000 + micros // 1000
    found: list[Pace] = []
    for start in range(0, len(ids), _PAGE):
        pipeline = redis.pipeline(transaction=False)
        for connection_id in ids[start : start + _PAGE]:
            pipeline.hgetall(keys.slot_pace(connection_id))
            pipeline.hgetall(keys.slot_open(connection_id))
            pipeline.hgetall(keys.slot_minute(connection_id))
        answers = iter(await pipeline.execute())
        found += [
            _pace(pace, counts, minute, now) for pace, counts, minute in zip(answers, answers, answers, strict=True)
        ]
    return found


async def forget_paces(redis: Redis, ids: Sequence[str]) -> int:
    """Forget learned gaps and adaptive limits, and tell workers at once. How many had some. Raises RedisError."""
    gone = 0
    for start in range(0, len(ids), _PAGE):
        page = ids[start : start + _PAGE]
        pipeline = redis.pipeline(transaction=False)
        for connection_id in page:
            pipeline.hdel(keys.slot_pace(connection_id), "lg", "lu", "a", "ac", "an")
        answers = await pipeline.execute()
        known = [connection_id for connection_id, fields in zip(page, answers, strict=True) if fields]
        for connection_id in known:
            await redis.publish(keys.NEWS, f"pace:{connection_id}")
        gone += len(known)
    return gone


def _pace(pace: Mapping[bytes, bytes], counts: Mapping[bytes, bytes], minute: Mapping[bytes, bytes], now: int) -> Pace:
    until = int(pace.get(b"lu", 0))
    live = [
        int(count)
        for field, count in counts.items()
        if field.startswith(b"c:") and int(counts.get(b"u:" + field[2:], 0)) > now
    ]
    oldest = now // 1000 - 60
    starts = sum(int(count) for second, count in minute.items() if second.isdigit() and int(second) >= oldest)
    return Pace(
        starts=starts,
        open=sum(live),
        adaptive_limit=round(float(pace.get(b"a", 0)), 2),
        learned_gap_ms=int(pace.get(b"lg", 0)) if until > now else 0,
        learned_until_ms=until if until > now else 0,
    )
