"""Stored bodies from the cache store to SQL; and the going of bodies and rows that are too old or too many."""

from collections.abc import Awaitable, Callable
from typing import Any

from redis.exceptions import RedisError
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.services.keep_settings import load_log_settings
from admin_api.services.plane import Plane
from admin_api.store.records import purge_records_before
from admin_api.store.request_bodies import insert_bodies, purge_bodies_before, purge_bodies_over
from gateway.state.body_stream import BATCH, drop_bodies, read_bodies

DAY_S = 86_400.0
MB = 1_000_000
AT_ONCE = 500
"""Rows of one transaction: whoever else writes waits for it."""
_MAX_BATCHES = 50


class KeepBodiesJob:
    """Takes what workers have put. A store that is away is as if there were nothing: bodies are the first to be lost."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    async def __call__(self) -> None:
        store = self._plane.cache_store
        if store is None:
            return
        try:
            for _ in range(_MAX_BATCHES):
                ids, found = await read_bodies(store)
                if found:
                    async with self._plane.database.write() as connection:
                        await insert_bodies(connection, found)
                if ids:
                    await drop_bodies(store, ids)
                if len(ids) < BATCH:
                    return
        except (RedisError, OSError):
            return


class RetentionJob:
    """The settings are read each time. Each run deletes a bounded part; the next goes on."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    async def __call__(self) -> None:
        plane, now = self._plane, self._plane.now()
        async with plane.database.read() as connection:
            rules = await load_log_settings(connection)
        if rules.body_retention_days:
            await self._purge(purge_bodies_before, now - rules.body_retention_days * DAY_S)
        if rules.body_retention_mb:
            await self._purge(purge_bodies_over, rules.body_retention_mb * MB)
        if rules.log_retention_days:
            before = now - rules.log_retention_days * DAY_S
            await self._purge(purge_bodies_before, before)
            await self._purge(purge_records_before, before)

    async def _purge(self, purge: Callable[[AsyncConnection, Any, int], Awaitable[int]], bound: float) -> None:
        for _ in range(_MAX_BATCHES):
            async with self._plane.database.write() as connection:
                if await purge(connection, bound, AT_ONCE) < AT_ONCE:
                    return
