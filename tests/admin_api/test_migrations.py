"""The schema that the migrations make is the one the code expects, from every earlier one, on both databases."""

import asyncio
import json
import re
import sqlite3
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import IntegrityError

import admin_api.store.migrations.versions
from admin_api.move_commands import migrate
from admin_api.services.backups import SchemaTooNew, migrate_safely
from admin_api.store.combos import ComboRow, combos
from admin_api.store.credentials import admin_tokens, users
from admin_api.store.database import get_revision, open_database
from admin_api.store.tables import metadata
from admin_api.store.usage_sums import load_latencies, load_sums
from tests.support.admin_plane import make_settings

VERSIONS = sorted(
    re.match(r"\d+", path.name)[0] for path in Path(admin_api.store.migrations.versions.__path__[0]).glob("[0-9]*.py")
)
NOT_ROWS = ("alembic_version",)
GONE = ("usage_rollups", "admin_password", "sessions")
"""What newer schemas keep in another form, with tests of their own; sessions end."""
pytestmark = pytest.mark.both_databases


@pytest.fixture
def empty_url(database_url, request):
    """The URL of a database that has no schema yet."""
    if not database_url:
        yield ""
        return
    postgres = request.getfixturevalue("postgres")
    url = postgres.make_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture
async def empty(tmp_path, empty_url):
    database = open_database(empty_url, tmp_path)
    yield database
    await database.close()


@pytest.fixture
async def database(empty):
    await empty.migrate()
    return empty


def differences(connection):
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return compare_metadata(context, metadata)


def fill(connection):
    """One row in every table that there is, each column with a value of its kind. Gives the rows as they are read again."""
    found = sa.MetaData()
    found.reflect(connection)
    for table in found.sorted_tables:
        if table.name not in (*NOT_ROWS, "revision"):
            connection.execute(sa.insert(table).values({column.name: sample(column) for column in table.columns}))
    return read_all(connection, found)


def sample(column):
    kind = column.type
    if isinstance(kind, sa.JSON):
        return ["kept"]
    if isinstance(kind, sa.String):
        return "kept"[: kind.length]
    if isinstance(kind, sa.Boolean):
        return True
    return 7200.5 if isinstance(kind, sa.Float) else 7200


def read_all(connection, tables):
    return {
        table.name: [
            {name: plain(value) for name, value in row._mapping.items()} for row in connection.execute(sa.select(table))
        ]
        for table in tables.sorted_tables
        if table.name not in NOT_ROWS
    }


def plain(value):
    """JSON as what it says, whether the column is told to be JSON or text."""
    return json.loads(value) if isinstance(value, str) and value[:1] in ("[", "{") else value


@pytest.mark.parametrize("version", VERSIONS)
async def test_from_every_earlier_schema_the_newest_is_reached_and_every_row_is_kept(empty, version):
    await empty.migrate(to=version)
    async with empty.write() as connection:
        before = await connection.run_sync(fill)
    await empty.migrate()
    async with empty.read() as connection:
        assert await connection.run_sync(differences) == []
        after = await connection.run_sync(lambda inner: read_all(inner, metadata))
    for table, rows in before.items():
        if table in GONE:
            continue
        for row in rows:
            assert any(row.items() <= kept.items() for kept in after[table]), table


async def test_from_nothing_the_migrations_make_every_table(database):
    async with database.read() as connection:
        assert await connection.run_sync(differences) == []
        assert await get_revision(connection) == 0


async def test_a_second_start_changes_nothing(database):
    async with database.change():
        pass
    await database.migrate()
    async with database.read() as connection:
        assert await get_revision(connection) == 1


async def test_the_command_brings_the_schema_up_to_date_and_says_so(empty_url, tmp_path, capsys):
    settings = make_settings(tmp_path, "", database_url=empty_url)
    assert [await migrate(settings), await migrate(settings)] == [0, 0]
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith(", was empty")
    assert second == f"schema {VERSIONS[-1]}: nothing to do"


async def test_a_schema_of_a_newer_version_is_left_alone_and_named(database, empty_url, tmp_path):
    await database.migrate()
    async with database.write() as connection:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNew, match=r"schema 9999, .* start the newer version"):
        await migrate_safely(database, make_settings(tmp_path, "", database_url=empty_url), time.time)
    assert await database.get_schema() == "9999"


async def test_a_change_that_fails_raises_no_revision(database):
    combo = ComboRow("1", "c", [], "priority", {}, True, False, 0, 0)
    async with database.change() as change:
        await combos.insert(change.connection, combo)
    with pytest.raises(IntegrityError):
        async with database.change() as change:
            await combos.insert(change.connection, combo)
    async with database.read() as connection:
        assert await get_revision(connection) == 1


async def test_a_file_is_in_wal_mode(tmp_path):
    database = open_database("", tmp_path)
    await database.migrate()
    await database.close()
    connection = sqlite3.connect(tmp_path / "omniroute.db")
    try:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    finally:
        connection.close()


async def test_processes_that_start_together_take_turns(empty, empty_url, tmp_path):
    others = [open_database(empty_url, tmp_path) for _ in range(3)]
    await asyncio.gather(*(one.migrate() for one in (empty, *others)))
    for one in others:
        await one.close()
    async with empty.read() as connection:
        assert await connection.run_sync(differences) == []


async def test_writers_of_the_configuration_queue_up_and_none_fails(database, empty_url, tmp_path):
    other = open_database(empty_url, tmp_path)

    async def write(one, name):
        async with one.change() as change:
            await combos.insert(change.connection, ComboRow(name, name, [], "priority", {}, True, False, 0, 0))
            return change.revision

    revisions = await asyncio.gather(*(write((database, other)[n % 2], f"c{n}") for n in range(20)))
    await other.close()
    assert sorted(revisions) == list(range(1, 21))


async def test_a_reader_keeps_its_view_while_a_writer_commits(database):
    async with database.read() as connection:
        assert await get_revision(connection) == 0
        async with database.change():
            pass
        assert await get_revision(connection) == 0


async def test_sums_of_days_come_to_longer_spans(empty):
    await empty.migrate(to="0011")
    began, day, rest = 1_799_971_200, 86_400, ", 0" * 13
    async with empty.write() as connection:
        for number in range(40):
            values = f"('model', 'd', {began + number * day}, 'p/m', 1{rest})"
            await connection.exec_driver_sql(f"INSERT INTO usage_sums VALUES {values}")
            await connection.exec_driver_sql(
                f"INSERT INTO latency_counts VALUES ('d', {began + number * day}, 'p', 'duration', 5, 1)"
            )
    await empty.migrate()
    async with empty.read() as connection:
        for since, requests in ((0, 40), (began, 40), (began + 3 * day, 37), (began + 39 * day, 1)):
            assert (await load_sums(connection, "model", since))["requests"] == requests
            assert (await load_latencies(connection, since))["p", "duration"] == {5: requests}


@pytest.mark.parametrize("version", [version for version in VERSIONS if version < "0009"])
async def test_from_every_earlier_schema_the_password_and_the_tokens_stay(empty, version):
    await empty.migrate(to=version)
    role = "admin" if version < "0005" else "owner"
    async with empty.write() as connection:
        await connection.execute(sa.text("INSERT INTO admin_password (id, hash, updated_at) VALUES (1, 'kept', 5.0)"))
        await connection.execute(
            sa.text(
                "INSERT INTO admin_tokens (id, name, token_hash, role, created_at) VALUES ('t', 't', 'h', :role, 1.0)"
            ),
            {"role": role},
        )
    await empty.migrate()
    async with empty.read() as connection:
        [user] = await users.load_all(connection)
        [token] = await admin_tokens.load_all(connection)
    assert (user.id, user.name, user.role, user.password_hash, user.is_active) == (
        "admin",
        "admin",
        "owner",
        "kept",
        True,
    )
    assert (token.role, token.scopes, token.expires_at) == ("owner", [], 0.0)
