"""Log lines of workers and of the admin process in one bounded stream, for an operator to look at."""

from typing import Any

import msgspec
from redis.asyncio import Redis

from gateway.state import keys

MAX_LINES = 3_000
"""Some more may stand there; each is 2 kB at most (`telemetry/log_tail.py`)."""


class LogLine(msgspec.Struct, frozen=True):
    """`id` rises with time. `process` is `admin` or a worker's id; `fields` is the line as it was logged."""

    id: str
    process: str
    fields: dict[str, Any]


def command(process: str, line: bytes) -> tuple[str | bytes, ...]:
    """What adds a line."""
    return ("XADD", keys.LOG_LINES, "MAXLEN", "~", str(MAX_LINES), "*", "p", process, "l", line)


async def read_lines(redis: Redis, before: str, most: int) -> list[LogLine]:
    """The newest first, those before the id if it is given. Raises redis.exceptions.RedisError."""
    found: Any = await redis.xrevrange(keys.LOG_LINES, max=f"({before}" if before else "+", count=most)
    return [LogLine(name.decode(), fields.get(b"p", b"").decode(), _decoded(fields)) for name, fields in found]


def _decoded(fields: dict[bytes, bytes]) -> dict[str, Any]:
    try:
        line = msgspec.json.decode(fields.get(b"l", b""))
    except msgspec.DecodeError:
        return {}
    return line if isinstance(line, dict) else {}
