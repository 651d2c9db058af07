"""Budgets through the API in the seed's words; counters that an emptied Redis gets back; the log of who went too far."""

import pytest

from admin_api.jobs.budgets import BudgetsJob
from admin_api.store.keys import keys
from admin_api.store.usage_sums import raise_sums
from gateway.domain.budget import period_of
from gateway.state import keys as redis_keys

NANO = 1_000_000_000
ZERO = dict.fromkeys(
    ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "saved_input_tokens",
     "saved_output_tokens", "saved_nano_usd", "is_estimated"), 0
)  # fmt: skip
BLANK = {
    **ZERO, "provider": "p", "model": "m", "connection_id": "c", "combo": "", "status": 200, "error": "", "cache": "",
    "first_byte_ms": None, "duration_ms": 1.0,
}  # fmt: skip


async def make_key(admin, **body):
    return (await admin.post("/api/keys", json={"name": "k", **body})).json()


async def spend(plane, key_id, usd, at):
    async with plane.database.write() as connection:
        row = {**BLANK, "at": at, "key_id": key_id, "cost_nano_usd": round(usd * NANO)}
        await raise_sums(connection, [row], [])


async def counter(plane, redis, key_id, period):
    async with plane.database.read() as connection:
        row = await keys.get(connection, key_id)
    name = redis_keys.key_money(row.counted_as or row.digest, period_of(period, plane.now()).name)
    return int(await redis.hget(name, "spent") or 0), await redis.ttl(name)


@pytest.mark.parametrize("period", ["daily", "weekly", "monthly", "total"])
async def test_a_budget_of_each_period_is_set_and_shown(admin, period):
    key = await make_key(admin)
    answer = await admin.post(
        "/api/usage/budget", json={"apiKeyId": key["id"], f"{period}LimitUsd": 5, "warningThreshold": 0.5}
    )
    assert answer.status_code == 200
    shown = (await admin.get("/api/usage/budget", params={"apiKeyId": key["id"]})).json()
    assert (shown[f"{period}LimitUsd"], shown["period"], shown["warningThreshold"]) == (5.0, period, 0.5)
    assert (shown["spentUsd"], shown["remainingUsd"], shown["warningReached"], shown["exceeded"]) == (
        0,
        5.0,
        False,
        False,
    )
    assert (shown["resetsAt"] is None) is (period == "total")
    assert (await admin.get(f"/api/keys/{key['id']}")).json()["budgetUsd"] == 5.0
    assert [one["apiKeyId"] for one in (await admin.get("/api/usage/budget")).json()["budgets"]] == [key["id"]]
    await admin.post("/api/usage/budget", json={"apiKeyId": key["id"]})
    assert (await admin.get("/api/usage/budget")).json()["budgets"] == []


@pytest.mark.parametrize(
    "body",
    [{"dailyLimitUsd": 1, "monthlyLimitUsd": 2}, {"dailyLimitUsd": -1}, {"warningThreshold": 2}, {"yearlyLimitUsd": 1}],
)
async def test_a_budget_that_makes_no_sense_is_refused(admin, body):
    key = await make_key(admin)
    assert (await admin.post("/api/usage/budget", json={"apiKeyId": key["id"], **body})).status_code == 400
    assert (await admin.post("/api/usage/budget", json={"apiKeyId": "nobody"})).status_code == 404


@pytest.mark.parametrize("period", ["daily", "weekly", "monthly", "total"])
async def test_an_emptied_redis_gets_back_what_was_spent_in_the_period(admin, plane, redis, period):
    key = await make_key(admin, budgetUsd=5, budgetPeriod=period)
    started = period_of(period, plane.now()).starts_at
    await spend(plane, key["id"], 2, plane.now())
    await spend(plane, key["id"], 1, started - 60 if started else 100.0)
    await redis.flushall()
    assert await plane.publisher.publish()
    spent, lifetime_s = await counter(plane, redis, key["id"], period)
    assert spent == (2 if started else 3) * NANO
    assert (lifetime_s == -1) is (period == "total")


async def test_a_rotated_key_gets_it_back_where_it_counts_and_a_higher_counter_stays(admin, plane, redis):
    key = await make_key(admin, budgetUsd=5, budgetPeriod="daily")
    await admin.post(f"/api/keys/{key['id']}/rotate")
    await spend(plane, key["id"], 2, plane.now())
    await BudgetsJob(plane)()
    assert (await counter(plane, redis, key["id"], "daily"))[0] == 2 * NANO
    async with plane.database.read() as connection:
        row = await keys.get(connection, key["id"])
    await redis.hset(redis_keys.key_money(row.counted_as, period_of("daily", plane.now()).name), "spent", 3 * NANO)
    await BudgetsJob(plane)()
    assert (await counter(plane, redis, key["id"], "daily"))[0] == 3 * NANO


async def test_going_beyond_a_threshold_is_told_once_a_period_for_each_step(admin, plane):
    key = await make_key(admin, budgetUsd=5, budgetPeriod="daily", warningThreshold=0.5)
    quiet = await make_key(admin, budgetUsd=5, budgetPeriod="daily", warningThreshold=0)
    for usd in (1, 2, 0.5, 4):
        await spend(plane, key["id"], usd, plane.now())
        await spend(plane, quiet["id"], usd / 2, plane.now())
        await BudgetsJob(plane)()
        await BudgetsJob(plane)()
    entries = (await admin.get("/api/compliance/audit-log", params={"action": "budget."})).json()["entries"]
    assert [(entry["action"], entry["object"]["id"]) for entry in entries] == [
        ("budget.exhausted", key["id"]), ("budget.warned", key["id"]),
    ]  # fmt: skip
    assert entries[0]["actor"]["kind"] == "system"
