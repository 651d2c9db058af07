"""Whether the pages of a SQLite file are whole, looked at once a day; Redis remembers when, over restarts."""

import asyncio

import structlog

from admin_api.services.plane import Plane
from admin_api.services.storage_check import StorageCheck, load_check, note_check
from admin_api.store.storage_files import Stopped, find_damage

EVERY_S = 86_400.0

log = structlog.get_logger()


class CheckStorageJob:
    """Does nothing where the database is not a file. One that is stopped on its way begins anew the next time."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    async def __call__(self) -> None:
        plane, path = self._plane, self._plane.database.path
        if path is None:
            return
        last = await load_check(plane.redis)
        if last is not None and 0 <= plane.now() - last.at < EVERY_S:
            return
        is_over = False
        try:
            damage = await asyncio.to_thread(find_damage, path, lambda: is_over)
        except Stopped:
            return
        finally:
            is_over = True
        if damage:
            log.error(
                "database_damaged", found=damage, fix="restore a backup, or make one with `omniroute backup` first"
            )
        await note_check(plane.redis, StorageCheck(plane.now(), damage))
