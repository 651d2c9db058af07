"""What keys have spent comes back from the ledger after Redis lost it, is never lowered, and is never counted twice."""

import pytest

from admin_api.jobs.reconcile import ReconcileJob
from admin_api.store.keys import load_budget_keys
from gateway.domain.budget import period_of
from gateway.state import keys as redis_keys
from tests.admin_api.test_ledger import record
from tests.admin_api.test_usage_sums import BEGAN, DAY, keep


@pytest.fixture
async def key(plane, admin):
    plane.now = lambda: BEGAN
    made = (await admin.post("/api/keys", json={"name": "k", "budgetUsd": 5, "budgetPeriod": "monthly"})).json()
    return made["id"]


async def counter(plane):
    async with plane.database.read() as connection:
        (row,) = await load_budget_keys(connection, "", 10)
    return redis_keys.key_money(row.digest, period_of("monthly", BEGAN).name)


async def test_what_was_spent_comes_back_on_the_second_look(plane, redis, key):
    name, job = await counter(plane), ReconcileJob(plane)
    await keep(plane, *(record(n, key_id=key, at=BEGAN, cost_nano_usd=1000) for n in range(5)))
    await keep(plane, record(9, key_id=key, at=BEGAN - 40 * DAY, cost_nano_usd=50_000))  # another month's
    await job()
    assert await redis.hget(name, "spent") is None
    await job()
    assert await redis.hget(name, "spent") == b"5000"
    assert await redis.ttl(name) > 0
    await job()
    await job()
    assert await redis.hget(name, "spent") == b"5000"


async def test_a_worker_that_charges_late_is_not_charged_for(plane, redis, key):
    name, job = await counter(plane), ReconcileJob(plane)
    await keep(plane, record(1, key_id=key, at=BEGAN, cost_nano_usd=1000))
    await job()
    await redis.hincrby(name, "spent", 1000)
    await job()
    await job()
    assert await redis.hget(name, "spent") == b"1000"


async def test_what_is_charged_before_its_row_comes_is_left_alone(plane, redis, key):
    name, job = await counter(plane), ReconcileJob(plane)
    await redis.hset(name, "spent", 7000)
    await keep(plane, record(1, key_id=key, at=BEGAN, cost_nano_usd=1000))
    await job()
    await job()
    assert await redis.hget(name, "spent") == b"7000"


async def test_calls_of_the_gateways_own_are_in_no_budget(plane, redis, key):
    name, job = await counter(plane), ReconcileJob(plane)
    await keep(plane, record(1, key_id=key, at=BEGAN, cost_nano_usd=1000))
    await keep(plane, record(2, key_id=key, at=BEGAN, cost_nano_usd=300, endpoint="semantic_embeddings"))
    await job()
    await job()
    assert await redis.hget(name, "spent") == b"1000"
