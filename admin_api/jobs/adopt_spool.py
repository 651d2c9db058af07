"""Spool files that no worker owns any more → SQL. Works without Redis; ids make repeated lines count once."""

import asyncio
import time
from pathlib import Path

from admin_api.services.keep_records import keep_records
from admin_api.services.plane import Plane
from gateway.state.spool import adoptable

_BATCH = 2000
_EMPTY_KEPT_S = 60.0


class AdoptSpoolJob:
    """Hands over the lines of every file it can lock, then deletes it."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    async def __call__(self) -> None:
        files = adoptable(self._plane.settings.spool_dir)
        try:
            while (found := await asyncio.to_thread(next, files, None)) is not None:
                await self._adopt(*found)
        finally:
            files.close()  # type: ignore[attr-defined]  # a generator, though declared as an iterator

    async def _adopt(self, path: Path, lines: list[bytes]) -> None:
        # An empty young file may be one that its owner has made and not locked yet.
        if not lines and time.time() - _changed_at(path) < _EMPTY_KEPT_S:
            return
        for start in range(0, len(lines), _BATCH):
            await keep_records(self._plane, lines[start : start + _BATCH])
        await asyncio.to_thread(path.unlink, missing_ok=True)


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
