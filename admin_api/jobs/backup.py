"""Backups by the clock, and the going of old ones. The plan is a setting, so it is read each time.

What a restore or an import that was killed has left in the data dir goes too: it may hold secrets.
"""

import asyncio
import shutil
import time
from pathlib import Path

from admin_api.services.keep_settings import load_backup_plan
from admin_api.services.plane import Plane

SCRATCH = (".restore-*", ".import-*", ".upload-*", ".export-*")
PARTIAL = "db_*.partial*"
_ABANDONED_AFTER_S = 3600.0


class BackupJob:
    """Each machine has its own backups, in its own data dir."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    async def __call__(self) -> None:
        backups = self._plane.backups
        await asyncio.to_thread(_sweep, self._plane.settings.data_dir)
        async with self._plane.database.read() as connection:
            plan = await load_backup_plan(connection)
        own = [one for one in await backups.load_all() if one.reason == "scheduled"]
        if backups.is_due(plan, own[0].created_at if own else 0.0):
            await backups.create("scheduled")
        await backups.prune(plan.keep)


def _sweep(data_dir: Path) -> None:
    for pattern in SCRATCH:
        for folder in data_dir.glob(pattern):
            if _is_abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)
    for file in (data_dir / "backups").glob(PARTIAL):
        if _is_abandoned(file):
            file.unlink(missing_ok=True)


def _is_abandoned(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > _ABANDONED_AFTER_S
