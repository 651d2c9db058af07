"""How what keeps things is doing is shown as it is: sizes, backups, the state store, and whether the file is whole."""

import asyncio
import sqlite3

import pytest

from admin_api.jobs.check_storage import EVERY_S, CheckStorageJob
from admin_api.services.storage_view import HIGH_SPOOL_BYTES, LOW_DISK_BYTES, problems_of
from admin_api.store.storage_files import Stopped, find_damage
from tests.support.admin_plane import ADMIN_TOKEN, client_of, make_plane, make_settings


async def health(admin):
    answer = await admin.get("/api/storage/health")
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.both_databases
async def test_sizes_and_stores_are_told(admin, plane):
    shown = await health(admin)
    is_file = plane.database.path is not None
    assert shown["driver"] == ("sqlite" if is_file else "postgresql")
    assert shown["database"]["sizeBytes"] > 0
    assert shown["database"]["isNewest"]
    assert shown["stateStore"]["up"]
    assert shown["stateStore"]["usedBytes"] > 0
    assert shown["stateStore"]["writesLast"]
    assert 0 < shown["disk"]["freeBytes"] <= shown["disk"]["totalBytes"]
    assert shown["spool"]["sizeBytes"] == 0


async def test_backups_are_counted_and_the_next_one_is_told(admin, plane):
    assert (await health(admin))["backups"]["lastAt"] is None
    made = (await admin.put("/api/db-backups")).json()["backup"]
    await plane.backups.create("scheduled")
    shown = (await health(admin))["backups"]
    assert shown["count"] == 2
    assert shown["sizeBytes"] >= made["size"]
    assert shown["dueAt"] == pytest.approx(shown["lastAt"] + 24 * 3600)


async def test_a_look_at_all_pages_is_taken_once_a_day_and_remembered(admin, plane, redis):
    job, begun = CheckStorageJob(plane), plane.now()
    assert (await health(admin))["database"]["integrity"] is None
    await job()
    found = (await health(admin))["database"]["integrity"]
    assert (found["ok"], found["damage"]) == (True, "")
    plane.now = lambda: begun + EVERY_S / 2
    await CheckStorageJob(plane)()
    assert (await health(admin))["database"]["integrity"] == found, "not yet, though the process began anew"
    plane.now = lambda: begun + EVERY_S + 60
    await job()
    assert (await health(admin))["database"]["integrity"]["checkedAt"] == begun + EVERY_S + 60


async def test_a_damaged_file_is_told(tmp_path):
    path = tmp_path / "omniroute.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)")
    connection.executemany("INSERT INTO t (text) VALUES (?)", [("x" * 500,) for _ in range(1000)])
    connection.commit()
    connection.close()
    assert find_damage(path, lambda: False) == ""
    with path.open("r+b") as file:
        file.seek(8 * 4096)
        file.write(b"\xff" * 4096)
    assert find_damage(path, lambda: False)
    assert "cannot be read" in find_damage(tmp_path / "gone.db", lambda: False)


async def test_a_look_ends_when_it_is_told_to(plane):
    async with plane.database.write() as connection:
        await connection.exec_driver_sql("CREATE TABLE big AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<200000) SELECT i, hex(randomblob(20)) AS h FROM n")  # fmt: skip
    with pytest.raises(Stopped):
        await asyncio.to_thread(find_damage, plane.database.path, lambda: True)


def view_of(**more):
    view = {
        "database": {"integrity": None},
        "backups": {"dueAt": None, "everyH": 24.0},
        "disk": {"freeBytes": LOW_DISK_BYTES},
        "stateStore": {"up": True, "usedShare": 0.1, "writesLast": True},
        "spool": {"sizeBytes": 0},
    }
    for name, values in more.items():
        view[name] = {**view[name], **values}
    return view


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({}, []),
        ({"database": {"integrity": {"ok": False, "damage": "page 7"}}}, ["database"]),
        ({"database": {"integrity": {"ok": True, "damage": ""}}}, []),
        ({"disk": {"freeBytes": LOW_DISK_BYTES - 1}}, ["disk"]),
        ({"backups": {"dueAt": 1000.0}}, []),
        ({"backups": {"dueAt": 1000.0 - 25 * 3600}}, ["backups"]),
        ({"stateStore": {"up": False}}, ["stateStore"]),
        ({"stateStore": {"usedShare": 0.7}}, ["stateStore"]),
        ({"stateStore": {"writesLast": False}}, ["stateStore"]),
        ({"spool": {"sizeBytes": HIGH_SPOOL_BYTES + 1}}, ["spool"]),
    ],
    ids=["well", "damaged", "whole", "little-room", "due", "late", "away", "full", "cannot-write", "spooling"],
)
def test_what_an_operator_should_look_at(more, what):
    assert [one["what"] for one in problems_of(view_of(**more), now=1000.0)] == what


async def test_it_answers_while_redis_is_away(tmp_path, own_valkey):
    plane = await make_plane(make_settings(tmp_path, own_valkey.url))
    own_valkey.stop()
    async with client_of(plane, headers={"authorization": f"Bearer {ADMIN_TOKEN}"}) as admin:
        shown = await health(admin)
    assert (shown["status"], shown["stateStore"]["up"]) == ("degraded", False)
    await plane.close()
