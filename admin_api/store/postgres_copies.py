"""A PostgreSQL database as a backup file, and back. The file is SQLite's, as the backup of a SQLite database is.

So there is one kind of backup: it is checked, brought up to date and read by the same code, and goes into either database.
Rows travel in batches, so memory stays flat. Both directions are one transaction of PostgreSQL: a copy is one view of it, and a
process that is killed while it pours leaves the old contents. Readers are never held up; other writers wait while it pours.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.store import tables
from admin_api.store.backup_files import (
    ADDED_ROWS,
    NEWER_ROWS,
    BackupFailed,
    BadDatabase,
    require_space,
    set_in_place,
    told,
    write_facts,
)
from admin_api.store.database import Database, open_file, schema_of
from admin_api.store.faults import DatabaseAway, Fault, fault_of
from admin_api.store.usage_sums import take_ledger_turn

_BATCH = 2_000
_BATCH_OF_BODIES = 20
"""Rows of `request_bodies` may have a megabyte each."""
_LIMIT_S = 3600.0
_LOCK_LIMIT = "30s"
_TRIES = 3
_DRIVER_FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError)

log = structlog.get_logger()


async def copy_postgres(database: Database, target: Path, facts: dict[str, str]) -> int:
    """Copy the database as it is now to a new file (0600) that appears whole or not at all; its size in bytes.

    Raises BackupFailed, DatabaseAway.
    """
    partial = target.with_suffix(".partial")
    try:
        async with database.read() as connection:
            schema = await schema_of(connection)
            size = await connection.execute(sa.text("SELECT pg_database_size(current_database())"))
            await asyncio.to_thread(require_space, target.parent, int(size.scalar_one()))
            await _make_empty(partial, schema)
            await _fill(await _driver_of(connection), partial, facts)
        return await asyncio.to_thread(set_in_place, partial, target)
    except (OSError, sqlite3.Error) as error:
        raise BackupFailed(f"cannot write {target.name} in {target.parent}: {told(error)}") from error
    except _DRIVER_FAILURES as error:
        raise DatabaseAway(f"the database was lost while it was copied: {type(error).__name__}") from error
    finally:
        for path in (partial, Path(f"{partial}-wal"), Path(f"{partial}-shm")):
            path.unlink(missing_ok=True)


async def pour_into_postgres(staged: Path, database: Database, *, keeps_what_happened: bool) -> None:
    """Give the database the contents of `staged`, which has the newest schema, at once.

    `keeps_what_happened`: of the ledger and the audit log only what is missing is added, and sums stay.
    Raises BadDatabase for what PostgreSQL cannot hold, BackupFailed, DatabaseAway; nothing has changed then.
    """
    for tries_left in reversed(range(_TRIES)):
        try:
            async with database.write() as connection:
                await _hold_back_writers(connection)
                await _replace(connection, staged, keeps_what_happened=keeps_what_happened)
        except (*_DRIVER_FAILURES, SQLAlchemyError) as error:
            if _fault(error) != Fault.BUSY or not tries_left:
                raise _refusal(error) from error
            log.info("restore_tries_again", reason=type(error).__name__)
        except sqlite3.Error as error:
            raise BadDatabase(f"it cannot be read: {error}") from error
        else:
            return


async def _make_empty(path: Path, schema: str) -> None:
    await asyncio.to_thread(path.unlink, missing_ok=True)
    empty = open_file(path)
    try:
        await empty.migrate(schema)
    finally:
        await empty.close()


async def _fill(driver: asyncpg.Connection, path: Path, facts: dict[str, str]) -> None:
    with closing(await asyncio.to_thread(_open_for_filling, path)) as copy:
        indexes = _drop_indexes(copy)
        for table, columns in _shapes(copy):
            copy.execute(f"DELETE FROM {table}")  # noqa: S608  (names of our own schema)
            insert = f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * (columns.count(',') + 1))})"  # noqa: S608  (the same)
            cursor = await driver.cursor(await _selecting(driver, table, columns))
            while rows := await cursor.fetch(_batch_of(table), timeout=_LIMIT_S):
                await asyncio.to_thread(_insert, copy, insert, rows)
        await asyncio.to_thread(_finish, copy, indexes, facts)


def _insert(copy: sqlite3.Connection, insert: str, rows: Sequence[Any]) -> None:
    # The cursor must end in this thread: elsewhere it would reset the statement while the next batch uses it.
    copy.executemany(insert, rows).close()


async def _selecting(driver: asyncpg.Connection, table: str, columns: str) -> str:
    """JSON is asked for as the text that it is: the driver would read it."""
    found = (await driver.prepare(f"SELECT {columns} FROM {table}")).get_attributes()  # noqa: S608  (names of our own schema)
    asked = (f'"{one.name}"::text' if one.type.name == "json" else f'"{one.name}"' for one in found)
    return f"SELECT {', '.join(asked)} FROM {table}"  # noqa: S608  (the same)


def _open_for_filling(path: Path) -> sqlite3.Connection:
    # The file is thrown away unless all went well, so it needs no journal. It goes from thread to thread, one at a time.
    copy = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for pragma in ("journal_mode=DELETE", "journal_mode=OFF", "synchronous=OFF", "cache_size=-32768"):
        copy.execute(f"PRAGMA {pragma}")
    copy.execute("BEGIN")
    return copy


def _drop_indexes(copy: sqlite3.Connection) -> list[str]:
    """Indexes are made in a fraction of the time when the rows are there. Gives the statements that make them again."""
    found = copy.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL").fetchall()
    for name, _ in found:
        copy.execute(f'DROP INDEX "{name}"')
    return [statement for _, statement in found]


def _finish(copy: sqlite3.Connection, indexes: Iterable[str], facts: dict[str, str]) -> None:
    for statement in indexes:
        copy.execute(statement)
    write_facts(copy, facts)
    copy.execute("COMMIT")
    copy.execute("PRAGMA journal_mode=DELETE")


def _shapes(copy: sqlite3.Connection) -> list[tuple[str, str]]:
    """Each table of the file with the names of its columns."""
    names = [name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return [(name, _quoted(row[1] for row in copy.execute(f"PRAGMA table_info({name})"))) for name in names]


async def _hold_back_writers(connection: AsyncConnection) -> None:
    """Wait for those who write, and keep others waiting. In the order in which they take their locks: revision first, log last."""
    await connection.execute(sa.text(f"SET LOCAL lock_timeout = '{_LOCK_LIMIT}'"))
    await take_ledger_turn(connection)
    first, last = tables.revision.name, tables.audit_log.name
    names = sorted(name for name in tables.metadata.tables if name not in (first, last))
    for name in (first, *names, last):
        await connection.execute(sa.text(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE"))


async def _replace(connection: AsyncConnection, staged: Path, *, keeps_what_happened: bool) -> None:
    driver = await _driver_of(connection)
    kept = {*ADDED_ROWS, *NEWER_ROWS} if keeps_what_happened else set()
    for table in tables.metadata.sorted_tables:
        if table is tables.revision:
            await _take_over_revision(connection, staged)
        elif table.name not in kept:
            await driver.execute(f"DELETE FROM {table.name}", timeout=_LIMIT_S)  # noqa: S608  (names of our own schema)
            await _copy_in(driver, staged, table, into=table.name)
        elif table.name in ADDED_ROWS:
            await driver.execute(f"CREATE TEMP TABLE restored (LIKE {table.name}) ON COMMIT DROP")
            await _copy_in(driver, staged, table, into="restored")
            insert = f"INSERT INTO {table.name} SELECT * FROM restored ON CONFLICT DO NOTHING"  # noqa: S608  (the same)
            await driver.execute(insert, timeout=_LIMIT_S)
            await driver.execute("DROP TABLE restored")


async def _take_over_revision(connection: AsyncConnection, staged: Path) -> None:
    """Changed and not made anew: whoever waits to raise it goes on from there."""
    with closing(sqlite3.connect(staged)) as source:
        origin, value = source.execute("SELECT origin, value FROM revision").fetchone()
    await connection.execute(sa.update(tables.revision).values(origin=origin, value=value))


async def _copy_in(driver: asyncpg.Connection, staged: Path, table: sa.Table, *, into: str) -> None:
    columns = [column.name for column in table.columns]
    with closing(sqlite3.connect(staged, check_same_thread=False)) as source:
        rows = source.execute(f"SELECT {_quoted(columns)} FROM {table.name}")  # noqa: S608  (names of our own schema)
        try:
            await driver.copy_records_to_table(into, records=_typed(rows, table), columns=columns, timeout=_LIMIT_S)
        except (
            TypeError,
            ValueError,
            OverflowError,
        ) as error:  # as the driver says that a value does not fit its column
            raise _not_held(error, table.name) from error
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
            raise _not_held(error, table.name) from error


async def _typed(rows: sqlite3.Cursor, table: sa.Table) -> AsyncIterator[Sequence[Any]]:
    """Rows as PostgreSQL takes them: SQLite knows no booleans, and holds a number of JSON as a number."""
    kinds = [(index, column.type) for index, column in enumerate(table.columns)]
    booleans = [index for index, kind in kinds if isinstance(kind, sa.Boolean)]
    documents = [index for index, kind in kinds if isinstance(kind, sa.JSON)]
    while batch := await asyncio.to_thread(rows.fetchmany, _batch_of(table.name)):
        for row in batch:
            values = list(row)
            for index in booleans:
                values[index] = None if values[index] is None else bool(values[index])
            for index in documents:
                if isinstance(values[index], int | float):
                    values[index] = msgspec.json.encode(values[index]).decode()
            yield values


async def _driver_of(connection: AsyncConnection) -> Any:
    """The driver's own connection, in the transaction that has begun."""
    return (await connection.get_raw_connection()).driver_connection


def _batch_of(table: str) -> int:
    return _BATCH_OF_BODIES if table == tables.request_bodies.name else _BATCH


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _fault(error: Exception) -> Fault:
    if isinstance(error, asyncpg.DeadlockDetectedError | asyncpg.LockNotAvailableError):
        return Fault.BUSY
    if isinstance(error, asyncpg.DiskFullError):
        return Fault.FULL
    return fault_of(error)


def _not_held(error: Exception, table: str) -> BadDatabase:
    """Without the value: it may be a secret."""
    return BadDatabase(f"PostgreSQL cannot hold a row of its table {table}: {type(error).__name__}")


def _refusal(error: Exception) -> Exception:
    fault = _fault(error)
    if fault == Fault.BUSY:
        return BackupFailed("others hold the database: try again")
    if fault == Fault.FULL:
        return BackupFailed("the disk of the database is full")
    return DatabaseAway(f"the database was lost on the way: {type(error).__name__}")
