"""Backups: whole, kept in number, restored at once or not at all, and never without saying why."""

import asyncio
import contextlib
import dataclasses
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from admin_api.auth.sessions import create_admin_token
from admin_api.jobs.backup import BackupJob
from admin_api.jobs.usage import FoldHoursJob
from admin_api.services.backups import TURN_LIMIT_S, migrate_safely
from admin_api.store.database import get_revision, known_schemas, open_database
from admin_api.store.usage_sums import load_sums
from gateway.config.keys import digest_of
from gateway.config.snapshot import decode_key_entry
from gateway.state import keys as redis_keys
from tests.admin_api.test_ledger import record as request_record
from tests.admin_api.test_usage_sums import BEGAN, keep
from tests.support.admin_plane import (
    ADMIN_TOKEN,
    PASSWORD,
    client_of,
    make_plane,
    make_settings,
    published_snapshot,
    rows_beside,
)

pytestmark = pytest.mark.both_databases


async def make_node(admin, prefix):
    body = {"prefix": prefix, "baseUrl": "http://127.0.0.1:9001/v1", "allowPrivate": True}
    assert (await admin.post("/api/provider-nodes", json=body)).status_code == 201


async def make_backup(admin):
    answer = await admin.put("/api/db-backups")
    assert answer.status_code == 201, answer.text
    return answer.json()["backup"]


async def restore(admin, backup_id, **more):
    return await admin.post("/api/db-backups", json={"backupId": backup_id, **more})


def rows(path, statement):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


async def test_a_backup_is_whole_private_and_listed(admin, plane):
    await make_node(admin, "one")
    made = await make_backup(admin)
    path = plane.backups.folder / made["id"]
    assert rows(path, "SELECT prefix FROM provider_nodes") == [("one",)]
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    assert path.stat().st_mode & 0o777 == 0o600
    assert plane.backups.folder.stat().st_mode & 0o777 == 0o700
    listed = (await admin.get("/api/db-backups")).json()
    assert listed["available"] is True
    assert listed["backups"] == [made]
    assert (made["reason"], made["size"]) == ("manual", path.stat().st_size)


async def test_backups_restores_and_exports_at_once_are_made_one_after_the_other(admin, plane):
    await make_node(admin, "one")
    first = await make_backup(admin)
    answers = await asyncio.gather(
        *(admin.put("/api/db-backups") for _ in range(3)),
        *(admin.get("/api/db-backups/export") for _ in range(2)),
        restore(admin, first["id"]),
    )
    assert [answer.status_code for answer in answers] == [201, 201, 201, 200, 200, 200]
    made = [one["id"] for one in (await admin.get("/api/db-backups")).json()["backups"]]
    assert len(made) == 5
    for name in made:
        assert rows(plane.backups.folder / name, "PRAGMA integrity_check") == [("ok",)]
        assert rows(plane.backups.folder / name, "SELECT prefix FROM provider_nodes") == [("one",)]


async def test_who_waits_too_long_for_another_backup_is_told(admin, plane):
    plane.backups.turn_limit_s = 0.05
    async with plane.backups.turn():
        answer = await admin.put("/api/db-backups")
    assert answer.status_code == 409
    assert "another backup" in answer.json()["error"]["message"]
    plane.backups.turn_limit_s = TURN_LIMIT_S
    await make_backup(admin)


async def test_a_restore_brings_back_what_was_and_workers_take_it_up(admin, plane, redis):
    await make_node(admin, "one")
    kept = (await admin.post("/api/keys", json={"name": "kept"})).json()
    made = await make_backup(admin)
    before = (await published_snapshot(redis)).revision
    await make_node(admin, "two")
    await admin.patch(f"/api/keys/{kept['id']}", json={"rpm": 7})
    later = (await admin.post("/api/keys", json={"name": "later"})).json()
    name = redis_keys.key(digest_of(kept["key"], b"pepper"))
    version = int(await redis.hget(name, "v"))

    answer = await restore(admin, made["id"])

    assert answer.status_code == 200, answer.text
    assert (answer.json()["nodeCount"], answer.json()["published"]) == (1, True)
    snapshot = await published_snapshot(redis)
    assert [node.prefix for node in snapshot.nodes] == ["one"]
    assert snapshot.revision > before
    assert not await redis.exists(redis_keys.key(digest_of(later["key"], b"pepper")))
    assert decode_key_entry(await redis.hget(name, "e")).rpm == 0
    assert int(await redis.hget(name, "v")) > version
    assert [one["reason"] for one in (await admin.get("/api/db-backups")).json()["backups"]] == [
        "pre-restore",
        "manual",
    ]
    await make_node(admin, "three")
    assert [node.prefix for node in (await published_snapshot(redis)).nodes] == ["one", "three"]


async def test_a_restore_can_be_undone(admin, redis):
    made = await make_backup(admin)
    await make_node(admin, "late")
    undo = (await restore(admin, made["id"])).json()["before"]
    assert [node.prefix for node in (await published_snapshot(redis)).nodes] == []
    assert (await restore(admin, undo["id"])).status_code == 200
    assert [node.prefix for node in (await published_snapshot(redis)).nodes] == ["late"]


async def test_the_audit_log_and_the_ledger_survive_a_restore(admin, plane):
    made = await make_backup(admin)
    await make_node(admin, "late")
    async with plane.database.write() as connection:
        await connection.exec_driver_sql("INSERT INTO rejected_records VALUES ('r', 1.0, 'why', 'body')")
        await connection.exec_driver_sql(
            "INSERT INTO latency_counts (span, at, provider, measure, bucket, count) VALUES ('h', 0, 'p', 'm', 1, 5)"
        )
    assert (await restore(admin, made["id"])).status_code == 200
    assert rows_beside(plane, "SELECT id FROM rejected_records") == [("r",)]
    assert rows_beside(plane, "SELECT count FROM latency_counts") == [(5,)]
    entries = (await admin.get("/api/compliance/audit-log")).json()["entries"]
    assert [one["action"] for one in entries[:2]] == ["database.restored", "node.created"]


async def test_rows_of_the_ledger_that_were_lost_since_come_back(admin, plane):
    await keep(plane, *(request_record(number) for number in range(5)))
    made = await make_backup(admin)
    await keep(plane, request_record(7))
    async with plane.database.write() as connection:
        await connection.exec_driver_sql("DELETE FROM request_records WHERE id = '0190-000002'")
    assert (await restore(admin, made["id"])).status_code == 200
    numbers = [row[0][-1] for row in rows_beside(plane, "SELECT id FROM request_records ORDER BY id")]
    assert numbers == ["0", "1", "2", "3", "4", "7"]


async def test_sums_are_not_doubled_by_a_restore_though_their_spans_are_others_by_now(admin, plane):
    plane.now = lambda: BEGAN + 40 * 86_400
    await keep(plane, *(request_record(number) for number in range(5)))
    made = await make_backup(admin)
    await FoldHoursJob(plane)()
    assert (await restore(admin, made["id"])).status_code == 200
    async with plane.database.read() as connection:
        assert (await load_sums(connection, "all", 0))["requests"] == 5
        assert (await load_sums(connection, "all", BEGAN - 86_400))["requests"] == 5


async def test_sessions_end_with_a_restore(plane, admin):
    async with client_of(plane) as client:
        assert (await client.post("/api/auth/login", json={"password": PASSWORD})).status_code == 200
        made = await make_backup(admin)
        assert (await client.get("/api/keys")).status_code == 200
        await restore(admin, made["id"])
        assert (await client.get("/api/keys")).status_code == 401


async def test_only_owners_come_near(plane, admin):
    token = {}
    for role in ("operator", "viewer"):
        async with plane.database.write() as connection:
            _, token[role] = await create_admin_token(connection, role, role, 0.0)
    for secret in token.values():
        async with client_of(plane, headers={"authorization": f"Bearer {secret}"}) as client:
            assert (await client.get("/api/db-backups")).status_code == 403
            assert (await client.put("/api/db-backups")).status_code == 403
            assert (await client.get("/api/db-backups/exportAll")).status_code == 403


@pytest.mark.parametrize("name", ["../omniroute.db", "db_../x_manual.sqlite", "omniroute.db", "", "db_x.sqlite"])
async def test_a_name_that_is_no_backup_is_not_found(admin, name):
    assert (await restore(admin, name)).status_code == 404


async def test_a_damaged_backup_is_refused_and_nothing_changes(admin, plane, redis):
    await make_node(admin, "one")
    made = await make_backup(admin)
    path = plane.backups.folder / made["id"]
    data = bytearray(path.read_bytes())
    data[8192 : 8192 + 4096] = os.urandom(4096)
    path.write_bytes(data)
    before = (await published_snapshot(redis)).revision
    answer = await restore(admin, made["id"])
    assert answer.status_code == 400, answer.text
    assert (await published_snapshot(redis)).revision == before
    assert [one["id"] for one in (await admin.get("/api/db-backups")).json()["backups"]] == [made["id"]]
    assert list(plane.settings.data_dir.glob(".restore-*")) == []


async def test_a_backup_of_another_encryption_key_is_refused_unless_accepted(admin, tmp_path, shared_valkey, redis):
    await make_node(admin, "one")
    await admin.post("/api/providers", json={"provider": "one", "name": "a", "apiKey": "sk-upstream-secret-value"})
    made = await make_backup(admin)
    elsewhere = tmp_path / "elsewhere"
    settings = make_settings(elsewhere, shared_valkey.url)
    for change, says in (
        ({"storage_encryption_key": "66" * 32}, "STORAGE_ENCRYPTION_KEY"),
        ({"api_key_secret": "other"}, "API_KEY_SECRET"),
    ):
        other = await make_plane(dataclasses.replace(settings, data_dir=elsewhere / says, **change))
        other.backups.folder.mkdir()
        shutil.copy(tmp_path / "backups" / made["id"], other.backups.folder)
        async with client_of(other, headers={"authorization": f"Bearer {ADMIN_TOKEN}"}) as client:
            answer = await restore(client, made["id"])
            assert answer.status_code == 409
            assert says in answer.json()["error"]["message"]
            assert (await client.get("/api/provider-nodes")).json()["nodes"] == []
            assert (await restore(client, made["id"], acceptOtherSecrets=True)).status_code == 200
            assert len((await client.get("/api/provider-nodes")).json()["nodes"]) == 1
        await other.close()


async def test_a_backup_of_a_newer_version_is_refused(admin, plane):
    made = await make_backup(admin)
    with contextlib.closing(sqlite3.connect(plane.backups.folder / made["id"])) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    answer = await restore(admin, made["id"])
    assert answer.status_code == 400
    assert "newer version" in answer.json()["error"]["message"]


async def test_a_migration_is_preceded_by_a_backup_of_what_was(tmp_path):
    settings = make_settings(tmp_path, "unix:///nowhere")
    database = open_database("", tmp_path)
    await migrate_safely(database, settings, time.time)
    await database.close()
    assert list(tmp_path.glob("backups/*")) == []  # there was nothing to lose
    before, *_ = known_schemas()[1:]
    await downgrade_mark(tmp_path, before)
    database = open_database("", tmp_path)
    with contextlib.suppress(Exception):  # the tables are there already; what counts is what was done before
        await migrate_safely(database, settings, time.time)
    await database.close()
    (made,) = tmp_path.glob("backups/*_pre-migration.sqlite")
    assert rows(made, "SELECT version_num FROM alembic_version") == [(before,)]


async def downgrade_mark(folder, schema):
    with contextlib.closing(sqlite3.connect(folder / "omniroute.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (schema,))
        connection.commit()


async def test_the_setting_says_when_backups_are_made_and_how_many_stay(admin, plane):
    job = BackupJob(plane)
    moment = [1_800_000_000.0]
    plane.backups._now = lambda: moment[0]
    answer = await admin.patch("/api/settings", json={"backups": {"every_h": 2, "keep": 3}})
    assert answer.json()["backups"] == {"every_h": 2, "keep": 3}
    manual = await make_backup(admin)
    for _ in range(10):
        await job()
        moment[0] += 3600
    ids = [one.id for one in await plane.backups.load_all() if one.reason == "scheduled"]
    assert len(ids) == 3
    assert manual["id"] in [one.id for one in await plane.backups.load_all()]
    await admin.patch("/api/settings", json={"backups": {"every_h": 0}})
    moment[0] += 1e6
    await job()
    assert [one.id for one in await plane.backups.load_all() if one.reason == "scheduled"] == ids


async def test_a_full_disk_is_told_and_leaves_nothing_behind(admin, plane):
    folder = plane.backups.folder
    folder.mkdir()
    if (
        os.getuid()
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True
        ).returncode
    ):
        pytest.skip("needs the right to mount a small disk")
    try:
        answer = await admin.put("/api/db-backups")
        assert answer.status_code == 507
        assert "the disk is full" in answer.json()["error"]["message"]
        assert list(folder.iterdir()) == []
        assert (await admin.get("/api/keys")).status_code == 200
    finally:
        subprocess.run(["umount", str(folder)], check=True)


POURING = """
import sys
from pathlib import Path
from admin_api.store.backup_files import pour
print("go", flush=True)
pour(Path(sys.argv[1]), Path(sys.argv[2]))
print("done", flush=True)
"""


@pytest.mark.process
@pytest.mark.parametrize("after_s", [0.0, 0.01, 0.03, 0.06, 0.1, 0.2])
def test_a_restore_that_is_killed_leaves_the_old_or_the_new_and_never_a_mixture(tmp_path, after_s):
    live, staged = tmp_path / "live.db", tmp_path / "staged.db"
    for path, word in ((live, "old"), (staged, "new")):
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("CREATE TABLE t (word TEXT, filler BLOB)")
            connection.executemany("INSERT INTO t VALUES (?, zeroblob(20000))", [(word,)] * 2000)
            connection.commit()
    with contextlib.closing(sqlite3.connect(staged)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    process = subprocess.Popen(
        [sys.executable, "-c", POURING, str(staged), str(live)], stdout=subprocess.PIPE, cwd=Path.cwd()
    )
    assert process.stdout.readline() == b"go\n"
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert rows(live, "PRAGMA integrity_check") == [("ok",)]
    found = rows(live, "SELECT word, count(*) FROM t GROUP BY word")
    assert found in ([("old", 2000)], [("new", 2000)])


async def test_readers_and_the_ledger_go_on_while_a_backup_is_made(admin, plane):
    made = asyncio.create_task(admin.put("/api/db-backups"))
    async with plane.database.change():
        pass
    async with plane.database.read() as connection:
        assert await get_revision(connection) > 0
    assert (await made).status_code == 201


async def test_what_a_killed_restore_left_behind_goes(plane):
    folder = plane.settings.data_dir
    for name in (".restore-old", ".restore-young"):
        (folder / name).mkdir()
        (folder / name / "staged.db").write_bytes(b"x")
    os.utime(folder / ".restore-old", (0, 0))
    await BackupJob(plane)()
    assert [path.name for path in folder.glob(".restore-*")] == [".restore-young"]
