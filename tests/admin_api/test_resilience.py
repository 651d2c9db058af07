"""Rules for what rests and for limits: set by provider, shown, reset; in the seed's words and in ours."""

import pytest

from gateway.config.snapshot import Profile
from gateway.state import keys as redis_keys
from gateway.state.rests_admin import _run as run_rests
from tests.support.admin_plane import published_snapshot

SEED = {"transientCooldown": 3000, "circuitBreakerThreshold": 7, "circuitBreakerReset": 30000, "rateLimitCooldown": 2000, "maxBackoffLevel": 5}  # fmt: skip


@pytest.fixture
async def connection_id(admin):
    body = {"provider": "openai", "name": "main", "apiKey": "sk-x"}
    return (await admin.post("/api/providers", json=body)).json()["connection"]["id"]


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_a_profile_in_the_seeds_words_reaches_the_workers_in_ours(admin, redis, method):
    answer = await admin.request(method, "/api/resilience", json={"profiles": {"openai": SEED}})
    assert answer.status_code == 200, answer.text
    assert answer.json()["published"] is True
    profile = (await published_snapshot(redis)).settings.profiles["openai"]
    assert (profile.open_s, profile.open_max_s, profile.failures) == (3.0, 30.0, 7)
    assert (profile.cooldown_s, profile.cooldown_max_s) == (2.0, 64.0)
    shown = (await admin.get("/api/resilience")).json()
    assert shown["profiles"]["openai"] == SEED
    assert shown["rules"]["openai"]["failures"] == 7


async def test_sending_back_what_was_shown_changes_nothing(admin, redis):
    await admin.patch("/api/resilience", json={"rules": {"openai": {"cooldown_max_s": 100, "failures": 3}}})
    shown = (await admin.get("/api/resilience")).json()
    again = await admin.patch("/api/resilience", json={"profiles": shown["profiles"]})
    assert again.json()["rules"]["openai"] == {"cooldown_max_s": 100, "failures": 3}


async def test_what_a_profile_leaves_out_keeps_its_value_and_null_takes_it_away(admin, redis):
    await admin.patch("/api/resilience", json={"rules": {"openai": {"failures": 2}, "apikey": {"open_s": 1}}})
    await admin.patch("/api/resilience", json={"rules": {"openai": {"ramp_s": 0, "adapts_concurrency": True}}})
    profiles = (await published_snapshot(redis)).settings.profiles
    assert profiles == {"openai": Profile(failures=2, ramp_s=0, adapts_concurrency=True), "apikey": Profile(open_s=1)}
    await admin.patch("/api/resilience", json={"rules": {"openai": None}})
    assert (await published_snapshot(redis)).settings.profiles == {"apikey": Profile(open_s=1)}


async def test_the_profile_of_a_provider_that_is_gone_can_still_be_taken_away(admin, redis):
    await admin.post("/api/provider-nodes", json={"prefix": "gone", "baseUrl": "https://models.example/v1"})
    await admin.patch("/api/resilience", json={"rules": {"gone": {"failures": 2}}})
    assert (await admin.delete("/api/provider-nodes/gone")).status_code == 200
    assert (await admin.patch("/api/resilience", json={"rules": {"gone": {"failures": 3}}})).status_code == 400
    answer = await admin.patch("/api/resilience", json={"rules": {"gone": None}})
    assert answer.status_code == 200, answer.text
    assert (await published_snapshot(redis)).settings.profiles == {}
    assert (await admin.patch("/api/resilience", json={"rules": {"gone": None}})).status_code == 400


async def test_null_takes_one_rule_of_a_profile_away_and_the_last_one_the_profile(admin, redis):
    await admin.patch("/api/resilience", json={"rules": {"openai": {"failures": 2, "open_s": 1}}})
    await admin.patch("/api/resilience", json={"rules": {"openai": {"failures": None, "ramp_s": 0}}})
    assert (await published_snapshot(redis)).settings.profiles == {"openai": Profile(open_s=1, ramp_s=0)}
    answer = await admin.patch("/api/resilience", json={"rules": {"openai": {"open_s": None, "ramp_s": None}}})
    assert answer.json()["rules"] == {}
    assert (await admin.patch("/api/resilience", json={"rules": {"openai": {"cooldown": None}}})).status_code == 400


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"rules": {"nobody": {"failures": 2}}}, "rules.nobody"),
        ({"profiles": {"oauth": SEED}}, "profiles.oauth"),
        ({"rules": {"openai": {"failures": 0}}}, "rules.openai.failures"),
        ({"rules": {"openai": {"failures": -1}}}, "rules.openai.failures"),
        ({"rules": {"openai": {"cooldown_s": 0}}}, "rules.openai.cooldown_s"),
        ({"rules": {"openai": {"cooldown_s": 1e9}}}, "rules.openai.cooldown_s"),
        ({"rules": {"openai": {"failure_share": 1.5}}}, "rules.openai.failure_share"),
        ({"rules": {"openai": {"cooldown": 1}}}, "rules.openai"),
        ({"profiles": {"openai": {"circuitBreakerThreshold": 0}}}, "profiles.openai.circuitBreakerThreshold"),
        ({"profiles": {"openai": {"maxBackoffLevel": 31}}}, "profiles.openai.maxBackoffLevel"),
        ({"profiles": {"openai": {"rateLimitCooldown": "soon"}}}, "profiles.openai.rateLimitCooldown"),
        ({"defaults": {"requestsPerMinute": -1}}, "requestsPerMinute"),
        ({"defaults": {"requestsPerMinute": 1.5}}, "requestsPerMinute"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_name_and_changes_nothing(admin, redis, body, field):
    before = await published_snapshot(redis)
    answer = await admin.patch("/api/resilience", json=body)
    assert answer.status_code == 400
    assert field in answer.text
    assert (await published_snapshot(redis)).settings == before.settings


async def test_default_limits_count_where_a_connection_has_none_of_its_own(admin, redis, connection_id):
    own = {"provider": "openai", "name": "own", "apiKey": "sk-y", "rpm": 7}
    await admin.post("/api/providers", json=own)
    limits = {"requestsPerMinute": 100, "minTimeBetweenRequests": 200, "concurrentRequests": 10}
    answer = await admin.patch("/api/resilience", json={"defaults": limits})
    assert answer.json()["defaults"] == limits
    found = {
        one.name: (one.rpm, one.min_gap_ms, one.max_concurrency)
        for one in (await published_snapshot(redis)).connections
    }
    assert found == {"main": (100, 200, 10), "own": (7, 200, 10)}
    off = await admin.post("/api/rate-limits", json={"connectionId": connection_id, "enabled": False})
    assert off.json()["published"] is True
    found = {one.name: one.rpm for one in (await published_snapshot(redis)).connections}
    assert found == {"main": 0, "own": 7}
    shown = {
        one["name"]: (one["enabled"], one["rpm"]) for one in (await admin.get("/api/rate-limits")).json()["connections"]
    }
    assert shown == {"main": (False, 0), "own": (True, 7)}


async def test_without_default_limits_nothing_is_limited(redis, admin, connection_id):
    [entry] = (await published_snapshot(redis)).connections
    assert (entry.rpm, entry.min_gap_ms, entry.max_concurrency) == (0, 0, 0)


async def test_what_was_learned_of_a_limit_is_shown_and_forgotten_and_workers_are_told(admin, redis, connection_id):
    now = (await redis.time())[0] * 1000
    await redis.hset(redis_keys.slot_pace(connection_id), mapping={"lg": 600, "lu": now + 60_000, "a": "3.5", "g": now})
    await redis.hset(
        redis_keys.slot_open(connection_id), mapping={"c:w1": 2, "u:w1": now + 9_000, "c:w2": 5, "u:w2": 1}
    )
    [one] = (await admin.get("/api/rate-limits")).json()["connections"]
    assert (one["learnedGapMs"], one["adaptiveLimit"], one["open"]) == (600, 3.5, 2)
    [status] = (await admin.get("/api/monitoring/health")).json()["rateLimitStatus"]
    assert status["connectionId"] == connection_id
    async with redis.pubsub() as news:
        await news.subscribe(redis_keys.NEWS)
        await news.get_message(timeout=1)
        answer = await admin.post("/api/rate-limits/reset", json={})
        assert answer.json() == {"reset": 1}
        message = await news.get_message(timeout=2)
    assert message["data"].decode() == f"pace:{connection_id}"
    [one] = (await admin.get("/api/rate-limits")).json()["connections"]
    assert (one["learnedGapMs"], one["adaptiveLimit"], one["open"]) == (0, 0, 2)


async def test_health_shows_what_rests_in_the_seeds_shape_and_resets_it(admin, client, redis, connection_id):
    cool = {
        "field": f"c{connection_id}",
        "why": "rate_limited",
        "exact": 60_000,
        "base": 0,
        "max": 0,
        "jitter": 0,
        "step": 0,
    }
    await run_rests(redis, "cool", cool)
    health = (await admin.get("/api/monitoring/health")).json()
    assert [(one["connectionId"], one["reason"]) for one in health["lockouts"]] == [(connection_id, "rate_limited")]
    [rests] = (await admin.get("/api/providers")).json()["connections"]
    assert health["connectionNames"] == {connection_id: rests["name"]}
    assert health["connectionProviders"] == {connection_id: rests["provider"]}
    assert (await client.delete("/api/monitoring/health")).status_code == 401
    assert (await admin.delete("/api/monitoring/health")).json() == {"success": True, "reset": 1}
    assert (await admin.get("/api/monitoring/health")).json()["lockouts"] == []


async def test_a_connection_that_is_not_there_has_no_limits(admin):
    answer = await admin.post("/api/rate-limits", json={"connectionId": "none", "enabled": True})
    assert answer.status_code == 404
