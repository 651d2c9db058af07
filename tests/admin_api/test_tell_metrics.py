"""What the control plane alone knows, on the metrics page: nothing old is told, and what is away is said to be away."""

import pytest

from admin_api.jobs.tell_metrics import BUDGETS_S, TellMetricsJob
from admin_api.store.usage_sums import raise_sums
from gateway.state import keys as redis_keys
from gateway.state.rests_admin import reset_rests
from tests.admin_api.test_budgets import BLANK, NANO
from tests.admin_api.test_resilience import run_rests
from tests.support.admin_plane import PASSWORD, client_of, make_plane, make_settings


def told(job, name, /, **labels):
    """What the metrics page would say; None where there is no such series."""
    for metric in job.metrics.registry.collect():
        for sample in metric.samples:
            if sample.name == f"omniroute_{name}" and sample.labels == labels:
                return sample.value
    return None


@pytest.fixture
async def connection_id(admin):
    answer = await admin.post("/api/providers", json={"provider": "openai", "name": "work", "apiKey": "sk-0123456789"})
    return answer.json()["connection"]["id"]


async def test_what_rests_is_told_by_name_and_no_longer_once_it_is_over(plane, redis, connection_id):
    job = TellMetricsJob(plane)
    cool = {
        "field": "c" + connection_id,
        "why": "quota",
        "exact": 60_000,
        "base": 0,
        "max": 0,
        "jitter": 0.0,
        "step": 1,
    }
    await run_rests(redis, "cool", cool)
    await job()
    assert told(job, "resting", provider="openai", connection="work", state="cooling") == 1
    await reset_rests(redis)
    await job()
    assert told(job, "resting", provider="openai", connection="work", state="cooling") == 0


async def test_budgets_are_told_by_how_much_of_them_is_used(plane, admin):
    key = (await admin.post("/api/keys", json={"name": "ci"})).json()
    await admin.post("/api/usage/budget", json={"apiKeyId": key["id"], "totalLimitUsd": 8})
    async with plane.database.write() as connection:
        row = {**BLANK, "at": plane.now(), "key_id": key["id"], "cost_nano_usd": 6 * NANO}
        await raise_sums(connection, [row], [])
    job = TellMetricsJob(plane)
    await job()
    assert told(job, "key_budget_used_ratio", key="ci", period="total") == 0.75
    await admin.post("/api/usage/budget", json={"apiKeyId": key["id"]})
    now, plane.now = plane.now(), lambda: now + BUDGETS_S
    await job()
    assert told(job, "key_budget_used_ratio", key="ci", period="total") == 0


async def test_the_lag_is_the_age_of_the_oldest_record(plane, redis):
    job = TellMetricsJob(plane)
    await job()
    assert (told(job, "ledger_waiting_records"), told(job, "ledger_lag_seconds")) == (0, 0)
    seconds, _ = await redis.time()
    await redis.xadd(redis_keys.RECORDS, {"r": b"x"}, id=f"{(seconds - 90) * 1000}-0")
    await redis.xadd(redis_keys.RECORDS, {"r": b"x"})
    await job()
    assert told(job, "ledger_waiting_records") == 2
    assert 90 <= told(job, "ledger_lag_seconds") < 600


async def test_log_ins_are_counted_by_how_they_went(plane):
    job = TellMetricsJob(plane)
    async with client_of(plane) as nobody:
        for password in (PASSWORD, *["not this one"] * 40):
            await nobody.post("/api/auth/login", json={"username": "admin", "password": password})
    await job()
    counts = {outcome: told(job, "logins_total", outcome=outcome) for outcome in ("right", "wrong", "throttled")}
    assert counts["right"] == 1
    assert counts["wrong"] > 0
    assert counts["throttled"] > 0
    assert sum(counts.values()) == 41


async def test_a_failing_job_is_told_until_it_goes_well(plane):
    class Status:
        error = "it broke"

    job = TellMetricsJob(plane)
    plane.jobs["backup"] = Status()
    await job()
    assert told(job, "job_failing", name="backup") == 1
    plane.jobs["backup"].error = ""
    await job()
    assert told(job, "job_failing", name="backup") == 0


async def test_counts_of_the_server_rise_by_what_it_did(plane, redis):
    job = TellMetricsJob(plane)
    await job()
    before = told(job, "valkey_key_looks_total", store="state", result="miss")
    for number in range(100):
        await redis.get(f"nothing-{number}")
    await job()
    assert told(job, "valkey_up", store="state") == 1
    assert told(job, "valkey_key_looks_total", store="state", result="miss") >= before + 100


async def test_a_server_that_is_away_is_said_to_be_away_and_what_was_known_of_others_goes_on(tmp_path, own_valkey):
    plane = await make_plane(make_settings(tmp_path, own_valkey.url))
    try:
        job = TellMetricsJob(plane)
        await job()
        assert told(job, "valkey_up", store="state") == 1
        own_valkey.stop()
        await job()
        assert told(job, "valkey_up", store="state") == 0
        assert told(job, "sql_up") == 1
        own_valkey.start()
        await job()
        assert told(job, "valkey_up", store="state") == 1
    finally:
        await plane.close()
