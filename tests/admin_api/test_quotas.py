"""How much of each limit is used: of connections, keys and tiers, each with its reset."""

import msgspec
import pytest

from gateway.state import keys as redis_keys
from gateway.state.rests_admin import _run as run_rests
from gateway.state.told_limits import Told, ToldWindow
from tests.admin_api.test_ledger import record
from tests.admin_api.test_usage_sums import keep
from tests.support.admin_plane import ADMIN_TOKEN, client_of, make_plane, make_settings

NOON = 1_800_014_400.0
"""A Friday."""


@pytest.fixture
async def connection_id(admin):
    body = {"provider": "openai", "name": "main", "apiKey": "sk-x", "rpm": 60, "maxConcurrency": 4}
    return (await admin.post("/api/providers", json=body)).json()["connection"]["id"]


async def quota(admin, **query):
    answer = await admin.get("/api/usage/quota", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_connections_own_limits_and_its_providers_are_bars(admin, redis, connection_id):
    second = int((await redis.time())[0])
    await redis.hset(redis_keys.slot_minute(connection_id), mapping={str(second): 12, "n": 12})
    told = Told(second, ToldWindow(200, 50, second + 20), ToldWindow(40_000, 40_000))
    await redis.set(redis_keys.slot_told(connection_id), msgspec.msgpack.encode(told))
    shown = await quota(admin, connectionId=connection_id)
    bars = {bar["name"]: bar for bar in shown["quotas"]}
    assert (bars["requestsPerMinute"]["used"], bars["requestsPerMinute"]["remaining"]) == (12, 48)
    assert (bars["openRequests"]["used"], bars["openRequests"]["limit"]) == (0, 4)
    assert bars["providerRequests"] == {
        "name": "providerRequests", "unit": "requests", "used": 150, "limit": 200, "remaining": 50,
        "remainingPercentage": 25.0, "resetsAt": second + 20, "toldAt": second,
    }  # fmt: skip
    assert (bars["providerTokens"]["remainingPercentage"], bars["providerTokens"]["resetsAt"]) == (100.0, None)
    assert [one["connectionId"] for one in (await quota(admin))["connections"]] == [connection_id]


async def test_a_connection_that_its_provider_has_had_enough_of_says_until_when(admin, redis, connection_id):
    order = {"field": f"c{connection_id}", "why": "quota", "exact": 90_000, "base": 0, "max": 0, "jitter": 0, "step": 0}
    await run_rests(redis, "cool", order)
    shown = await quota(admin, connectionId=connection_id)
    second = (await redis.time())[0]
    (rest,) = shown["exhausted"]
    assert rest["reason"] == "quota"
    assert rest["until"] == pytest.approx(second + 90, abs=30)


async def test_a_connection_without_limits_shows_nothing_and_an_unknown_one_is_not_found(admin):
    await admin.post("/api/providers", json={"provider": "openai", "name": "free", "apiKey": "sk-x"})
    assert (await quota(admin))["connections"] == []
    assert (await admin.get("/api/usage/quota?connectionId=nobody")).status_code == 404


async def test_budgets_of_keys_and_tiers_are_bars_with_the_end_of_their_period(plane, admin, redis):
    plane.now = lambda: NOON
    key = (await admin.post("/api/keys", json={"name": "ci", "budgetUsd": 2.0, "budgetPeriod": "daily"})).json()
    await keep(plane, record(1, at=NOON, key_id=key["id"], cost_nano_usd=500_000_000))
    await admin.patch("/api/settings", json={"tierBudgets": {"cheap": {"usd": 10, "period": "weekly"}}})
    await redis.hset(redis_keys.tier_money("cheap", "weekly-2027-01-11"), "spent", 2_500_000_000)
    shown = await quota(admin)
    midnight = NOON // 86_400 * 86_400 + 86_400
    (of_key,) = shown["keys"]
    assert (of_key["apiKeyName"], of_key["quotas"][0]["used"], of_key["quotas"][0]["limit"]) == ("ci", 0.5, 2.0)
    assert (of_key["quotas"][0]["resetsAt"], of_key["quotas"][0]["period"]) == (midnight, "daily")
    (of_tier,) = shown["tiers"]
    assert (of_tier["tier"], of_tier["quotas"][0]["used"], of_tier["quotas"][0]["remainingPercentage"]) == (
        "cheap",
        2.5,
        75.0,
    )
    assert of_tier["quotas"][0]["resetsAt"] == midnight + 2 * 86_400


async def test_without_redis_nobody_guesses(tmp_path, own_valkey):
    plane = await make_plane(make_settings(tmp_path, own_valkey.url))
    own_valkey.stop()
    async with client_of(plane, headers={"authorization": f"Bearer {ADMIN_TOKEN}"}) as admin:
        assert (await admin.get("/api/usage/quota")).status_code == 503
    await plane.close()
