"""The pool, the three kinds of transaction, and the migrations. SQLite by default, PostgreSQL by `DATABASE_URL`.

`change()` is the only way to alter configuration: it raises the revision in the same transaction, first, so that
writers queue up there instead of failing half way.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from admin_api.store import tables
from admin_api.store.faults import DatabaseAway
from admin_api.store.postgres_url import connect_arguments
from admin_api.store.trail import OPTION, Trail

FILE_NAME = "omniroute.db"
_MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 0x6F6D6E69
_START_LOCK = 0x6F6D6E6B
_TURN_LIMIT_S, _TURN_POLL_S = 7200.0, 0.25
_BUSY_TIMEOUT_MS = 5000


@dataclass(frozen=True, slots=True)
class Change:
    """An open transaction that has raised the revision to `revision`. What it does to rows is noted in `trail`."""

    connection: AsyncConnection
    revision: int
    trail: Trail


class Database:
    """One engine. Every transaction ends inside its `async with`. `path` is the file of a SQLite database, else None."""

    def __init__(self, engine: AsyncEngine, path: Path | None = None) -> None:
        self._engine = self._reading = engine
        self.path = path
        if engine.dialect.name == "postgresql":
            # Whatever the server's default is. Each statement of a writer sees what others have committed, so one that waited
            # for the revision goes on from there; a reader has one view for all its statements, as SQLite gives it.
            self._engine = engine.execution_options(isolation_level="READ COMMITTED")
            self._reading = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads: one consistent view."""
        async with self._reading.connect() as connection, connection.begin():
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that writes what is not configuration (ledger, sessions)."""
        async with self._engine.connect() as connection:
            await connection.execution_options(is_write=True)
            async with connection.begin():
                yield connection

    @asynccontextmanager
    async def change(self) -> AsyncIterator[Change]:
        """A transaction that writes configuration; raises the revision."""
        async with self.write() as connection:
            trail = Trail()
            await connection.execution_options(**{OPTION: trail})
            yield Change(connection, await raise_revision(connection), trail)

    @asynccontextmanager
    async def act(self) -> AsyncIterator[Change]:
        """A transaction that writes users, tokens and the like: noted as a change is, but workers need not hear."""
        async with self.write() as connection:
            trail = Trail()
            await connection.execution_options(**{OPTION: trail})
            yield Change(connection, await get_revision(connection), trail)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Processes that start together go one after the other through what is done before and by a migration."""
        if self.path is not None:
            yield
            return
        async with self._engine.connect() as connection, connection.begin():
            # Asked again and again: a backup may take longer than a statement may wait.
            async with asyncio.timeout(_TURN_LIMIT_S):
                while not (  # noqa: ASYNC110  (who holds it is another process)
                    await connection.execute(sa.select(sa.func.pg_try_advisory_xact_lock(_START_LOCK)))
                ).scalar():
                    await asyncio.sleep(_TURN_POLL_S)
            yield

    async def migrate(self, to: str = "head") -> None:
        """Bring the schema up to date, or up to an older revision. Two processes that start together take turns."""
        async with self.write() as connection:
            if connection.dialect.name == "postgresql":
                await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            await connection.run_sync(_upgrade, to)

    async def get_schema(self) -> str:
        """The migration that made the schema; empty when there is none yet."""
        async with self.read() as connection:
            return await schema_of(connection)

    async def close(self) -> None:
        await self._engine.dispose()


def open_database(database_url: str, data_dir: Path) -> Database:
    """Open `database_url`, or `omniroute.db` of the data dir when it is empty. No query is sent yet. Raises BadDatabaseUrl."""
    if database_url:
        return Database(_open_postgres(database_url))
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    return open_file(data_dir / FILE_NAME)


def open_file(path: Path) -> Database:
    """Open a SQLite file, made private and empty if there is none. No query is sent yet."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    engine = create_async_engine(
        sa.URL.create("sqlite+aiosqlite", database=str(path)),
        pool_timeout=10,
        # The one that was used last knows pages that still hold; all in turn would each read and keep them.
        pool_use_lifo=True,
        hide_parameters=True,
        json_serializer=_encode_json,
        json_deserializer=msgspec.json.decode,
    )
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return Database(engine, path)


def known_schemas() -> tuple[str, ...]:
    """The migrations of this version, the newest first."""
    return tuple(script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


def _open_postgres(database_url: str) -> AsyncEngine:
    arguments = connect_arguments(database_url)

    async def connect() -> asyncpg.Connection:
        try:
            return await asyncpg.connect(**arguments)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise DatabaseAway(f"the database is not reached: {type(error).__name__}: {error}") from error

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=10,
        pool_pre_ping=True,
        pool_timeout=10,
        hide_parameters=True,
        json_serializer=_encode_json,
        json_deserializer=msgspec.json.decode,
    )


def _encode_json(value: object) -> str:
    return msgspec.json.encode(value).decode()


async def raise_revision(connection: AsyncConnection, above: int = 0) -> int:
    """Raise the configuration's revision and give the new one, which is also greater than `above`."""
    statement = (
        sa.update(tables.revision)
        .values(value=sa.case((tables.revision.c.value > above, tables.revision.c.value), else_=above) + 1)
        .returning(tables.revision.c.value)
    )
    return int((await connection.execute(statement)).scalar_one())


async def take_turns(connection: AsyncConnection) -> None:
    """Wait for whoever writes configuration now, and keep others waiting until this transaction ends."""
    await connection.execute(sa.select(tables.revision.c.value).with_for_update())


async def schema_of(connection: AsyncConnection) -> str:
    """The migration that made the schema that a transaction sees; empty when there is none yet."""
    return await connection.run_sync(lambda inner: MigrationContext.configure(inner).get_current_revision()) or ""


async def get_revision(connection: AsyncConnection) -> int:
    return int((await connection.execute(sa.select(tables.revision.c.value))).scalar_one())


async def get_origin(connection: AsyncConnection) -> str:
    """Which database this is: two that were begun apart differ."""
    return str((await connection.execute(sa.select(tables.revision.c.origin))).scalar_one())


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transaction handling begins too late for a consistent read; `_begin_sqlite` does it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # A writer takes the lock at once: a reader that turns writer cannot wait for it and would fail.
    is_write = connection.get_execution_options().get("is_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_write else "BEGIN")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _upgrade(connection: sa.Connection, to: str) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, to)
