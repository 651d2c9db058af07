"""The stream of settled requests, for the control plane: read from its old end, and forgotten there."""

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from gateway.state import keys
from gateway.state.resp import Script

_FORGET_RECORDS = Script("forget_records").text.decode()
_FIELD = b"r"

Entry = tuple[bytes, bytes]
"""Its id in the stream, and the encoded record; empty when the entry holds something else."""


async def read_records(redis: Redis, most: int) -> list[Entry]:
    """The oldest entries, oldest first. They stay until they are forgotten. Raises redis.exceptions.RedisError."""
    found: Any = await redis.xrange(keys.RECORDS, count=most)
    return [(name, fields.get(_FIELD, b"")) for name, fields in found]


async def oldest_record(redis: Redis) -> tuple[int, float]:
    """How many entries wait, and the age in seconds of the oldest, by the server's clock. Raises redis.exceptions.RedisError."""
    waiting = int(await redis.xlen(keys.RECORDS))
    if not waiting:
        return 0, 0.0
    oldest: Any = await redis.xrange(keys.RECORDS, count=1)
    seconds, micros = await redis.time()
    noted_ms = int(oldest[0][0].partition(b"-")[0]) if oldest else int(seconds * 1000)
    return waiting, max(0.0, seconds + micros / 1e6 - noted_ms / 1000)


async def forget_records(redis: Redis, entries: Sequence[Entry]) -> bool:
    """Take out what `read_records` gave, all of it or nothing. False: this server never had the last of them.

    Whoever asks again then reads some twice. Raises redis.exceptions.RedisError.
    """
    last = entries[-1][0].decode()
    ms, _, number = last.partition("-")
    return bool(await redis.eval(_FORGET_RECORDS, 1, keys.RECORDS, last, f"{ms}-{int(number) + 1}"))
