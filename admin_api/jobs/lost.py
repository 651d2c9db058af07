"""Requests whose worker died become one `lost` record each, from the note the worker kept in flight.

A worker counts as gone when its heartbeat was missing on two looks in a row: a heartbeat may be missing for a
moment after Redis was restarted. If it was only stopped and settles later, its own record replaces the lost one.
"""

from typing import Any

from admin_api.services.keep_records import keep_records
from admin_api.services.plane import Plane
from gateway.state import keys as redis_keys

_BATCH = 2000
_MAX_WORKERS = 10_000


class LostJob:
    """Remembers which workers were missing on the last look."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._missing: set[str] = set()

    async def __call__(self) -> None:
        missing = await self._look()
        for worker in sorted(missing & self._missing):
            await self._close(worker)
        self._missing = missing

    async def _look(self) -> set[str]:
        """Workers that may have notes in flight and have no heartbeat."""
        redis = self._plane.redis
        missing: set[str] = set()
        async for name in redis.sscan_iter(redis_keys.WORKERS, count=1000):
            worker = name.decode()
            if len(missing) < _MAX_WORKERS and not await redis.exists(redis_keys.worker(worker)):
                missing.add(worker)
        return missing

    async def _close(self, worker: str) -> None:
        """Record, commit, and only then remove what was recorded."""
        redis, name = self._plane.redis, redis_keys.inflight(worker)
        cursor = 0
        while True:
            answer: Any = await redis.hscan(name, cursor, count=_BATCH)
            cursor, notes = answer
            if notes:
                await keep_records(self._plane, list(notes.values()), is_lost=True)
                await redis.hdel(name, *notes)
            if not cursor:
                # Its own renewals may have come before the last that it held.
                await redis.expire(redis_keys.held(worker), redis_keys.HELD_TTL_S)
                await redis.srem(redis_keys.WORKERS, worker)
                return
