"""Budgets through the API in the seed's words, and the log of who went too far."""

import pytest

from admin_api.jobs.budgets import BudgetsJob
from admin_api.jobs.reconcile import ReconcileJob
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


async def test_what_a_rotated_key_has_spent_comes_back_where_it_counts(admin, plane, redis):
    key = await make_key(admin, budgetUsd=5, budgetPeriod="daily")
    await admin.post(f"/api/keys/{key['id']}/rotate")
    await spend(plane, key["id"], 2, plane.now())
    job = ReconcileJob(plane)
    for _ in range(2):  # it raises what was too low on two looks
        await job()
    async with plane.database.read() as connection:
        row = await keys.get(connection, key["id"])
    assert row.counted_as not in ("", row.digest)
    name = redis_keys.key_money(row.counted_as, period_of("daily", plane.now()).name)
    assert int(await redis.hget(name, "spent")) == 2 * NANO


async def test_what_is_spent_in_the_period_is_shown(admin, plane):
    key = await make_key(admin, budgetUsd=5, budgetPeriod="daily")
    await spend(plane, key["id"], 4, plane.now())
    await spend(plane, key["id"], 1, period_of("daily", plane.now()).starts_at - 60)
    shown = (await admin.get("/api/usage/budget", params={"apiKeyId": key["id"]})).json()
    assert (shown["spentUsd"], shown["remainingUsd"], shown["warningReached"], shown["exceeded"]) == (
        4.0,
        1.0,
        True,
        False,
    )


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
