"""Budgets through the API in the seed's words, and the log of who went too far."""

import pytest

from admin_api.jobs.budgets import BudgetsJob
from admin_api.jobs.reconcile import ReconcileJob
from admin_api.store.keys import keys
from admin_api.store.usage_sums import raise_sums
from gateway.config.keys import digest_of
from gateway.config.snapshot import decode_key_entry
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
    [
        {"dailyLimitUsd": 1, "monthlyLimitUsd": 2, "totalLimitUsd": 3},
        {"dailyLimitUsd": -1},
        {"warningThreshold": 2},
        {"yearlyLimitUsd": 1},
    ],
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


async def test_a_key_has_two_budgets_of_different_periods(admin, plane, redis):
    key = await make_key(admin)
    body = {"apiKeyId": key["id"], "monthlyLimitUsd": 50, "dailyLimitUsd": 5, "warningThreshold": 0.5}
    answer = await admin.post("/api/usage/budget", json={**body, "secondWarningThreshold": 0.9})
    assert answer.status_code == 200, answer.text
    await spend(plane, key["id"], 4, plane.now())
    shown = (await admin.get("/api/usage/budget", params={"apiKeyId": key["id"]})).json()
    assert (shown["dailyLimitUsd"], shown["monthlyLimitUsd"], shown["weeklyLimitUsd"]) == (5.0, 50.0, 0.0)
    assert [(one["period"], one["remainingUsd"], one["warningReached"]) for one in shown["budgets"]] == [
        ("daily", 1.0, True), ("monthly", 46.0, False),
    ]  # fmt: skip
    entry = decode_key_entry(await redis.hget(redis_keys.key(digest_of(key["key"], b"pepper")), "e"))
    assert (entry.budget_nano_usd, entry.budget_period, entry.warn_nano_usd) == (5 * NANO, "daily", 2.5 * NANO)
    second = (entry.second_budget_nano_usd, entry.second_budget_period, entry.second_warn_nano_usd)
    assert second == (50 * NANO, "monthly", 45 * NANO)
    one = (await admin.get(f"/api/keys/{key['id']}")).json()
    assert (one["secondBudgetUsd"], one["secondBudgetPeriod"], one["secondWarningThreshold"]) == (50.0, "monthly", 0.9)
    [quota] = (await admin.get("/api/usage/quota")).json()["keys"]
    assert [bar["period"] for bar in quota["quotas"]] == ["daily", "monthly"]
    job = ReconcileJob(plane)
    for _ in range(2):
        await job()
    for period in ("daily", "monthly"):
        name = redis_keys.key_money(digest_of(key["key"], b"pepper"), period_of(period, plane.now()).name)
        assert int(await redis.hget(name, "spent")) == 4 * NANO, period


async def test_each_of_two_budgets_is_told_in_the_log(admin, plane):
    key = await make_key(
        admin,
        budgetUsd=5,
        budgetPeriod="daily",
        secondBudgetUsd=50,
        secondBudgetPeriod="total",
        secondWarningThreshold=0.1,
    )
    await spend(plane, key["id"], 6, plane.now())
    for _ in range(2):
        await BudgetsJob(plane)()
        await BudgetsJob(plane)()  # another process knows it from the log
    entries = (await admin.get("/api/compliance/audit-log", params={"action": "budget."})).json()["entries"]
    assert {(entry["action"], entry["after"]["limit_nano_usd"]) for entry in entries} == {
        ("budget.exhausted", 5 * NANO), ("budget.warned", 50 * NANO),
    }  # fmt: skip
    assert len(entries) == 2


async def test_a_second_budget_alone_is_the_first_and_one_of_the_same_period_is_refused(admin):
    key = await make_key(admin, secondBudgetUsd=7, secondBudgetPeriod="weekly")
    assert (key["budgetUsd"], key["budgetPeriod"], key["secondBudgetUsd"]) == (7.0, "weekly", 0.0)
    path = f"/api/keys/{key['id']}"
    for wrong in (
        {"secondBudgetUsd": 5},
        {"secondBudgetUsd": 5, "secondBudgetPeriod": "weekly"},
        {"secondBudgetUsd": -1},
    ):
        assert (await admin.patch(path, json=wrong)).status_code == 400, wrong
    assert (await admin.patch(path, json={"secondBudgetUsd": 9, "secondBudgetPeriod": "total"})).status_code == 200
    gone = (await admin.patch(path, json={"budgetUsd": 0})).json()
    assert (gone["budgetUsd"], gone["budgetPeriod"], gone["secondBudgetUsd"]) == (9.0, "total", 0.0)


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
