"""The schema that the migrations make is the one the code expects."""

import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy.exc import IntegrityError

from admin_api.store import database as database_module
from admin_api.store.combos import ComboRow, combos
from admin_api.store.credentials import admin_tokens, users
from admin_api.store.database import get_revision, open_database
from admin_api.store.tables import metadata


@pytest.fixture
async def database(tmp_path):
    database = open_database("", tmp_path)
    await database.migrate()
    yield database
    await database.close()


async def test_from_nothing_the_migrations_make_every_table(database):
    def differences(connection):
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, metadata)

    async with database.read() as connection:
        assert await connection.run_sync(differences) == []
        assert await get_revision(connection) == 0


async def test_a_second_start_changes_nothing(database):
    async with database.change():
        pass
    await database.migrate()
    async with database.read() as connection:
        assert await get_revision(connection) == 1


async def test_a_change_that_fails_raises_no_revision(database):
    combo = ComboRow("1", "c", [], "priority", {}, True, False, 0, 0)
    async with database.change() as change:
        await combos.insert(change.connection, combo)
    with pytest.raises(IntegrityError):
        async with database.change() as change:
            await combos.insert(change.connection, combo)
    async with database.read() as connection:
        assert await get_revision(connection) == 1


async def test_the_file_is_in_wal_mode(database, tmp_path):
    connection = sqlite3.connect(tmp_path / "omniroute.db")
    try:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    finally:
        connection.close()


async def test_a_reader_keeps_its_view_while_a_writer_commits(database):
    async with database.read() as connection:
        assert await get_revision(connection) == 0
        async with database.change():
            pass
        assert await get_revision(connection) == 0


REVISIONS = [
    path.name[:4] for path in sorted((Path(database_module.__file__).parent / "migrations" / "versions").glob("0*.py"))
]


@pytest.mark.parametrize("revision", REVISIONS)
async def test_from_every_earlier_revision_the_password_and_the_tokens_stay(tmp_path, revision):
    database = open_database("", tmp_path)

    def upgrade_to(connection):
        config = Config()
        config.set_main_option("script_location", str(database_module._MIGRATIONS))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        if revision < "0009":
            role = "admin" if revision < "0005" else "owner"
            connection.exec_driver_sql("INSERT INTO admin_password (id, hash, updated_at) VALUES (1, 'kept', 5.0)")
            connection.exec_driver_sql(
                "INSERT INTO admin_tokens (id, name, token_hash, role, created_at) VALUES ('t', 't', 'h', ?, 1.0)",
                (role,),
            )

    async with database.write() as connection:
        await connection.run_sync(upgrade_to)
    await database.migrate()
    async with database.read() as connection:
        differing = await connection.run_sync(
            lambda inner: compare_metadata(MigrationContext.configure(inner, opts={"compare_type": True}), metadata)
        )
        assert differing == []
        if revision < "0009":
            [user] = await users.load_all(connection)
            assert (user.id, user.name, user.role, user.password_hash, user.is_active) == (
                "admin",
                "admin",
                "owner",
                "kept",
                True,
            )
            [token] = await admin_tokens.load_all(connection)
            assert (token.role, token.scopes, token.expires_at) == ("owner", [], 0.0)
    await database.close()
