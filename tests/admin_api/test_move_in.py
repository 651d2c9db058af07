"""Moving in from the seed system: what can move moves, what cannot is told, and nothing else is touched."""

import contextlib
import hashlib
import os
import sqlite3

import pytest

from admin_api.services.move_in import is_move_offered, move_in
from gateway.config.envelope import open_sealed
from gateway.config.keys import digest_of
from gateway.config.snapshot import decode_key_entry
from gateway.state import keys as redis_keys
from tests.support.admin_plane import ENCRYPTION_KEY, published_snapshot
from tests.support.seed_system import (
    ACCESS_TOKEN,
    KEY_OF_CI,
    NODE_ID,
    SEED_KEY,
    UPSTREAM_KEY,
    make_seed_database,
)


@pytest.fixture
def seed(tmp_path):
    return make_seed_database(tmp_path / "seed.sqlite")


async def upload(admin, path, query="", **fields):
    with path.open("rb") as file:
        return await admin.post(f"/api/db-backups/import{query}", files={"file": ("storage.sqlite", file)}, data=fields)


async def test_everything_that_can_move_reaches_the_workers(admin, plane, redis, seed):
    answer = await upload(admin, seed, encryptionKey=SEED_KEY)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["imported"], body["kind"], body["published"]) == (True, "seed", True)
    assert body["taken"] == {
        "nodes": 1, "connections": 2, "models": 1, "aliases": 1, "combos": 1, "chains": 1, "keys": 1, "prices": 1, "settings": 1,
    }  # fmt: skip
    snapshot = await published_snapshot(redis)
    (node,) = snapshot.nodes
    assert (node.prefix, node.base_url, node.dialect, node.allow_private) == (
        "local", "http://127.0.0.1:9001/v1", "openai_chat", True,
    )  # fmt: skip
    (connection,) = snapshot.connections  # the other one was switched off
    assert (connection.id, connection.provider, connection.name, connection.priority) == ("c1", NODE_ID, "main", 2)
    key = bytes.fromhex(ENCRYPTION_KEY)
    assert open_sealed(connection.api_key, "c1", key) == UPSTREAM_KEY
    (combo,) = snapshot.combos
    assert [(one.model, one.weight) for one in combo.models] == [("local/m1", 0), ("local/m2", 2)]
    assert (combo.strategy, combo.config) == ("weighted", {"sticky_limit": 2, "max_retries": 3})
    assert [(one.pattern, one.target) for one in snapshot.aliases] == [("fast", "local/m1")]
    assert snapshot.fallback_chains[0].models == ("local/m2",)
    (price,) = [one for one in snapshot.prices if not one.is_default]
    assert (price.model, price.input, price.output, price.cache_read, price.reasoning) == ("local/m1", 1.5, 2, 0.25, 3)
    assert snapshot.models[0].id == "m9"
    assert snapshot.settings.account_strategy == "round-robin"
    entry = decode_key_entry(await redis.hget(redis_keys.key(digest_of(KEY_OF_CI, b"pepper")), "e"))
    assert (entry.name, entry.allowed_models, entry.is_no_log) == ("ci", ("local/*",), True)
    rows = {row["id"]: row for row in (await admin.get("/api/providers")).json()["connections"]}
    assert (rows["c2"]["isActive"], rows["c2"]["hasProxy"]) == (False, True)
    assert rows["c1"]["providerSpecificData"] == {"region": "eu"}
    assert (rows["c1"]["defaultModel"], rows["c1"]["rateLimitProtection"]) == ("m1", True)


async def test_the_report_names_what_stayed_behind_and_why(admin, seed):
    body = (await upload(admin, seed, encryptionKey=SEED_KEY)).json()
    reasons = {(one["kind"], one["name"]): one["reason"] for one in body["leftOut"]}
    for kind, name, says in (
        ("node", "Metadata", "metadata"),
        ("connection", "a@b.example", "not served here"),
        ("connection", "lost", "does not open"),
        ("alias", "gone", "not served here"),
        ("combo", "nowhere", "none of its models"),
        ("combo", "broken", "none of its models"),
        ("key", "odd", "header"),
        ("key", "unclear", "which models"),
        ("setting", "password", "not taken over"),
    ):
        assert says in reasons[kind, name], (kind, name, reasons)
    assert any("usage_history: 1 rows" in note for note in body["notes"])
    assert any("always-on" in note and "1 of its models" in note for note in body["notes"])


async def test_no_secret_of_the_seed_is_told(admin, plane, seed, capfd):
    answer = await upload(admin, seed, encryptionKey=SEED_KEY)
    log = (await admin.get("/api/compliance/audit-log?limit=500")).text
    out, err = capfd.readouterr()
    for secret in (UPSTREAM_KEY, ACCESS_TOKEN, KEY_OF_CI, SEED_KEY, "not-to-move", "p@ss", "p%40ss", "$2b$12$"):
        assert secret not in answer.text + log + out + err
        assert secret.encode() not in plane.database.path.read_bytes()


async def test_moving_in_twice_changes_nothing(admin, redis, seed):
    await upload(admin, seed, encryptionKey=SEED_KEY)
    before = await published_snapshot(redis)
    body = (await upload(admin, seed, encryptionKey=SEED_KEY)).json()
    assert body["taken"] == {}
    after = await published_snapshot(redis)
    assert (after.nodes, after.connections, after.combos) == (before.nodes, before.connections, before.combos)


async def test_a_dry_run_says_the_same_and_keeps_nothing(admin, plane, redis, seed):
    before = await published_snapshot(redis)
    tried = (await upload(admin, seed, "?dry_run=true", encryptionKey=SEED_KEY)).json()
    assert tried["imported"] is False
    assert await published_snapshot(redis) == before
    assert await plane.backups.load_all() == []
    done = (await upload(admin, seed, encryptionKey=SEED_KEY)).json()
    assert (done["taken"], done["leftOut"]) == (tried["taken"], tried["leftOut"])


async def test_without_the_old_key_what_is_sealed_stays_behind(admin, seed):
    body = (await upload(admin, seed)).json()
    assert body["connectionCount"] == 1
    reasons = {one["name"]: one["reason"] for one in body["leftOut"] if one["kind"] == "connection"}
    assert "STORAGE_ENCRYPTION_KEY" in reasons["main"]


async def test_what_was_before_can_be_restored(admin, redis, seed):
    backup = (await upload(admin, seed, encryptionKey=SEED_KEY)).json()["backup"]
    assert backup.endswith("_pre-import.sqlite")
    assert (await admin.post("/api/db-backups", json={"backupId": backup})).status_code == 200
    assert (await published_snapshot(redis)).nodes == ()
    assert not await redis.exists(redis_keys.key(digest_of(KEY_OF_CI, b"pepper")))


def damaged(path):
    data = bytearray(path.read_bytes())
    data[4096:8192] = os.urandom(4096)
    path.write_bytes(data)


def without_a_table(path):
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("DROP TABLE combos")
        database.commit()


def other_columns(path):
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript("DROP TABLE combos; CREATE TABLE combos (x); INSERT INTO combos VALUES (1)")


@pytest.mark.parametrize(
    "spoil",
    [
        damaged,
        without_a_table,
        lambda path: path.write_bytes(b"not a database" * 1000),
        lambda path: path.write_bytes(b"SQLite format 3\x00" + os.urandom(50_000)),
        lambda path: path.write_bytes(b"SQLite format 3\x00"),
        lambda path: path.write_bytes(b""),
    ],
)
async def test_what_is_no_database_of_ours_or_the_seeds_is_refused_and_nothing_changes(
    admin, plane, redis, seed, spoil
):
    spoil(seed)
    before = await published_snapshot(redis)
    answer = await upload(admin, seed, encryptionKey=SEED_KEY)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["details"][0]["field"] == "file"
    assert await published_snapshot(redis) == before
    assert await plane.backups.load_all() == []
    assert [path for path in plane.settings.data_dir.iterdir() if path.name.startswith(".")] == []


async def test_columns_that_are_not_there_leave_a_row_behind_and_no_more(admin, seed):
    other_columns(seed)
    body = (await upload(admin, seed, encryptionKey=SEED_KEY)).json()
    assert (body["comboCount"], body["connectionCount"]) == (0, 2)


async def test_a_file_may_be_the_body_itself(admin, seed):
    answer = await admin.post(
        "/api/db-backups/import", content=seed.read_bytes(), headers={"content-type": "application/octet-stream"}
    )
    assert answer.json()["connectionCount"] == 1


async def test_more_than_a_hundred_megabytes_are_refused(admin):
    async def endless():
        for _ in range(101):
            yield bytes(1 << 20)

    answer = await admin.post(
        "/api/db-backups/import", content=endless(), headers={"content-type": "application/octet-stream"}
    )
    assert answer.status_code == 413


async def test_a_backup_of_ours_is_restored_by_the_same_door(admin, plane, redis):
    body = {"prefix": "one", "baseUrl": "http://127.0.0.1:9001/v1", "allowPrivate": True}
    await admin.post("/api/provider-nodes", json=body)
    made = (await admin.put("/api/db-backups")).json()["backup"]["id"]
    await admin.delete("/api/provider-nodes/one")
    answer = await upload(admin, plane.backups.folder / made)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["kind"], answer.json()["nodeCount"]) == ("backup", 1)
    assert [node.prefix for node in (await published_snapshot(redis)).nodes] == ["one"]


async def test_the_offer_ends_once_somebody_has_moved_in(admin, plane, seed):
    assert not await is_move_offered(plane)
    seed.rename(plane.settings.seed_database)
    assert await is_move_offered(plane)
    await upload(admin, plane.settings.seed_database, encryptionKey=SEED_KEY)
    assert not await is_move_offered(plane)


def fingerprint(folder):
    return {
        path.name: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) for path in folder.iterdir()
    }


async def test_a_database_in_use_moves_with_its_log_and_is_not_touched(plane, tmp_path):
    folder = tmp_path / "theirs"
    folder.mkdir()
    path = make_seed_database(folder / "storage.sqlite", is_wal=True)
    with contextlib.closing(sqlite3.connect(path)) as theirs:
        theirs.execute("UPDATE api_keys SET name = 'renamed' WHERE id = 'k1'")
        theirs.commit()  # stands in the log alone
        before = fingerprint(folder)
        assert "storage.sqlite-wal" in before
        moved = await move_in(plane, path, [SEED_KEY])
        assert fingerprint(folder) == before
    assert moved.taken["keys"] == 1
    async with plane.database.read() as connection:
        names = (await connection.exec_driver_sql("SELECT name FROM api_keys")).scalars().all()
    assert "renamed" in names
