"""A dry run says where a request would go, by the workers' own code, and changes nothing."""

import pytest
from redis.asyncio import Redis

from admin_api.auth.sessions import create_admin_token
from gateway.state import keys as redis_keys
from gateway.state.rests_admin import _run as run_rests


@pytest.fixture
async def ids(admin):
    """Two connections of a node, and combos over them; gives name -> id."""
    node = {"name": "Local", "prefix": "local", "baseUrl": "http://127.0.0.1:9001/v1", "allowPrivate": True}
    provider = (await admin.post("/api/provider-nodes", json=node)).json()["node"]["id"]
    found = {"node": provider}
    for name, priority in (("a", 1), ("b", 2)):
        body = {"provider": provider, "name": name, "apiKey": "sk-secret-of-the-provider", "priority": priority}
        found[name] = (await admin.post("/api/providers", json=body)).json()["connection"]["id"]
    for strategy in ("priority", "round-robin", "latency", "weighted"):
        models = [{"model": "local/m1", "weight": 1}, {"model": "local/m2", "weight": 3}]
        answer = await admin.post("/api/combos", json={"name": strategy, "models": models, "strategy": strategy})
        assert answer.status_code == 201, answer.text
    return found


async def simulate(admin, **body):
    answer = await admin.post("/api/routing/simulate", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(found):
    return [one["name"] for one in found["routing"]["candidates"]]


async def test_it_lists_what_would_be_tried_in_order(admin, ids):
    found = await simulate(admin, model="local/m1")
    assert names(found) == ["local/m1 @a", "local/m1 @b"]
    assert found["routing"]["candidates"][0]["connectionId"] == ids["a"]
    assert (found["refused"], found["knowsSharedState"]) == (None, True)
    assert "sk-secret" not in str(found)


async def test_a_change_of_the_configuration_counts_at_once(admin, ids):
    assert names(await simulate(admin, model="local/m1"))[0] == "local/m1 @a"
    await admin.put(f"/api/providers/{ids['a']}", json={"priority": 9})
    assert names(await simulate(admin, model="local/m1"))[0] == "local/m1 @b"


async def test_what_rests_for_the_workers_is_dropped_here_too(admin, ids, redis):
    span = 60_000
    order = {"field": f"c{ids['a']}", "why": "rate_limited", "exact": span, "base": 0, "max": 0, "jitter": 0, "step": 0}
    await run_rests(redis, "cool", order)
    found = await simulate(admin, model="local/m1")
    assert names(found) == ["local/m1 @b"]
    assert found["routing"]["dropped"] == [{"name": "local/m1 @a", "reason": "resting"}]
    assert names(await simulate(admin, model="local/m1", states={"isCalm": True})) == ["local/m1 @a", "local/m1 @b"]


async def test_states_can_be_given(admin, ids):
    found = await simulate(admin, model="local/m1", states={"rests": {ids["a"]: 60}})
    assert names(found) == ["local/m1 @b"]
    found = await simulate(admin, model="local/m1", states={"rests": {f"{ids['a']}/m1": 60}})
    assert names(found) == ["local/m1 @b"]
    found = await simulate(admin, model="local/m1", states={"rests": {ids["node"]: 60}})
    assert (found["refused"]["status"], found["refused"]["code"]) == (503, "all_resting")
    assert [one["reason"] for one in found["routing"]["dropped"]] == ["resting", "resting"]
    slow, quick = {f"{ids[name]}/m1": 900 for name in "ab"}, {f"{ids[name]}/m2": 100 for name in "ab"}
    found = await simulate(admin, model="latency", chance=0.9, states={"speeds": slow | quick})
    assert names(found)[0].startswith("local/m2")
    assert found["routing"]["scores"][f"{ids['node']}/m2"] < found["routing"]["scores"][f"{ids['node']}/m1"]


async def test_a_tier_whose_budget_is_spent_is_left_out_here_too(admin, ids, redis):
    await admin.patch("/api/settings", json={"tierBudgets": {"api-key": {"usd": 2, "period": "total"}}})
    await admin.put(f"/api/providers/{ids['b']}", json={"tier": "free"})
    body = {"name": "walk", "models": [{"model": "local/m1"}], "config": {"tiers": True}}
    assert (await admin.post("/api/combos", json=body)).status_code == 201
    counter = redis_keys.tier_money("api-key", "total")
    await redis.hset(counter, "spent", 1_999_999_999)
    assert names(await simulate(admin, model="walk"))[0] == "local/m1 @a"
    await redis.hset(counter, "spent", 2_000_000_000)
    found = await simulate(admin, model="walk")
    assert names(found) == ["local/m1 @b"]
    assert {"name": "local/m1", "reason": "tier_spent"} in found["routing"]["dropped"]


async def test_turns_are_looked_at_and_not_moved(admin, ids, redis):
    first = await simulate(admin, model="round-robin")
    [cursor] = first["turns"]
    await redis.set(redis_keys.cursor(cursor), "64")
    assert (await simulate(admin, model="round-robin"))["turns"] == {cursor: 64}
    found = [names(await simulate(admin, model="round-robin", states={"tickets": {"": turn}}))[0] for turn in range(4)]
    assert found == ["local/m1 @a", "local/m2 @a", "local/m1 @a", "local/m2 @a"]
    assert await redis.get(redis_keys.cursor(cursor)) == b"64"


async def test_chance_can_be_given_and_decides(admin, ids):
    assert names(await simulate(admin, model="weighted", chance=0.1))[0] == "local/m1 @a"
    assert names(await simulate(admin, model="weighted", chance=0.9))[0] == "local/m2 @a"


async def test_the_body_says_what_is_needed_of_a_model(admin):
    key = {"provider": "openai", "name": "main", "apiKey": "sk-x", "models": ["gpt-5", "text-only"]}
    assert (await admin.post("/api/providers", json=key)).status_code == 201
    combo = {"name": "both", "models": ["openai/gpt-3.5-turbo", "openai/gpt-5"], "strategy": "priority"}
    await admin.post("/api/combos", json=combo)
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    body = {"model": "both", "messages": [{"role": "user", "content": [picture]}]}
    by_body = await simulate(admin, body=body)
    by_needs = await simulate(admin, model="both", needs={"vision": True})
    assert by_body["routing"] == by_needs["routing"]


async def test_a_key_may_not_use_what_it_may_not(admin, ids):
    key = (await admin.post("/api/keys", json={"name": "narrow", "allowedModels": ["local/m2"]})).json()
    key_id = key.get("id") or key["key"]["id"]
    assert names(await simulate(admin, model="priority", keyId=key_id)) == ["local/m2 @a", "local/m2 @b"]
    refused = (await simulate(admin, model="local/m1", keyId=key_id))["refused"]
    assert (refused["status"], refused["code"]) == (403, "model_not_allowed")


async def test_a_name_that_is_nothing_is_refused_as_callers_would_be(admin, ids):
    found = await simulate(admin, model="local-nothing")
    assert (found["refused"]["status"], found["refused"]["code"], found["routing"]) == (404, "model_not_found", None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "model"),
        ({"model": "x" * 600}, "model"),
        ({"model": "m", "chance": 1}, "chance"),
        ({"model": "m", "chance": -0.1}, "chance"),
        ({"model": "m", "keyId": "none"}, "keyId"),
        ({"model": "m", "states": {"rests": {"a": -1}}}, "rests"),
        ({"model": "m", "states": {"spentTiers": ["golden"]}}, "spentTiers"),
        ({"model": "m", "needs": {"tokens": -5}}, "tokens"),
        ({"model": "m", "nonsense": 1}, "nonsense"),
        ({"body": {"model": 7}}, "model"),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused_by_name(admin, body, field):
    answer = await admin.post("/api/routing/simulate", json=body)
    assert answer.status_code == 400
    assert field in answer.text


async def test_with_redis_away_it_says_that_it_does_not_know(admin, ids, plane):

    away = Redis.from_url("redis://127.0.0.1:9")
    plane.redis, kept = away, plane.redis
    try:
        found = await simulate(admin, model="local/m1")
    finally:
        plane.redis = kept
        await away.aclose()
    assert names(found) == ["local/m1 @a", "local/m1 @b"]
    assert found["knowsSharedState"] is False


async def test_a_viewer_may_ask(plane, client, ids):
    async with plane.database.write() as connection:
        _, viewer = await create_admin_token(connection, "wall", "viewer", plane.now())
    headers = {"authorization": f"Bearer {viewer}"}
    answer = await client.post("/api/routing/simulate", json={"model": "local/m1"}, headers=headers)
    assert answer.status_code == 200
    assert (await client.post("/api/resilience/reset", json={}, headers=headers)).status_code == 403
