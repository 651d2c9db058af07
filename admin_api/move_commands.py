"""What an operator does at the machine with whole databases: `migrate`, `import`, `backup`, `restore`; beside a running product or not.

A running product takes up what these change within a second: its publisher looks at the revision.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from dotenv import dotenv_values

from admin_api.app import build_plane, connect_redis
from admin_api.auth.actor import COMMAND
from admin_api.services.backups import migrate_safely
from admin_api.services.move_in import MovedIn, move_in
from admin_api.services.plane import Plane
from admin_api.services.restore import OtherSecrets, restore
from admin_api.store.backup_files import BackupFailed, BadDatabase
from admin_api.store.database import open_database
from gateway.config.settings import Settings

_FILE = "storage.sqlite"
_NOWHERE = "redis://127.0.0.1:1"
"""Nothing is published from here, so no Redis is needed."""


async def import_seed(settings: Settings, path: Path, *, is_dry_run: bool) -> int:
    """Print what moved in and what did not. Gives the exit code.

    The seed's key is in `OMNIROUTE_SEED_ENCRYPTION_KEY`, else it is looked for in `.env` beside the file.
    """
    source = await asyncio.to_thread(_file_in, path)
    if source is None:
        return _refuse(f"there is no file {path}")
    beside = dotenv_values(source.parent / ".env", interpolate=False).get("STORAGE_ENCRYPTION_KEY") or ""
    async with _plane(settings) as plane:
        try:
            moved = await move_in(plane, source, (settings.seed_encryption_key, beside), is_dry_run=is_dry_run)
        except (BadDatabase, BackupFailed) as problem:
            return _refuse(f"{source}: {problem}")
    sys.stdout.write(_report(moved, is_dry_run=is_dry_run))
    return 0


async def migrate(settings: Settings) -> int:
    """Bring the schema up to date, as the admin process does at its start. Gives the exit code. Raises DatabaseAway."""
    database = open_database(settings.database_url, settings.data_dir)
    try:
        before = await database.get_schema()
        await migrate_safely(database, settings, time.time)
        now = await database.get_schema()
    except BackupFailed as problem:
        return _refuse(f"nothing was changed, as no backup could be made first: {problem}")
    finally:
        await database.close()
    sys.stdout.write(f"schema {now}" + (f", was {before or 'empty'}\n" if before != now else ": nothing to do\n"))
    return 0


async def make_backup(settings: Settings) -> int:
    """Print where the backup is. Gives the exit code."""
    async with _plane(settings) as plane:
        try:
            made = await plane.backups.create("manual")
        except BackupFailed as problem:
            return _refuse(str(problem))
        sys.stdout.write(f"{plane.backups.folder / made.id}\n")
    return 0


async def restore_file(settings: Settings, path: Path, *, accepts_other_secrets: bool) -> int:
    """Print what is there now. Gives the exit code."""
    if await asyncio.to_thread(_file_in, path) is None:
        return _refuse(f"there is no file {path}")
    async with _plane(settings) as plane:
        try:
            done = await restore(plane, path, path.name, accepts_other_secrets=accepts_other_secrets)
        except (BadDatabase, BackupFailed, OtherSecrets) as problem:
            return _refuse(f"{path}: {problem}")
    sys.stdout.write(
        f"restored: {done.connections} connections, {done.nodes} nodes, {done.combos} combos, {done.keys} keys\n"
        f"what was there before: {done.before.id}\n"
    )
    return 0


@asynccontextmanager
async def _plane(settings: Settings) -> AsyncIterator[Plane]:
    plane = build_plane(settings, connect_redis(settings.redis_url or _NOWHERE)).acting_as(COMMAND)
    try:
        await migrate_safely(plane.database, settings, plane.now)
        yield plane
    finally:
        await plane.close()


def _file_in(path: Path) -> Path | None:
    """The file, or the seed's in a folder; None when there is none."""
    found = path / _FILE if path.is_dir() else path
    return found if found.is_file() else None


def _report(moved: MovedIn, *, is_dry_run: bool) -> str:
    lines = ["would move:" if is_dry_run else "moved in:"]
    lines += [f"  {count} {kind}" for kind, count in moved.taken.items()] or ["  nothing"]
    if moved.left_out:
        lines += ["left out:", *(f"  {one.kind} {one.name}: {one.reason}" for one in moved.left_out)]
    if moved.notes:
        lines += ["notes:", *(f"  {note}" for note in moved.notes)]
    if moved.backup:
        lines += [f"what was here before: {moved.backup}"]
    return "\n".join(line.translate(_UNPRINTABLE) for line in lines) + "\n"


_UNPRINTABLE = dict.fromkeys((*range(32), *range(127, 160)), "?")
"""Names come from a foreign file: a terminal must not obey them."""


def _refuse(message: str) -> int:
    sys.stderr.write(f"omniroute: {message}\n")
    return 1
