"""Stored bodies come to SQL once, are shown to who may see them, and go by age and by size; rows go by age, sums stay."""

import pytest

from admin_api.auth.sessions import create_admin_token
from admin_api.jobs.bodies import KeepBodiesJob, RetentionJob
from gateway.domain.bodies import StoredBodies
from gateway.state import keys as redis_keys
from gateway.state.body_stream import put_bodies
from gateway.state.resp import RespClient
from tests.admin_api.test_ledger import record
from tests.admin_api.test_usage_sums import keep
from tests.support.admin_plane import make_plane, make_settings, rows_beside

pytestmark = pytest.mark.both_databases
DAY = 86_400.0
NOW = 1_800_000_000.0 + 100 * DAY


@pytest.fixture
async def plane(tmp_path, redis, shared_valkey, database_url):
    settings = make_settings(tmp_path, shared_valkey.url, database_url=database_url, redis_cache_url=shared_valkey.url)
    plane = await make_plane(settings)
    plane.now = lambda: NOW
    assert await plane.publisher.publish(60.0)
    yield plane
    await plane.close()


@pytest.fixture
async def worker(shared_valkey):
    client = RespClient(shared_valkey.url, budget_s=1.0)
    client.start()
    assert await client.wait_until_up(5)
    yield client
    await client.close()


def bodies(number, *, at=NOW, size=100):
    text = "é" * (size // 4)
    return StoredBodies(f"0190-{number:06d}", at, text, size * 9, text, size)


async def put(worker, *found, cap=65_536):
    for one in found:
        assert await put_bodies(worker, one, cap)


def ids(plane):
    return [row[0] for row in rows_beside(plane, "SELECT id FROM request_bodies ORDER BY id")]


async def settle(admin, **logs):
    answer = await admin.patch("/api/settings", json={"logs": logs})
    assert answer.status_code == 200, answer.text


async def test_the_store_is_looked_into_again_and_again_over_one_connection(plane, redis):
    job = KeepBodiesJob(plane)
    await job()
    before = (await redis.info("stats"))["total_connections_received"]
    for _ in range(3):
        await job()
    assert (await redis.info("stats"))["total_connections_received"] == before


async def test_what_workers_put_is_in_sql_once_and_no_longer_in_the_store(plane, worker, redis):
    await put(worker, *(bodies(number) for number in range(100)), bodies(3))
    await redis.xadd(redis_keys.BODIES, {"b": b"no bodies"})
    await KeepBodiesJob(plane)()
    assert len(ids(plane)) == 100
    assert await redis.xlen(redis_keys.BODIES) == 0
    await KeepBodiesJob(plane)()


async def test_the_stream_takes_only_so_much(worker, redis):
    for _ in range(8):
        assert await put_bodies(worker, bodies(1), 1024 * 1024)
    assert not await put_bodies(worker, bodies(1), 1024 * 1024)
    assert await redis.xlen(redis_keys.BODIES) == 8
    assert 0 < await redis.pttl(redis_keys.BODIES) <= 3_600_000


async def test_owners_and_operators_see_them_and_viewers_do_not(plane, worker, client, admin):
    await keep(plane, record(1), record(2))
    await put(worker, bodies(1))
    await KeepBodiesJob(plane)()
    async with plane.database.change() as change:
        tokens = {
            role: (await create_admin_token(change.connection, role, role, NOW))[1] for role in ("operator", "viewer")
        }
    shown = {"request": "é" * 25, "requestBytes": 900, "response": "é" * 25, "responseBytes": 100}
    assert (await admin.get("/api/usage/logs/0190-000001")).json()["bodies"] == shown
    assert (await admin.get("/api/usage/call-logs/0190-000002")).json()["bodies"] is None
    for role, sees in (("operator", True), ("viewer", False)):
        answer = await client.get("/api/usage/logs/0190-000001", headers={"authorization": f"Bearer {tokens[role]}"})
        assert answer.status_code == 200
        assert answer.json().get("bodies", "nothing") == (shown if sees else "nothing")
    assert "bodies" not in (await admin.get("/api/usage/logs")).json()["logs"][0]


async def test_bodies_go_by_age(plane, worker, admin):
    await put(worker, *(bodies(day, at=NOW - day * DAY) for day in range(20)))
    await KeepBodiesJob(plane)()
    await settle(admin, body_retention_days=0)
    await RetentionJob(plane)()
    assert len(ids(plane)) == 20
    await settle(admin, body_retention_days=4.5)
    await RetentionJob(plane)()
    assert ids(plane) == [f"0190-{day:06d}" for day in range(5)]


async def test_bodies_go_by_their_size_the_oldest_first(plane, worker, admin):
    await put(worker, *(bodies(number, at=NOW - number, size=400_000) for number in range(8)))
    await KeepBodiesJob(plane)()
    await settle(admin, body_retention_mb=0)
    await RetentionJob(plane)()
    assert len(ids(plane)) == 8
    await settle(admin, body_retention_mb=1)
    await RetentionJob(plane)()
    assert ids(plane) == ["0190-000000", "0190-000001"]


async def test_rows_and_their_bodies_go_by_age_and_sums_stay(plane, worker, admin):
    await keep(plane, *(record(day, at=NOW - day * DAY) for day in range(60)))
    await keep(plane, record(99, at=NOW - 99 * DAY, endpoint="semantic_embeddings"))
    await put(worker, *(bodies(day, at=NOW - day * DAY) for day in range(5)))
    await KeepBodiesJob(plane)()
    sums = rows_beside(plane, "SELECT * FROM usage_sums ORDER BY kind, span, at, name")
    await RetentionJob(plane)()
    assert rows_beside(plane, "SELECT count(*) FROM request_records") == [(61,)]
    await settle(admin, log_retention_days=2.5, body_retention_days=0)
    await RetentionJob(plane)()
    left = [row[0] for row in rows_beside(plane, "SELECT id FROM request_records ORDER BY id")]
    assert left == ["0190-000000", "0190-000001", "0190-000002", "0190-000099"]
    assert ids(plane) == left[:3]
    assert rows_beside(plane, "SELECT * FROM usage_sums ORDER BY kind, span, at, name") == sums


async def test_without_a_cache_store_nothing_fails(plane, own_valkey):
    own_valkey.stop()
    plane.settings = make_settings(plane.settings.data_dir, plane.settings.redis_url, redis_cache_url=own_valkey.url)
    await KeepBodiesJob(plane)()
    plane.settings = make_settings(plane.settings.data_dir, plane.settings.redis_url)
    await KeepBodiesJob(plane)()
