"""Record stream → SQL. Acknowledged after the commit, so a crash anywhere repeats rows and never loses one.

Only the holder of the lease reads the group, so what is pending with any consumer was left by a dead one (or by a
failure of ours) and is taken over at once.
"""

import socket
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from admin_api.services.keep_records import keep_records
from admin_api.services.plane import Plane
from gateway.state import keys as redis_keys

BATCH = 2000
_MAX_BATCHES = 50
_FIELD = b"r"

Entry = tuple[bytes, dict[bytes, bytes]]


class LedgerJob:
    """One reader of the group. `must_claim` is set whenever something may have been left pending."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._consumer = socket.gethostname()
        self._must_claim = True

    async def __call__(self) -> None:
        """Handle what is there now."""
        try:
            await self._handle()
        except ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            await self._create_group()
            await self._handle()

    async def _handle(self) -> None:
        was_claiming, self._must_claim = self._must_claim, True
        if was_claiming:
            await self._take_over_pending()
        await self._read_new()
        self._must_claim = False

    async def _create_group(self) -> None:
        try:
            await self._plane.redis.xgroup_create(redis_keys.RECORDS, redis_keys.RECORDS_GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def _take_over_pending(self) -> None:
        """Own entries of a time before, and those of the dead."""
        cursor: Any = b"0-0"
        for _ in range(_MAX_BATCHES):
            cursor, entries, *_deleted = await self._plane.redis.xautoclaim(
                redis_keys.RECORDS,
                redis_keys.RECORDS_GROUP,
                self._consumer,
                min_idle_time=0,
                start_id=cursor,
                count=BATCH,
            )
            await self._keep(entries)
            if cursor in (b"0-0", "0-0"):
                return
        raise BacklogError

    async def _read_new(self) -> None:
        for _ in range(_MAX_BATCHES):
            answer: Any = await self._plane.redis.xreadgroup(
                redis_keys.RECORDS_GROUP, self._consumer, {redis_keys.RECORDS: ">"}, count=BATCH
            )
            entries = _entries(answer)
            await self._keep(entries)
            if len(entries) < BATCH:
                return

    async def _keep(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        await keep_records(self._plane, [fields.get(_FIELD, b"") for _, fields in entries])
        await _acknowledge(self._plane.redis, [entry_id for entry_id, _ in entries])


async def _acknowledge(redis: Redis, ids: Sequence[bytes]) -> None:
    pipeline = redis.pipeline(transaction=True)
    pipeline.xack(redis_keys.RECORDS, redis_keys.RECORDS_GROUP, *ids)
    pipeline.xdel(redis_keys.RECORDS, *ids)
    await pipeline.execute()


def _entries(answer: Any) -> list[Entry]:
    """The entries of the one stream asked for, in either form of the protocol."""
    if not answer:
        return []
    found = next(iter(answer.values()))[0] if isinstance(answer, dict) else answer[0][1]
    return list(found)


class BacklogError(Exception):
    """More was pending than one run may take; the next run goes on."""
