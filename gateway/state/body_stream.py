"""The stream of stored bodies on the cache store, both ends: workers put, one admin job takes.

It is the first thing that is given up: the store evicts, the stream is short, and nobody waits.
"""

import zlib
from typing import Any

import hiredis
import msgspec
from redis.asyncio import Redis

from gateway.domain.bodies import StoredBodies, decode_bodies, encode_bodies
from gateway.state import keys
from gateway.state.resp import RespClient, Script, StateAway

MAX_STREAM_BYTES = 16 * 1024 * 1024
"""The stream takes as many entries as could be so large together."""
LIFETIME_MS = 3_600_000
PUT_BUDGET_S = 1.0
"""No request waits for it."""
BATCH = 64

_PUT = Script("put_bodies")


async def put_bodies(redis: RespClient, bodies: StoredBodies, max_body_bytes: int) -> bool:
    """False when the stream is full. Raises StateAway."""
    most = max(8, MAX_STREAM_BYTES // (2 * max_body_bytes))
    data = zlib.compress(encode_bodies(bodies), 1)
    try:
        answer = await redis.run(_PUT, (keys.BODIES,), (most, data, LIFETIME_MS), budget_s=PUT_BUDGET_S)
    except hiredis.ReplyError as error:  # a user that may not run scripts, a key of another type
        raise StateAway(str(error)) from error
    return answer == 1


async def read_bodies(store: Redis) -> tuple[list[bytes], list[StoredBodies]]:
    """The oldest BATCH entries: their ids, and of those that can be read what they hold. Raises RedisError."""
    entries: Any = await store.xrange(keys.BODIES, count=BATCH)
    return [entry_id for entry_id, _ in entries], [
        bodies for _, fields in entries if (bodies := _read(fields.get(b"b", b""))) is not None
    ]


async def drop_bodies(store: Redis, ids: list[bytes]) -> None:
    """They are in SQL. Raises RedisError."""
    await store.xdel(keys.BODIES, *ids)


def _read(data: bytes) -> StoredBodies | None:
    try:
        return decode_bodies(zlib.decompress(data))
    except (zlib.error, msgspec.DecodeError, msgspec.ValidationError):
        return None
