"""Whether stored credentials are accepted, as the newest that is known says."""

import pytest

from admin_api.services.credential_health import Refusal, state_of
from admin_api.store.connection_tests import TestRow as LastTest
from admin_api.store.connection_tests import keep_test
from gateway.domain.record import AttemptRecord
from gateway.state.rests_admin import _run as run_rests
from tests.admin_api.test_ledger import record
from tests.admin_api.test_usage_sums import keep

NOW = 1_800_000_100.0


def a_test(at, kind="ok"):
    return LastTest("c", at, kind in ("ok", "upstream_rate_limited"), kind, "upstream", "200", "", 1.0)


@pytest.mark.parametrize(
    ("test", "refusal", "worked_at", "is_resting", "state"),
    [
        (None, None, 0, False, "unknown"),
        (None, None, 1, False, "healthy"),
        (a_test(5), None, 0, False, "healthy"),
        (a_test(5, "upstream_auth_error"), None, 0, False, "refused"),
        (a_test(5, "network_error"), None, 0, False, "unknown"),
        (a_test(5), Refusal(6), 0, False, "refused"),
        (a_test(7), Refusal(6), 0, False, "healthy"),
        (None, Refusal(6), 9, False, "healthy"),
        (a_test(8, "auth_missing"), Refusal(6), 7, False, "refused"),
        (a_test(5), None, 0, True, "refused"),
        (None, Refusal(6), 9, True, "healthy"),
    ],
)
def test_what_happened_last_counts(test, refusal, worked_at, is_resting, state):
    assert state_of(True, test, refusal, worked_at, is_resting=is_resting) == state
    assert state_of(False, test, refusal, worked_at, is_resting=is_resting) == "unreadable"


@pytest.fixture
async def ids(plane, admin):
    plane.now = lambda: NOW
    found = {}
    for name in ("good", "bad", "new", "off"):
        body = {"provider": "openai", "name": name, "apiKey": "sk-x", "isActive": name != "off"}
        found[name] = (await admin.post("/api/providers", json=body)).json()["connection"]["id"]
    return found


def refused(number, connection_id, instead):
    """A request that another connection answered in the end."""
    attempts = (
        AttemptRecord("openai", connection_id, "m1", "auth", 401, 3.0, error="no such key"),
        AttemptRecord("openai", instead, "m1", "committed", 200, 7.5),
    )
    return record(number, provider="openai", connection_id=instead, attempts=attempts)


@pytest.mark.both_databases
async def test_a_refusal_is_seen_though_another_connection_answered(plane, admin, redis, ids):
    await keep(plane, record(1, connection_id=ids["bad"]), refused(2, ids["bad"], ids["good"]), record(3))
    cool = {"field": f"c{ids['bad']}", "why": "auth", "exact": 90_000, "base": 0, "max": 0, "jitter": 0, "step": 0}
    await run_rests(redis, "cool", cool)
    shown = (await admin.get("/api/token-health")).json()
    assert {one["name"]: one["state"] for one in shown["connections"]} == {
        "good": "healthy", "bad": "refused", "new": "unknown", "off": "unknown",
    }  # fmt: skip
    assert (shown["status"], shown["total"], shown["healthy"], shown["errored"], shown["unknown"]) == (
        "error",
        4,
        1,
        1,
        1,
    )
    bad = next(one for one in shown["connections"] if one["name"] == "bad")
    assert (bad["lastRefusedAt"], bad["lastRefusal"]) == (1_800_000_002.0, {"status": 401, "message": "no such key"})
    assert bad["restsUntil"] > 0


async def test_a_connection_that_answers_again_or_is_tested_well_is_healthy(plane, admin, ids):
    await keep(plane, refused(2, ids["bad"], ids["good"]), refused(3, ids["new"], ids["good"]))
    assert (await admin.get("/api/token-health")).json()["errored"] == 2
    await keep(plane, record(4, connection_id=ids["bad"]))
    async with plane.database.write() as connection:
        await keep_test(connection, LastTest(ids["new"], NOW, True, "ok", "upstream", "200", "", 1.0))
    assert (await admin.get("/api/token-health")).json()["status"] == "healthy"
