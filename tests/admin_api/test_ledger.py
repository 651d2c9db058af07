"""Records reach SQL once: from the stream, the spool, and for workers that died; under kill -9 of the admin too."""

import asyncio
import fcntl
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from admin_api.jobs.adopt_spool import AdoptSpoolJob
from admin_api.jobs.ledger import BATCH, LedgerJob
from admin_api.jobs.lost import LostJob
from admin_api.jobs.runner import Job, JobRunner, Lease
from admin_api.services.keep_records import as_lost, keep_records, record_row
from admin_api.services.tariff import load_tariff
from admin_api.store.prices import PriceRow, prices
from admin_api.store.records import insert_records
from gateway.domain.record import AttemptRecord, RequestRecord, decode_record, encode_record
from gateway.domain.usage import Usage
from gateway.state import keys as redis_keys
from gateway.state.records_admin import forget_records, read_records
from gateway.state.spool import Spool
from tests.support.admin_plane import ADMIN_TOKEN, ENCRYPTION_KEY, rows_beside, until


def record(number, **more):
    fields = {
        "id": f"0190-{number:06d}",
        "at": 1_800_000_000.0 + number,
        "worker": "w1",
        "endpoint": "/v1/chat/completions",
        "dialect": "openai_chat",
        "requested_model": "local/m1",
        "provider": "local",
        "connection_id": "c1",
        "model": "m1",
        "key_id": "k1",
        "status": 200,
        "usage": Usage(input=100, output=50, cache_read=40, reasoning=20),
        "attempts": (AttemptRecord("local", "c1", "m1", "committed", 200, 1.5),),
    }
    return RequestRecord(**{**fields, **more})


async def emit(redis, *records):
    pipeline = redis.pipeline()
    for one in records:
        pipeline.xadd(redis_keys.RECORDS, {"r": one if isinstance(one, bytes) else encode_record(one)})
    await pipeline.execute()


query = rows_beside
pytestmark = pytest.mark.both_databases
KILLS = 4


def totals(plane):
    (row,) = query(
        plane,
        "SELECT COALESCE(SUM(requests),0), COALESCE(SUM(errors),0), COALESCE(SUM(input_tokens),0), "
        "COALESCE(SUM(output_tokens),0), COALESCE(SUM(cost_nano_usd),0), COALESCE(SUM(unpriced),0) FROM usage_sums WHERE kind = 'all'",
    )
    return row


async def test_a_record_reaches_sql_and_leaves_the_stream(plane, redis, admin):
    job = LedgerJob(plane)
    await job()
    await emit(redis, record(1), record(2, status=502, error="upstream_error"))
    await job()
    assert await redis.xlen(redis_keys.RECORDS) == 0
    assert totals(plane)[:4] == (2, 1, 200, 100)
    newest, oldest = (await admin.get("/api/usage/logs")).json()["logs"]
    assert newest["error"] == "upstream_error"
    assert oldest["tokens"] == {
        "input": 100, "output": 50, "cacheRead": 40, "cacheWrite": 0, "reasoning": 20, "estimated": False,
    }  # fmt: skip
    assert oldest["attempts"][0]["outcome"] == "committed"
    assert oldest["costNanoUsd"] is None


async def test_a_record_that_comes_twice_counts_once(plane, redis):
    job = LedgerJob(plane)
    await emit(redis, record(1), record(1))
    await job()
    await job()
    await emit(redis, record(1))
    await job()
    assert query(plane, "SELECT COUNT(*) FROM request_records") == [(1,)]
    assert totals(plane)[0] == 1


async def test_what_a_version_before_had_handed_out_through_a_group_is_kept(plane, redis):
    await redis.xgroup_create(redis_keys.RECORDS, "ledger", id="0", mkstream=True)
    await emit(redis, *(record(n) for n in range(30)))
    await redis.xreadgroup("ledger", "the-dead", {redis_keys.RECORDS: ">"}, count=20)
    await LedgerJob(plane)()
    assert totals(plane)[0] == 30
    assert await redis.xlen(redis_keys.RECORDS) == 0


async def test_more_than_a_batch_is_kept_in_one_run(plane, redis):
    await emit(redis, *(record(n) for n in range(BATCH + 5)))
    await LedgerJob(plane)()
    assert totals(plane)[0] == BATCH + 5
    assert await redis.xlen(redis_keys.RECORDS) == 0


async def test_what_comes_while_a_batch_is_kept_stays(redis):
    await emit(redis, record(1), record(2))
    entries = await read_records(redis, 10)
    await emit(redis, record(3))
    assert await forget_records(redis, entries)
    assert [decode_record(blob).id for _, blob in await read_records(redis, 10)] == [record(3).id]


async def test_a_replica_that_missed_the_last_entries_forgets_nothing_unread(redis):
    """It took over, and its clock gives smaller ids than the server before had given."""
    await emit(redis, record(1))
    kept = await read_records(redis, 10)
    read = [*kept, (b"99999999999999-0", encode_record(record(2)))]
    await emit(redis, record(3))
    assert not await forget_records(redis, read)
    assert await redis.xlen(redis_keys.RECORDS) == 2


async def test_a_stream_that_vanished_is_made_again(plane, redis):
    job = LedgerJob(plane)
    await job()
    await redis.flushall()
    await job()
    await emit(redis, record(1))
    await job()
    assert totals(plane)[0] == 1


async def test_what_cannot_be_read_is_set_aside_and_blocks_nothing(plane, redis):
    bad = [
        b"not json", b"{}", b'{"id": 5}', b"\xff\xfe", encode_record(record(3, id="")),
        encode_record(record(4, usage=Usage(input=-1))), encode_record(record(5, usage=Usage(input=1 << 60))),
        encode_record(record(6, at=1e300)),
    ]  # fmt: skip
    await emit(redis, record(1), *bad, record(2))
    await redis.xadd(redis_keys.RECORDS, {"other": "field"})
    await LedgerJob(plane)()
    assert totals(plane)[0] == 2
    assert query(plane, "SELECT COUNT(*) FROM rejected_records") == [(len(bad) + 1,)]
    assert await redis.xlen(redis_keys.RECORDS) == 0


async def test_hostile_text_is_stored_bounded(plane, redis, admin):
    await emit(redis, record(1, error="x" * 100_000, request_id="a\0b", model="'; DROP TABLE request_records; --"))
    await LedgerJob(plane)()
    (log,) = (await admin.get("/api/usage/logs")).json()["logs"]
    assert log["requestId"] == "ab"
    assert len(log["error"]) == 4000


async def test_cost_is_kept_when_a_price_is_known(plane, redis):
    async with plane.change() as change:
        row = PriceRow("local/m1", "local/m1", 0.0, 1.0, 2.0, 0.1, None, None, managed=False, updated_at=0.0, version=1)
        await prices.insert(change.connection, row)
    await emit(redis, record(1), record(2, model="m2"))
    await LedgerJob(plane)()
    # 60 input at 1 $, 40 cached at 0.1 $, 50 output (20 of them reasoning) at 2 $, per million
    cost = 60_000 + 4_000 + 100_000
    assert query(plane, "SELECT id, cost_nano_usd FROM request_records ORDER BY id") == [
        ("0190-000001", cost), ("0190-000002", None),
    ]  # fmt: skip
    assert totals(plane)[4:] == (cost, 1)


async def test_what_the_key_was_charged_is_the_cost_that_is_kept(plane, redis):
    await emit(redis, record(1, cost_nano_usd=7_000))
    await LedgerJob(plane)()
    assert query(plane, "SELECT cost_nano_usd FROM request_records") == [(7_000,)]


async def test_pages_follow_each_other_newest_first(plane, redis, admin):
    await emit(redis, *(record(n, status=500 if n % 2 else 200) for n in range(25)))
    await LedgerJob(plane)()
    seen, cursor = [], ""
    while cursor is not None:
        page = (await admin.get("/api/usage/history", params={"limit": 10, "cursor": cursor})).json()
        seen += [row["id"] for row in page["history"]]
        cursor = page["nextCursor"]
    assert seen == [record(n).id for n in reversed(range(25))]
    errors = (await admin.get("/api/usage/logs?status=error&limit=200")).json()["logs"]
    assert len(errors) == 12
    assert len((await admin.get("/api/usage/logs?status=200&model=m1&key=k1&limit=200")).json()["logs"]) == 13
    for wrong in ("limit=0", "limit=201", "status=bad"):
        assert (await admin.get(f"/api/usage/logs?{wrong}")).status_code == 400


async def test_requests_of_a_dead_worker_become_lost_records_once(plane, redis, admin):
    notes = {record(n).id: encode_record(record(n, status=0, usage=Usage(input=7))) for n in range(3)}
    await redis.sadd(redis_keys.WORKERS, "dead", "alive")
    await redis.hset(redis_keys.inflight("dead"), mapping=notes)
    await redis.hset(redis_keys.inflight("alive"), "x", encode_record(record(9)))
    await redis.set(redis_keys.worker("alive"), b"{}", ex=15)
    await keep_records(plane, [encode_record(record(0))])
    job = LostJob(plane)
    await job()
    assert totals(plane)[0] == 1
    await job()
    assert not await redis.exists(redis_keys.inflight("dead"))
    assert await redis.exists(redis_keys.inflight("alive"))
    assert totals(plane)[0] == 3
    rows = query(plane, "SELECT state, error, status, is_estimated FROM request_records ORDER BY id")
    assert rows == [("final", "", 200, 0), ("lost", "worker_lost", 0, 1), ("lost", "worker_lost", 0, 1)]


async def test_a_worker_that_was_only_stopped_replaces_its_lost_records(plane, redis):
    await keep_records(plane, [encode_record(record(1, status=0, usage=Usage(input=7)))], is_lost=True)
    assert totals(plane)[:3] == (1, 1, 7)
    await emit(redis, record(1))
    await LedgerJob(plane)()
    assert query(plane, "SELECT state, status FROM request_records") == [("final", 200)]
    assert totals(plane)[:3] == (1, 0, 100)


async def test_a_final_row_outlives_a_lost_one_that_another_process_is_writing(plane):
    """The other has not committed yet, and one of our rows was there before."""
    await keep_records(plane, [encode_record(record(1))])
    tariff = await load_tariff(plane)
    async with plane.database.write() as other:
        await insert_records(other, [record_row(as_lost(record(2)), tariff)])
        keeping = asyncio.create_task(keep_records(plane, [encode_record(record(n)) for n in (1, 2)]))
        await asyncio.sleep(0.3)
    await keeping
    assert query(plane, "SELECT id, state FROM request_records ORDER BY id") == [
        ("0190-000001", "final"), ("0190-000002", "final"),
    ]  # fmt: skip


async def test_repeated_batches_of_every_size_are_written_with_the_same_few_statements(plane):
    """Drivers keep what they have prepared: a statement for each count of rows took the admin process 10 MB a minute under load."""
    tariff = await load_tariff(plane)
    said = set()
    for size in range(1, 41):
        rows = [record_row(record(0, id=f"0190-{size}-{number}"), tariff) for number in range(size)]
        more = record_row(record(0, id=f"0190-{size}-more"), tariff)
        for batch, is_new in ((rows[:7], min(size, 7)), ([more, *rows], 1 + max(0, size - 7))):
            async with plane.database.write() as connection:
                listening = (
                    connection.sync_connection,
                    "before_cursor_execute",
                    lambda _c, _cursor, text, *_: said.add(text),
                )
                sa.event.listen(*listening)
                assert await insert_records(connection, batch) == is_new
    assert len(said) < 20


@pytest.mark.parametrize("cut", ["pg_terminate_backend", "pg_cancel_backend"])
async def test_a_database_that_goes_away_in_the_middle_is_no_fault_of_the_records(plane, redis, postgres, cut):
    if not plane.settings.database_url:
        pytest.skip("SQLite is in the process")
    name = plane.settings.database_url.rpartition("/")[2]
    job = LedgerJob(plane)
    await job()
    await emit(redis, *(record(n) for n in range(30)))
    async with plane.database.write() as other:
        await other.execute(sa.text("LOCK TABLE request_records IN EXCLUSIVE MODE"))
        keeping = asyncio.create_task(job())
        await asyncio.sleep(0.5)
        postgres.execute(
            f"SELECT {cut}(pid) FROM pg_stat_activity WHERE datname = '{name}' AND wait_event_type = 'Lock'"
        )
        with pytest.raises(DBAPIError):
            await keeping
    await job()
    assert totals(plane)[0] == 30
    assert query(plane, "SELECT COUNT(*) FROM rejected_records") == [(0,)]


async def test_spool_files_are_adopted_once_their_owner_is_gone(plane):
    owned = Spool(plane.settings.spool_dir, "alive")
    owned.append(encode_record(record(1)))
    left = Spool(plane.settings.spool_dir, "dead")
    for number in (2, 3):
        left.append(encode_record(record(number)))
    left.append(b"not a record")
    left.release()
    (path,) = plane.settings.spool_dir.glob("dead*")
    with path.open("ab") as file:
        file.write(b'{"id": "cut by a cra')
    await AdoptSpoolJob(plane)()
    assert [row[0] for row in query(plane, "SELECT id FROM request_records ORDER BY id")] == [
        "0190-000002",
        "0190-000003",
    ]
    assert query(plane, "SELECT COUNT(*) FROM rejected_records") == [(1,)]
    assert [file.name for file in plane.settings.spool_dir.iterdir()] == ["alive-1.ndjson"]
    owned.release()
    await AdoptSpoolJob(plane)()
    assert totals(plane)[0] == 3


async def test_a_young_empty_spool_file_is_left_to_whoever_makes_it(plane):
    plane.settings.spool_dir.mkdir()
    path = plane.settings.spool_dir / "w-1.ndjson"
    path.touch()
    await AdoptSpoolJob(plane)()
    assert path.exists()
    os.utime(path, (time.time() - 100, time.time() - 100))
    await AdoptSpoolJob(plane)()
    assert not path.exists()


async def test_a_lease_belongs_to_one_until_given_back(redis):
    one, two = Lease(redis, "job", "one"), Lease(redis, "job", "two")
    assert await one.take()
    assert not await two.take()
    assert await one.take()
    await two.give_back()
    assert not await two.take()
    await one.give_back()
    assert await two.take()


async def test_a_failing_job_is_shown_and_tried_again(plane):
    calls = []

    async def run():
        calls.append(1)
        if len(calls) < 3:
            raise ValueError("broken")

    runner = JobRunner(plane, (Job("fragile", every_s=0.01, run=run),))
    runner.start()

    async def failed():
        return plane.jobs["fragile"].error

    async def recovered():
        return plane.jobs["fragile"].last_ok_at

    assert await until(failed) == "ValueError: broken"
    assert await until(recovered)
    await runner.stop()
    assert await plane.redis.get(redis_keys.lease("fragile")) is None


async def can_connect(socket):
    try:
        _, writer = await asyncio.open_unix_connection(str(socket))
    except OSError:
        return False
    writer.close()
    return True


def start_admin(plane):
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path.cwd()),
        "DATA_DIR": str(plane.settings.data_dir),
        "REDIS_URL": plane.settings.redis_url,
        "DATABASE_URL": plane.settings.database_url,
        "STORAGE_ENCRYPTION_KEY": ENCRYPTION_KEY,
        "API_KEY_SECRET": "pepper",
        "JWT_SECRET": "jwt",
        "OMNIROUTE_ADMIN_TOKEN": ADMIN_TOKEN,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "admin_api", "serve"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.process
async def test_each_record_counts_exactly_once_however_often_the_admin_is_killed(plane, redis):
    """A producer writes records all the time while the admin is killed at random moments; some also arrive twice."""
    chance = random.Random(7)
    kills = total = 0

    async def produce():
        nonlocal total
        while kills < KILLS:
            batch = [record(n) for n in range(total, total + 20)]
            await emit(redis, *batch)
            if total % 200 == 0:
                await emit(redis, *batch)
            total += 20
            await asyncio.sleep(0.08)

    async def has_got_somewhere():
        """Or nothing would be tried by a kill."""
        return query(plane, "SELECT COUNT(*) FROM request_records")[0][0] > before

    async def is_drained():
        return await redis.xlen(redis_keys.RECORDS) == 0

    producing = asyncio.create_task(produce())
    process = start_admin(plane)
    try:
        while kills < KILLS:
            before = query(plane, "SELECT COUNT(*) FROM request_records")[0][0]
            await until(has_got_somewhere, 40)
            await asyncio.sleep(chance.random() * 0.3)
            process.send_signal(signal.SIGKILL)
            process.wait(10)
            kills += 1
            await redis.delete(redis_keys.lease("ledger"))  # as if its 6 s had passed
            process = start_admin(plane)
        await producing
        await until(is_drained, 40)
        await until(lambda: can_connect(plane.settings.admin_socket), 20)
    finally:
        process.terminate()
        assert process.wait(15) == 0
    assert query(plane, "SELECT COUNT(*), COUNT(DISTINCT id) FROM request_records") == [(total, total)]
    assert totals(plane)[:4] == (total, 0, 100 * total, 50 * total)


CUT_AFTER_COMMIT = """
import asyncio, os, sys
from pathlib import Path
import admin_api.jobs.ledger as ledger
from tests.support.admin_plane import make_plane, make_settings

async def main():
    plane = await make_plane(make_settings(Path(sys.argv[1]), sys.argv[2], database_url=sys.argv[3]))
    job = ledger.LedgerJob(plane)
    def die(*_arguments, **_options):
        os.kill(os.getpid(), 9)
    plane.redis.eval = die
    await job()
asyncio.run(main())
"""


@pytest.mark.process
async def test_a_kill_between_commit_and_acknowledgement_doubles_nothing(plane, redis):
    await LedgerJob(plane)()
    await emit(redis, *(record(n) for n in range(100)))
    command = [sys.executable, "-c", CUT_AFTER_COMMIT, str(plane.settings.data_dir), plane.settings.redis_url,
               plane.settings.database_url]  # fmt: skip
    ended = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(Path.cwd())}, timeout=100)
    assert ended.returncode == -signal.SIGKILL
    assert totals(plane)[0] == 100
    assert await redis.xlen(redis_keys.RECORDS) == 100
    await LedgerJob(plane)()
    assert totals(plane)[0] == 100
    assert await redis.xlen(redis_keys.RECORDS) == 0


def test_the_lock_of_a_spool_file_is_the_one_that_is_looked_at(tmp_path):
    spool = Spool(tmp_path, "w")
    spool.append(b"{}")
    (path,) = tmp_path.iterdir()
    with path.open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    spool.release()


def test_a_record_can_be_read_by_eye():
    assert msgspec.json.decode(encode_record(record(1)))["id"] == "0190-000001"
