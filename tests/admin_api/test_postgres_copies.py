"""A backup of PostgreSQL is the same file as one of SQLite, and either goes into either: all of it or nothing."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from admin_api.jobs.backup import BackupJob
from admin_api.services.backups import Backups, migrate_safely
from admin_api.store.backup_files import BadDatabase, check_intact
from admin_api.store.database import get_revision, known_schemas, open_database, open_file
from admin_api.store.postgres_copies import copy_postgres, pour_into_postgres
from admin_api.store.tables import metadata
from tests.admin_api.test_migrations import sample
from tests.support.admin_plane import ADMIN_TOKEN, client_of, make_plane, make_settings

HARD = {
    ("settings", "value"): 0.8,
    ("audit_log", "before"): None,
    ("audit_log", "after"): {"a": [1, "é", None, True], "b": "'\"\\"},
    ("request_records", "cost_nano_usd"): None,
    ("request_records", "first_byte_ms"): None,
    ("request_records", "input_tokens"): (1 << 62) + 1,
    ("request_records", "error"): "Ü 漢字 \U0001f600 \n\t\\N \x7f",
    ("prices", "input"): 1e-12,
    ("users", "is_active"): False,
}
ROWS = 3


@pytest.fixture
async def postgres_database(postgres, migrated_template, tmp_path):
    url = postgres.make_database(template=migrated_template)
    database = open_database(url, tmp_path)
    database.url = url
    yield database
    await database.close()
    postgres.drop_database(url)


@pytest.fixture
async def staged(tmp_path):
    """A SQLite file of the newest schema with rows in every table, some of them hard to carry."""
    path = tmp_path / "staged.db"
    database = open_file(path)
    await database.migrate()
    async with database.write() as connection:
        for table in metadata.sorted_tables:
            if table.name == "revision":
                continue
            for number in range(ROWS):
                await connection.execute(sa.insert(table).values(hard_row(table, number)))
        await connection.execute(sa.update(metadata.tables["revision"]).values(value=77, origin="elsewhere"))
    await database.close()
    return path


def hard_row(table, number):
    row = {column.name: sample(column) for column in table.columns}
    for column in table.columns:
        if column.primary_key or column.unique or column.name in ("name", "provider", "model"):
            row[column.name] = f"{number}é"[: column.type.length] if isinstance(column.type, sa.String) else number
    return row | {name: value for (of, name), value in HARD.items() if of == table.name}


def contents(path, *, but=()):
    """Every row of every table of a SQLite file, in an order that does not depend on how it was made."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return {
            table.name: sorted(connection.execute(f"SELECT {columns_of(table)} FROM {table.name}").fetchall(), key=repr)
            for table in metadata.sorted_tables
            if table.name not in but
        }


def columns_of(table):
    return ", ".join(f'"{column.name}"' for column in table.columns)


async def test_every_row_comes_back_as_it_was_through_postgres(staged, postgres_database, tmp_path):
    await pour_into_postgres(staged, postgres_database, keeps_what_happened=False)
    copy = tmp_path / "copy.sqlite"
    size = await copy_postgres(postgres_database, copy, {"made_at": "1"})
    assert size == copy.stat().st_size
    assert copy.stat().st_mode & 0o777 == 0o600
    assert contents(copy) == contents(staged)
    assert all(len(rows) in (1, ROWS) for rows in contents(copy).values())
    check_intact(copy)
    with contextlib.closing(sqlite3.connect(copy)) as ours, contextlib.closing(sqlite3.connect(staged)) as theirs:
        indexes = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name"
        assert ours.execute(indexes).fetchall() == theirs.execute(indexes).fetchall()


async def test_a_value_that_postgres_cannot_hold_is_told_and_nothing_changes(staged, postgres_database, tmp_path):
    await pour_into_postgres(staged, postgres_database, keeps_what_happened=False)
    before = tmp_path / "before.sqlite"
    await copy_postgres(postgres_database, before, {})
    for wrong in ("'sk-secret-' || hex(zeroblob(200))", "'sk-secret-' || char(0) || 'x'", "x'ff00'"):
        with contextlib.closing(sqlite3.connect(staged)) as connection:
            connection.execute(f"UPDATE provider_connections SET name = {wrong} WHERE id = '2é'")
            connection.execute("UPDATE combos SET strategy = 'other'")
            connection.commit()
        with pytest.raises(BadDatabase) as refused:
            await pour_into_postgres(staged, postgres_database, keeps_what_happened=False)
        assert "sk-secret" not in str(refused.value)
        after = tmp_path / "after.sqlite"
        await copy_postgres(postgres_database, after, {})
        assert contents(after) == contents(before)


async def test_readers_go_on_and_writers_wait_while_it_is_poured(staged, postgres_database, tmp_path):
    """Stopped in the middle by a row that another transaction holds."""
    other = open_database(postgres_database.url, tmp_path)
    async with postgres_database.write() as connection:
        await connection.exec_driver_sql("INSERT INTO settings (name, value, managed) VALUES ('x', '1', false)")
    async with other.write() as held:
        await held.exec_driver_sql("SELECT * FROM settings FOR UPDATE")
        pouring = asyncio.create_task(pour_into_postgres(staged, postgres_database, keeps_what_happened=False))
        while not await waits_for_a_row(other):
            assert not pouring.done()
            await asyncio.sleep(0.05)
        async with other.read() as reader:
            assert await get_revision(reader) == 0
        writing = asyncio.create_task(raise_once(other))
        await asyncio.sleep(0.1)
        assert not writing.done()
    await pouring
    assert await writing == 78
    await other.close()


async def waits_for_a_row(database):
    """Each look in a transaction of its own: within one the server shows what it showed before."""
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'DELETE%'"
    async with database.read() as reader:
        return (await reader.exec_driver_sql(waits)).scalar()


async def raise_once(database):
    async with database.change() as change:
        return change.revision


POURING = """
import asyncio, sys
from pathlib import Path
from admin_api.store.database import open_database
from admin_api.store.postgres_copies import pour_into_postgres
async def main():
    database = open_database(sys.argv[2], Path("/nonexistent"))
    print("go", flush=True)
    await pour_into_postgres(Path(sys.argv[1]), database, keeps_what_happened=False)
asyncio.run(main())
"""


@pytest.mark.process
async def test_a_restore_that_is_killed_leaves_the_old_or_the_new(staged, postgres_database, tmp_path):
    with contextlib.closing(sqlite3.connect(staged)) as connection:
        insert = "INSERT INTO rejected_records SELECT 'n' || value, value, 'new', hex(zeroblob(2000)) FROM json_each(?)"
        connection.execute(insert, (f"[{','.join(map(str, range(8000)))}]",))
        connection.commit()
    async with postgres_database.write() as connection:
        await connection.exec_driver_sql("INSERT INTO rejected_records VALUES ('o', 1, 'old', '')")
    found = set()
    for after_s in (0.0, 0.05, 0.1, 0.2, 0.4):
        command = [sys.executable, "-c", POURING, str(staged), postgres_database.url]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path.cwd())
        assert process.stdout.readline() == b"go\n"
        time.sleep(after_s)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        async with postgres_database.read() as connection:
            statement = "SELECT reason, count(*) FROM rejected_records GROUP BY reason ORDER BY reason"
            now = tuple(map(tuple, await connection.exec_driver_sql(statement)))
        assert now in ((("old", 1),), (("kept", ROWS), ("new", 8000))), now
        found.add(now)
    # What the killed ones held is free again.
    await pour_into_postgres(staged, postgres_database, keeps_what_happened=False)


async def test_a_migration_is_preceded_by_a_backup_once_though_two_start_together(postgres, tmp_path, shared_valkey):
    url = postgres.make_database()
    before = known_schemas()[1]
    database = open_database(url, tmp_path)
    await database.migrate(before)
    async with database.write() as connection:
        await connection.exec_driver_sql("UPDATE revision SET value = 5")
    settings = make_settings(tmp_path, shared_valkey.url, database_url=url)
    others = [open_database(url, tmp_path) for _ in range(2)]
    await asyncio.gather(*(migrate_safely(one, settings, time.time) for one in others))
    assert await database.get_schema() == known_schemas()[0]
    [made] = await Backups(settings, database, time.time).load_all()
    assert made.reason == "pre-migration"
    with contextlib.closing(sqlite3.connect(tmp_path / "backups" / made.id)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(before,)]
        assert connection.execute("SELECT value FROM revision").fetchall() == [(5,)]
    for one in (database, *others):
        await one.close()
    postgres.drop_database(url)


async def test_a_backup_of_sqlite_moves_to_postgres_and_back(
    postgres, migrated_template, tmp_path, shared_valkey, redis
):
    url = postgres.make_database(template=migrated_template)
    planes = [
        await make_plane(make_settings(tmp_path / name, shared_valkey.url, database_url=where))
        for name, where in (("first", ""), ("second", url), ("third", ""))
    ]
    made = None
    for plane in planes:
        async with client_of(plane, headers={"authorization": f"Bearer {ADMIN_TOKEN}"}) as admin:
            if made is None:
                node = {"prefix": "one", "baseUrl": "http://127.0.0.1:9001/v1", "allowPrivate": True}
                assert (await admin.post("/api/provider-nodes", json=node)).status_code == 201
                body = {"provider": "one", "name": "a", "apiKey": "sk-upstream-secret-value"}
                assert (await admin.post("/api/providers", json=body)).status_code == 201
                assert (await admin.post("/api/keys", json={"name": "k", "rpm": 7})).status_code == 201
            else:
                answer = await admin.post("/api/db-backups/import", content=made)
                assert answer.status_code == 200, answer.text
                assert (answer.json()["connectionCount"], answer.json()["published"]) == (1, True)
            [shown] = (await admin.get("/api/providers")).json()["connections"]
            assert shown["name"] == "a"
            assert {key["name"]: key["rpm"] for key in (await admin.get("/api/keys")).json()["keys"]}["k"] == 7
            made = (await admin.get("/api/db-backups/export")).content
            check_intact(write(tmp_path / "made.sqlite", made))
    for plane in planes:
        await plane.close()
    postgres.drop_database(url)


def write(path, data):
    path.write_bytes(data)
    return path


async def test_what_a_killed_backup_left_behind_goes(tmp_path, shared_valkey):
    plane = await make_plane(make_settings(tmp_path, shared_valkey.url))
    plane.backups.folder.mkdir()
    for name in ("db_old.partial", "db_old.partial-wal", "db_young.partial"):
        (plane.backups.folder / name).write_bytes(b"x")
    for name in ("db_old.partial", "db_old.partial-wal"):
        os.utime(plane.backups.folder / name, (0, 0))
    await BackupJob(plane)()
    assert [path.name for path in plane.backups.folder.glob("*.partial*")] == ["db_young.partial"]
    await plane.close()
