"""What makes no sense is refused by name with 400, and nothing of it is published."""

import json

import pytest

from tests.support.admin_plane import published_snapshot

NODE = {"name": "Local", "prefix": "local", "baseUrl": "http://127.0.0.1:9001/v1", "allowPrivate": True}


def combo(*models, **more):
    return ("POST", "/api/combos", {"name": "c", "models": list(models), **more})


def weighted(weight):
    return combo({"model": "local/m1", "weight": weight}, strategy="weighted")


def provider(**limits):
    return ("POST", "/api/providers", {"provider": "openai", "name": "n", "apiKey": "sk-x", **limits})


def key(**limits):
    return ("POST", "/api/keys", {"name": "k", **limits})


def settings(**fields):
    return ("PATCH", "/api/settings", fields)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (combo("c"), "models"),
        (combo("local/m1", "locl/m1"), "models[1]"),
        (combo("nobody/m1"), "models[0]"),
        (combo(), "models"),
        (combo(""), "models[0]"),
        (weighted(-1), "models[0]"),
        (weighted(101), "models[0]"),
        (weighted(1e300), "models[0]"),
        (weighted("heavy"), "models[0]"),
        (weighted(True), "models[0]"),
        (combo("local/m1", config={"sticky_limit": 0}), "sticky_limit"),
        (combo("local/m1", config={"sticky_limit": -3}), "sticky_limit"),
        (combo("local/m1", strategy="fastest"), "strategy"),
        (provider(rpm=-1), "rpm"),
        (provider(rpm=0.5), "rpm"),
        (provider(maxConcurrency=-1), "maxConcurrency"),
        (provider(minGapMs=10**12), "minGapMs"),
        (key(rpm=-1), "rpm"),
        (key(tpm="many"), "tpm"),
        (key(concurrency=-1), "concurrency"),
        (key(budgetUsd=-0.01), "budgetUsd"),
        (key(expiresAt=-1), "expiresAt"),
        (settings(waiting={"max_wait_s": -1}), "max_wait_s"),
        (settings(waiting={"adaptive_most": 0}), "adaptive_most"),
        (settings(timeouts={"gap_s": 0}), "gap_s"),
        (settings(stickyRoundRobinLimit=-1), "stickyRoundRobinLimit"),
        (settings(resilience={"retry_after_max_s": 1e9}), "retry_after_max_s"),
        (("PUT", "/api/models/alias", {"alias": "a", "model": "a"}), "model"),
        (("PUT", "/api/models/alias", {"alias": "", "model": "local/m1"}), "alias"),
    ],
)
async def test_it_is_refused_by_name_and_nothing_is_published(admin, redis, change, field):
    await admin.post("/api/provider-nodes", json=NODE)
    before = await published_snapshot(redis)
    method, path, body = change
    answer = await admin.request(method, path, json=body)
    assert answer.status_code == 400, answer.text
    assert field in answer.text
    assert (await published_snapshot(redis)).revision == before.revision


async def test_weights_of_zero_and_limits_of_zero_are_allowed_and_mean_equal_shares_and_none(admin, redis):
    await admin.post("/api/provider-nodes", json=NODE)
    for method, path, body in (
        weighted(0),
        provider(rpm=0, minGapMs=0, maxConcurrency=0),
        key(rpm=0, tpm=0, budgetUsd=0),
    ):
        assert (await admin.request(method, path, json=body)).status_code == 201


async def test_combos_and_aliases_may_not_make_a_circle_together(admin, redis):
    await admin.post("/api/provider-nodes", json=NODE)
    assert (await admin.put("/api/models/alias", json={"alias": "one", "model": "two"})).status_code == 200
    circle = await admin.put("/api/models/alias", json={"alias": "two", "model": "one"})
    assert (circle.status_code, "circle" in circle.text) == (400, True)
    assert (await admin.put("/api/models/alias", json={"alias": "two", "model": "a"})).status_code == 200
    assert (await admin.post("/api/combos", json={"name": "b", "models": ["one"]})).status_code == 201
    closing = await admin.post("/api/combos", json={"name": "a", "models": ["b"]})
    assert (closing.status_code, "circle" in closing.text) == (400, True)
    assert (await admin.post("/api/combos", json={"name": "a", "models": ["local/m1"]})).status_code == 201
    again = await admin.put("/api/models/alias", json={"alias": "two", "model": "b"})
    assert (again.status_code, "circle" in again.text) == (400, True)


HOSTILE = (
    "'; DROP TABLE combos; --",
    '" OR 1=1 --',
    "x' UNION SELECT hash FROM admin_password --",
    "\x00\x07",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "\ud83d\ude00" * 50,
    "x" * 900_000,
    "x" * 1_200_000,
)
WRONG = (None, True, 7, -1, 1e308, [], {}, [[[[]]]], {"a": {"b": []}}, "")
BODIES = (
    ("POST", "/api/provider-nodes", {"prefix": "p", "baseUrl": "http://h.example/v1", "name": "n", "id": "i"}),
    (
        "POST",
        "/api/providers",
        {"provider": "openai", "name": "n", "apiKey": "sk-x", "proxy": "http://h:1", "tier": "free"},
    ),
    ("POST", "/api/providers/validate", {"provider": "nobody", "apiKey": "sk-x"}),
    ("POST", "/api/providers/test-batch", {"mode": "oauth", "providerId": "p"}),
    ("POST", "/api/providers/reorder", {"provider": "openai", "ids": ["x"]}),
    ("POST", "/api/provider-models", {"provider": "openai", "modelId": "m", "modelName": "n", "contextLength": 1}),
    ("POST", "/api/combos", {"name": "c", "models": ["openai/m"], "strategy": "random", "config": {}, "version": 1}),
    ("POST", "/api/combos/test", {"comboName": "c"}),
    ("PUT", "/api/models/alias", {"alias": "a", "model": "openai/m"}),
    ("POST", "/api/fallback/chains", {"name": "f", "models": ["openai/m"]}),
    ("POST", "/api/models/availability", {"action": "clearCooldown", "provider": "openai", "model": "m"}),
    ("PATCH", "/api/settings", {"theme": "t", "timeouts": {"gap_s": 1}, "blockedProviders": ["p"], "cache": {}}),
    ("PATCH", "/api/settings/combo-defaults", {"comboDefaults": {"strategy": "random"}, "version": 1}),
    ("PUT", "/api/settings/system-prompt", {"enabled": False, "prompt": "p"}),
    ("PUT", "/api/settings/thinking-budget", {"mode": "auto", "customBudget": 1, "effortLevel": "low"}),
    ("PUT", "/api/settings/proxy", {"level": "provider", "id": "openai", "proxy": "http://h:1"}),
    ("POST", "/api/rate-limits", {"connectionId": "c", "enabled": True}),
    ("POST", "/api/resilience/reset", {"ids": ["c"]}),
)


@pytest.mark.parametrize(("method", "path", "body"), BODIES, ids=[f"{method} {path}" for method, path, _ in BODIES])
async def test_hostile_and_wrong_values_in_every_field_break_nothing(admin, method, path, body):
    for field in body:
        for value in (*HOSTILE, *WRONG):
            text = json.dumps({**body, field: value})  # lone surrogates too, as JSON can write them
            answer = await admin.request(method, path, content=text, headers={"content-type": "application/json"})
            assert answer.status_code < 500, (field, str(value)[:40], answer.text[:200])
            assert "error" in answer.json() or answer.status_code < 300
    for raw in (b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"a":' * 5000, b"1" * 1000):
        answer = await admin.request(method, path, content=raw, headers={"content-type": "application/json"})
        assert 400 <= answer.status_code < 500, (raw[:10], answer.text[:200])
    assert (await admin.get("/api/combos")).status_code == 200


@pytest.mark.parametrize("identifier", ["none", "%27%3B--", "%00", "..%2F..", "x" * 5000, "%F0%9F%98%80"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/providers/{}"),
        ("PUT", "/api/providers/{}"),
        ("DELETE", "/api/providers/{}"),
        ("POST", "/api/providers/{}/test"),
        ("GET", "/api/providers/{}/models"),
        ("GET", "/api/provider-nodes/{}"),
        ("DELETE", "/api/provider-nodes/{}"),
        ("GET", "/api/combos/{}"),
        ("PUT", "/api/combos/{}"),
        ("POST", "/api/combos/{}/duplicate"),
        ("DELETE", "/api/models/alias?alias={}"),
        ("DELETE", "/api/provider-models?provider=openai&model={}"),
        ("GET", "/api/settings/proxy?resolve={}"),
    ],
)
async def test_ids_that_nobody_has_are_not_found(admin, method, path, identifier):
    body = {} if method in ("PUT", "POST") else None
    answer = await admin.request(method, path.format(identifier), json=body)
    assert answer.status_code in (400, 404), answer.text
    assert "error" in answer.json()
