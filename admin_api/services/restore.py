"""Give the database the contents of a backup: checked, brought up to date and made ready aside, then poured in at once.

The backup may be of SQLite or PostgreSQL, and so may the database.

The configuration and who may log in go back to what they were; the ledger and the audit log of this database are kept. The
revision rises, so workers take the restored configuration up; a key that the backup does not know is refused by all.
"""

import asyncio
from pathlib import Path

import msgspec
import structlog
from sqlalchemy.exc import SQLAlchemyError

from admin_api.services.backups import Backup, pepper_check
from admin_api.services.check_secrets import count_unreadable
from admin_api.services.plane import Plane
from admin_api.store.backup_files import (
    BackupFailed,
    BadDatabase,
    check_intact,
    copy_foreign,
    count_rows,
    keep_what_happened,
    pour,
    read_facts,
)
from admin_api.store.credentials import delete_sessions
from admin_api.store.database import Database, get_origin, get_revision, known_schemas, open_file
from admin_api.store.keys import load_active_versions
from admin_api.store.postgres_copies import pour_into_postgres
from admin_api.store.restored import take_revision

REQUIRED_TABLES = frozenset({"provider_connections", "provider_nodes", "combos", "api_keys"})
OUR_TABLES = REQUIRED_TABLES | {"alembic_version", "revision"}
_HEADROOM = 1000
"""Revisions that changes may take while a restore is under way and still be below the restored one."""

log = structlog.get_logger()


class Restored(msgspec.Struct, frozen=True):
    """What is there now, and the backup of what was there before."""

    connections: int
    nodes: int
    combos: int
    keys: int
    before: Backup


class OtherSecrets(Exception):
    """The backup was made with other secrets than this process has. The message says which, and what to do."""


def is_ours(tables: frozenset[str]) -> bool:
    """Whether a database with these tables is one of this product (and not of the seed system)."""
    return tables >= OUR_TABLES


async def restore(plane: Plane, source: Path, name: str, *, accepts_other_secrets: bool = False) -> Restored:
    """Restore from a file that is not changed. `name` is for the audit log.

    Raises BadDatabase, BackupFailed, OtherSecrets; nothing has changed then.
    """
    async with plane.backups.lock:
        with plane.backups.scratch("restore") as folder:
            staged = folder / "staged.db"
            await asyncio.to_thread(_stage, source, staged)
            facts = await asyncio.to_thread(read_facts, staged)
            await _make_ready(plane, staged, facts, accepts_other_secrets=accepts_other_secrets)
            before = await plane.backups.create("pre-restore")
            counts = await asyncio.to_thread(count_rows, staged, *REQUIRED_TABLES)
            await _pour(plane.database, staged, keeps_what_happened=await _is_same_origin(plane, staged))
    after = {"backup": name, "madeAt": facts.get("made_at", ""), "before": before.id}
    await plane.audit("database.restored", "database", name=name, after=after)
    log.warning("database_restored", backup=name, before=before.id)
    return Restored(
        counts["provider_connections"], counts["provider_nodes"], counts["combos"], counts["api_keys"], before
    )


async def _pour(database: Database, staged: Path, *, keeps_what_happened: bool) -> None:
    live = database.path
    if live is None:
        await pour_into_postgres(staged, database, keeps_what_happened=keeps_what_happened)
        return
    if keeps_what_happened:
        await asyncio.to_thread(keep_what_happened, staged, live)
    await asyncio.to_thread(pour, staged, live)
    await database.close()


def _stage(source: Path, staged: Path) -> None:
    copy_foreign(source, staged)
    tables = check_intact(staged)
    if not is_ours(tables):
        missing = ", ".join(sorted(OUR_TABLES - tables))
        raise BadDatabase(f"it is not a database of this product: it lacks {missing}")


async def _make_ready(plane: Plane, staged: Path, facts: dict[str, str], *, accepts_other_secrets: bool) -> None:
    database = open_file(staged)
    try:
        if await database.get_schema() not in known_schemas():
            raise BadDatabase("it was made by a newer version: restore it with that one")
        async with plane.backups.turn():
            await database.migrate()
        if not accepts_other_secrets:
            await _check_secrets(plane, database, facts)
        async with plane.database.read() as connection:
            revision, versions = await get_revision(connection), await load_active_versions(connection)
        async with database.write() as connection:
            await take_revision(connection, above=revision + _HEADROOM, live_versions=versions, now=plane.now())
            await delete_sessions(connection)
    except SQLAlchemyError as error:
        raise BadDatabase(f"it cannot be brought up to date: {type(error).__name__}") from error
    finally:
        await database.close()


async def _check_secrets(plane: Plane, database: Database, facts: dict[str, str]) -> None:
    async with database.read() as connection:
        unreadable = await count_unreadable(plane, connection)
    if unreadable:
        raise OtherSecrets(
            f"{unreadable} connections hold secrets that this STORAGE_ENCRYPTION_KEY does not open: "
            "use that of the machine the backup is from (secrets.json), or say acceptOtherSecrets and enter them anew"
        )
    if "pepper" in facts and facts["pepper"] != pepper_check(plane.settings):
        raise OtherSecrets(
            "its gateway keys were made with another API_KEY_SECRET and would all be refused: "
            "use that of the machine the backup is from (secrets.json), or say acceptOtherSecrets and make new keys"
        )


async def _is_same_origin(plane: Plane, staged: Path) -> bool:
    database = open_file(staged)
    try:
        async with database.read() as theirs, plane.database.read() as ours:
            return await get_origin(theirs) == await get_origin(ours)
    finally:
        await database.close()


__all__ = ["BackupFailed", "BadDatabase", "OtherSecrets", "Restored", "is_ours", "restore"]
