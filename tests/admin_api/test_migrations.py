"""The schema that the migrations make is the one the code expects."""

import sqlite3

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import IntegrityError

from admin_api.store.combos import ComboRow, combos
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
