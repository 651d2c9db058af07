"""What Redis holds follows SQL: keys, epoch, snapshots; after it was emptied, was away, or followed another database."""

import asyncio
import functools
import time
from dataclasses import replace

import pytest

from admin_api.jobs.table import build_jobs
from admin_api.publish import KEPT_SNAPSHOTS, PUBLISH_LIMIT_S, Publisher
from gateway.config.keys import digest_of
from gateway.config.snapshot import decode_key_entry
from gateway.state import keys as redis_keys
from tests.support.admin_plane import (
    client_of,
    make_plane,
    make_settings,
    published_snapshot,
    rows_beside,
)
from tests.support.fault_proxy import FaultProxy

pytestmark = pytest.mark.both_databases


def name_of(secret):
    return redis_keys.key(digest_of(secret, b"pepper"))


async def make_key(admin, **more):
    answer = await admin.post("/api/keys", json={"name": "ci", **more})
    assert answer.status_code == 201
    return answer.json()


async def test_a_new_key_is_in_the_keyring_when_the_answer_comes(admin, redis):
    made = await make_key(admin, allowedModels=["local/*"], rpm=5, budgetUsd=1.5, noLog=True, expiresAt=2e9)
    held = await redis.hgetall(name_of(made["key"]))
    entry = decode_key_entry(held[b"e"])
    assert held[b"v"] == b"1"
    assert (entry.id, entry.name, entry.version) == (made["id"], "ci", 1)
    assert (entry.allowed_models, entry.rpm, entry.is_no_log, entry.expires_at) == (("local/*",), 5, True, 2e9)
    assert (entry.budget_nano_usd, entry.budget_period) == (1_500_000_000, "monthly")


async def test_a_changed_key_has_a_higher_version_and_is_announced(admin, redis):
    made = await make_key(admin)
    listener = redis.pubsub()
    await listener.subscribe(redis_keys.NEWS)
    assert (await admin.patch(f"/api/keys/{made['id']}", json={"rpm": 9})).json()["version"] == 2
    held = await redis.hgetall(name_of(made["key"]))
    assert held[b"v"] == b"2"
    assert decode_key_entry(held[b"e"]).rpm == 9
    news = set()
    while len(news) < 2:
        message = await listener.get_message(ignore_subscribe_messages=True, timeout=2)
        if message:
            news.add(message["data"].decode())
    await listener.aclose()
    revision = (await published_snapshot(redis)).revision
    assert news == {f"snapshot:{revision}", f"key:{digest_of(made['key'], b'pepper')}"}


async def test_a_deleted_and_an_inactive_key_leave_the_keyring(admin, redis):
    one, two = await make_key(admin), await make_key(admin)
    await admin.delete(f"/api/keys/{one['id']}")
    assert not await redis.exists(name_of(one["key"]))
    await admin.patch(f"/api/keys/{two['id']}", json={"isActive": False})
    assert not await redis.exists(name_of(two["key"]))
    await admin.patch(f"/api/keys/{two['id']}", json={"isActive": True})
    assert await redis.exists(name_of(two["key"]))
    assert (await admin.get(f"/api/keys/{one['id']}")).status_code == 404


async def test_no_secret_of_a_key_is_stored_or_shown_again(admin, plane, redis):
    made = await make_key(admin)
    assert made["key"] not in (await admin.get("/api/keys")).text
    assert made["key"] not in (await admin.get(f"/api/keys/{made['id']}")).text
    files = [path for path in plane.settings.data_dir.rglob("*") if path.is_file()]
    assert all(made["key"].encode() not in path.read_bytes() for path in files)


async def test_only_the_newest_snapshots_are_kept(admin, redis):
    for number in range(KEPT_SNAPSHOTS + 3):
        await admin.patch("/api/settings", json={"stickyRoundRobinLimit": number})
    names = await redis.keys("or1:snapshot:*")
    assert len(names) == KEPT_SNAPSHOTS + 1
    assert (await published_snapshot(redis)).settings.sticky_limit == KEPT_SNAPSHOTS + 2


async def test_an_emptied_redis_is_filled_again(admin, plane, redis):
    made = await make_key(admin)
    await redis.flushall()
    assert await plane.publisher.publish(60.0)
    assert await redis.exists(name_of(made["key"]))
    assert await redis.exists(redis_keys.KEYRING_EPOCH)
    assert (await published_snapshot(redis)).revision == plane.publisher.published_revision


async def test_a_lost_epoch_or_current_alone_is_written_again(admin, plane, redis):
    made = await make_key(admin)
    for lost in (redis_keys.KEYRING_EPOCH, redis_keys.SNAPSHOT_CURRENT):
        await redis.delete(lost)
        assert await plane.publisher.publish(60.0)
        assert await redis.exists(redis_keys.KEYRING_EPOCH, redis_keys.SNAPSHOT_CURRENT, name_of(made["key"])) == 3


async def test_while_redis_is_away_changes_succeed_and_reach_it_when_it_is_back(tmp_path, own_valkey, database_url):
    plane = await make_plane(make_settings(tmp_path, own_valkey.url, database_url=database_url))
    try:
        async with client_of(plane, headers={"authorization": f"Bearer {plane.settings.admin_token}"}) as admin:
            own_valkey.stop()
            made = (await admin.post("/api/keys", json={"name": "made while away"})).json()
            assert made["published"] is False
            assert (await admin.get("/api/monitoring/health")).json()["status"] == "degraded"
            own_valkey.start()
            assert await plane.publisher.publish(60.0)
            assert await plane.redis.exists(name_of(made["key"]))
            assert (await admin.get("/api/monitoring/health")).json()["redis"]["up"]
    finally:
        await plane.close()


async def test_a_new_database_over_an_old_redis_gets_a_higher_revision_and_removes_strangers(
    tmp_path, admin, redis, shared_valkey
):
    stranger = await make_key(admin)
    old = (await published_snapshot(redis)).revision
    plane = await make_plane(make_settings(tmp_path / "new", shared_valkey.url, initial_key="sk-or-the-new-one-0123"))
    try:
        assert await plane.publisher.publish(60.0)
        assert (await published_snapshot(redis)).revision > old
        assert await redis.exists(name_of("sk-or-the-new-one-0123"))
        assert await plane.publisher.republish_all()
        assert not await redis.exists(name_of(stranger["key"]))
        assert await redis.exists(redis_keys.SNAPSHOT_CURRENT)
    finally:
        await plane.close()


class SlowRedis:
    """Does what the real one does; before one command on one name something else happens."""

    def __init__(self, redis, command, name, meanwhile):
        self._redis, self._command, self._name, self._meanwhile = redis, command, name, meanwhile

    def __getattr__(self, name):
        act = getattr(self._redis, name)
        return functools.partial(self._after, act) if name == self._command else act

    async def _after(self, act, name, *arguments, **options):
        if name == self._name and not options:
            await self._meanwhile()
        return await act(name, *arguments, **options)


async def test_who_looks_while_another_process_publishes_first_does_not_take_it_for_another_database(
    tmp_path, redis, shared_valkey, database_url
):
    """Each of them would raise the revision above the other's."""
    settings = make_settings(tmp_path, shared_valkey.url, database_url=database_url)
    one, other = await make_plane(settings), await make_plane(settings)
    try:
        ((begun,),) = rows_beside(one, "SELECT value FROM revision")
        slow = SlowRedis(redis, "set", redis_keys.KEYRING_EPOCH, other.publisher.publish)
        assert await publisher_with(one, slow).publish(60.0)
        assert rows_beside(one, "SELECT value FROM revision") == [(begun,)]
        assert (await published_snapshot(redis)).revision == begun
    finally:
        await one.close()
        await other.close()


async def test_an_edit_while_a_new_process_compares_is_not_taken_for_another_meaning(plane, redis):
    async def edit():
        async with plane.change():
            pass

    ((begun,),) = rows_beside(plane, "SELECT value FROM revision")
    slow = SlowRedis(redis, "get", redis_keys.snapshot(begun), edit)
    assert await publisher_with(plane, slow).publish(60.0)
    assert rows_beside(plane, "SELECT value FROM revision") == [(begun + 1,)]
    assert (await published_snapshot(redis)).revision == begun + 1


def publisher_with(plane, redis):
    return Publisher(plane.database, redis, is_demo_enabled=True, now=plane.now, shipped_prices=plane.shipped_prices)


async def test_a_restart_with_the_demo_switched_off_publishes_that(tmp_path, plane, redis, shared_valkey):
    assert (await published_snapshot(redis)).settings.is_demo_enabled
    again = await make_plane(replace(plane.settings, is_demo_enabled=False))
    try:
        assert await again.publisher.publish(60.0)
        assert not (await published_snapshot(redis)).settings.is_demo_enabled
    finally:
        await again.close()


async def test_changes_at_once_all_arrive(admin, redis):
    answers = await asyncio.gather(*(admin.post("/api/keys", json={"name": f"k{n}"}) for n in range(20)))
    assert all(answer.json()["published"] for answer in answers)
    assert await redis.exists(*(name_of(answer.json()["key"]) for answer in answers)) == 20


async def test_many_keys_are_published_whole(plane, redis):
    from admin_api.services.key_rules import new_key_row
    from admin_api.store.keys import keys

    async with plane.change() as change:
        for number in range(2500):
            await keys.insert(change.connection, new_key_row(plane, f"secret {number}", f"k{number}", change.revision))
    assert await plane.publisher.publish(60.0)
    assert await redis.exists(*(name_of(f"secret {number}") for number in range(2500))) == 2500


async def test_what_takes_longer_than_a_change_may_wait_is_published_by_the_job(tmp_path, own_valkey, database_url):
    async with FaultProxy(own_valkey.url.removeprefix("unix://")) as proxy:
        slow = f"redis://127.0.0.1:{proxy.port}/0"
        plane = await make_plane(make_settings(tmp_path, slow, database_url=database_url))
        try:
            proxy.latency_s = 0.15
            began = time.monotonic()
            await next(job for job in build_jobs(plane) if job.name == "publish").run()
            assert plane.publisher.problem == ""
            assert plane.publisher.published_revision >= 0
            assert time.monotonic() - began > PUBLISH_LIMIT_S  # else it would say nothing
        finally:
            proxy.heal()
            await plane.close()
