"""Each resource: create, read, change, delete; every change raises the revision and reaches the snapshot."""

import pytest

from admin_api.store.database import get_revision
from gateway.config.envelope import open_sealed
from gateway.domain.budget import TierBudget
from tests.support.admin_plane import ENCRYPTION_KEY, PASSWORD, client_of, published_snapshot

NODE = {"name": "Local", "prefix": "local", "baseUrl": "http://127.0.0.1:9001/v1/", "allowPrivate": True}


async def changed(admin, redis, plane, method, path, body=None, status=200):
    """Make a change; check that the revision rose and what was published is that revision."""
    async with plane.database.read() as connection:
        before = await get_revision(connection)
    answer = await admin.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    assert answer.json()["published"] is True
    snapshot = await published_snapshot(redis)
    assert snapshot.revision == before + 1
    return answer.json(), snapshot


async def make_node(admin):
    answer = await admin.post("/api/provider-nodes", json=NODE)
    assert answer.status_code == 201
    return answer.json()["node"]


async def test_a_node_lives_and_reaches_the_snapshot(admin, redis, plane):
    answer, snapshot = await changed(admin, redis, plane, "POST", "/api/provider-nodes", NODE, 201)
    node = answer["node"]
    assert snapshot.nodes[0].base_url == "http://127.0.0.1:9001/v1"
    assert snapshot.nodes[0].allow_private
    assert (await admin.get("/api/provider-nodes")).json()["nodes"] == [node]
    path = f"/api/provider-nodes/{node['id']}"
    assert (await admin.get(path)).json()["node"] == node
    answer, snapshot = await changed(admin, redis, plane, "PUT", path, {"dialect": "anthropic_messages"})
    assert snapshot.nodes[0].dialect == "anthropic_messages"
    assert snapshot.nodes[0].prefix == "local"
    _, snapshot = await changed(admin, redis, plane, "DELETE", path)
    assert snapshot.nodes == ()
    assert (await admin.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("given", "dialect"),
    [
        ({"type": "openai-compatible", "apiType": "chat"}, "openai_chat"),
        ({"type": "openai-compatible", "apiType": "responses"}, "openai_responses"),
        ({"type": "anthropic-compatible"}, "anthropic_messages"),
        ({"dialect": "gemini"}, "gemini"),
    ],
)
async def test_a_node_takes_the_dialect_in_the_seeds_words_too(admin, given, dialect):
    answer = await admin.post("/api/provider-nodes", json={**NODE, **given})
    assert answer.json()["node"]["dialect"] == dialect


@pytest.mark.parametrize(
    "base_url",
    [
        "ftp://host/v1", "file:///etc/passwd", "http://", "http://user:pass@host/v1", "http://169.254.169.254/latest",
        "http://[fe80::1]/v1", "http://2852039166/v1", "http://0xa9fea9fe/", "http://metadata.google.internal/v1",
        "http://[::ffff:169.254.169.254]/", "http://host/v1?key=x", "http://0.0.0.0/v1", "not a url",
    ],
)  # fmt: skip
async def test_a_node_may_not_point_at_what_is_never_called(admin, base_url):
    answer = await admin.post("/api/provider-nodes", json={**NODE, "baseUrl": base_url})
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["field"] == "baseUrl"


async def test_a_prefix_belongs_to_one(admin):
    await make_node(admin)
    assert (await admin.post("/api/provider-nodes", json={**NODE, "id": "other"})).status_code == 409
    answer = await admin.post("/api/provider-nodes", json={**NODE, "prefix": "demo"})
    assert answer.status_code == 400


async def test_a_connection_lives_and_its_secret_never_comes_out(admin, redis, plane):
    await make_node(admin)
    body = {
        "provider": "local",
        "apiKey": "upstream-secret-0123456789",
        "name": "a",
        "priority": 2,
        "defaultModel": "m",
    }
    answer, snapshot = await changed(admin, redis, plane, "POST", "/api/providers", body, 201)
    connection = answer["connection"]
    assert connection["defaultModel"] == "m"
    published = snapshot.connections[0]
    assert "upstream-secret" not in published.api_key
    assert open_sealed(published.api_key, published.id, bytes.fromhex(ENCRYPTION_KEY)) == body["apiKey"]
    path = f"/api/providers/{connection['id']}"
    for answer in (await admin.get("/api/providers"), await admin.get(path)):
        assert "upstream-secret" not in answer.text
        assert "v1:" not in answer.text
    _, snapshot = await changed(admin, redis, plane, "PUT", path, {"isActive": False})
    assert snapshot.connections == ()
    shown = connection["apiKey"]
    _, snapshot = await changed(admin, redis, plane, "PUT", path, {"isActive": True, "rpm": 7, "apiKey": shown})
    assert snapshot.connections[0].rpm == 7
    assert snapshot.connections[0].api_key == published.api_key
    _, snapshot = await changed(admin, redis, plane, "DELETE", path)
    assert snapshot.connections == ()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"copilotToken": "tok-canary"}, "copilotToken"), ({"deep": {"clientSecret": "s"}}, "deep.clientSecret"),
        ({"list": [{"password": ["p"]}]}, "list.0.password"), ({"customHeaders": {"Authorization": "Bearer b"}}, "customHeaders.Authorization"),
    ],
)  # fmt: skip
async def test_what_is_kept_open_of_a_connection_may_hold_no_secret(admin, given, field):
    body = {"provider": "openai", "name": "n", "apiKey": "sk-1234567890", "providerSpecificData": given}
    answer = await admin.post("/api/providers", json=body)
    assert answer.status_code == 400
    assert [detail["field"] for detail in answer.json()["error"]["details"]] == [f"providerSpecificData.{field}"]
    kept = {**body, "providerSpecificData": {"plan": "pro", "copilotToken": "", "machineId": "m", "hasToken": True}}
    made = await admin.post("/api/providers", json=kept)
    assert made.json()["connection"]["providerSpecificData"] == kept["providerSpecificData"]


async def test_a_connection_needs_a_provider_that_exists_and_a_name_of_its_own(admin):
    await make_node(admin)
    body = {"provider": "nobody", "name": "a", "apiKey": "k"}
    assert (await admin.post("/api/providers", json=body)).status_code == 400
    body["provider"] = "local"
    assert (await admin.post("/api/providers", json=body)).status_code == 201
    assert (await admin.post("/api/providers", json=body)).status_code == 409
    assert (await admin.post("/api/providers", json={**body, "name": "b", "proxy": "gopher://x"})).status_code == 400


async def test_deleting_a_node_deletes_its_connections(admin, redis):
    node = await make_node(admin)
    await admin.post("/api/providers", json={"provider": "local", "name": "a", "apiKey": "k"})
    await admin.delete(f"/api/provider-nodes/{node['id']}")
    assert (await published_snapshot(redis)).connections == ()


async def test_a_combo_lives_and_reaches_the_snapshot(admin, redis, plane):
    await make_node(admin)
    body = {
        "name": "always/on-1.0",
        "models": ["local/m1", {"model": "local/m2", "weight": 2.5}],
        "strategy": "weighted",
    }
    combo, snapshot = await changed(admin, redis, plane, "POST", "/api/combos", body, 201)
    assert combo["models"] == body["models"]
    assert [(m.model, m.weight) for m in snapshot.combos[0].models] == [("local/m1", 0), ("local/m2", 2.5)]
    path = f"/api/combos/{combo['id']}"
    _, snapshot = await changed(admin, redis, plane, "PUT", path, {"isActive": False})
    assert snapshot.combos[0].is_active is False
    assert (await admin.get("/api/combos")).json()["combos"][0]["name"] == "always/on-1.0"
    assert (await admin.post("/api/combos", json=body)).status_code == 409
    _, snapshot = await changed(admin, redis, plane, "DELETE", path)
    assert snapshot.combos == ()


@pytest.mark.parametrize(
    "body",
    [
        {"name": "with space", "models": ["m"]}, {"name": "x" * 101, "models": ["m"]}, {"name": "c", "models": []},
        {"name": "c", "models": [5]}, {"name": "c", "models": [{"model": "m", "weight": 101}]},
        {"name": "c", "models": [{"model": "m", "wait": 1}]}, {"name": "c", "models": ["m"], "strategy": "magic"},
        {"name": "c"}, {"models": ["m"]}, {"name": "c", "models": ["c"]},
    ],
)  # fmt: skip
async def test_a_combo_that_cannot_be_is_refused_and_nothing_changes(admin, redis, body):
    before = (await published_snapshot(redis)).revision
    assert (await admin.post("/api/combos", json=body)).status_code == 400
    assert (await published_snapshot(redis)).revision == before


async def test_combos_may_not_go_in_a_circle_and_only_five_deep(admin):
    await make_node(admin)
    ids = {}
    for number in range(1, 6):
        below = [f"c{number - 1}"] if number > 1 else ["local/m"]
        answer = await admin.post("/api/combos", json={"name": f"c{number}", "models": below})
        ids[number] = answer.json()["id"]
    answer = await admin.post("/api/combos", json={"name": "c6", "models": ["c5"]})
    assert answer.status_code == 400
    assert "deep" in answer.json()["error"]["message"]
    answer = await admin.put(f"/api/combos/{ids[1]}", json={"models": ["c3"]})
    assert answer.status_code == 400
    assert "circle" in answer.json()["error"]["message"]


async def test_an_alias_lives_in_both_shapes(admin, redis, plane):
    _, snapshot = await changed(admin, redis, plane, "PUT", "/api/models/alias", {"alias": "gpt-*", "model": "local/m"})
    assert snapshot.aliases[0].pattern == "gpt-*"
    await changed(admin, redis, plane, "PUT", "/api/models/alias", {"pattern": "gpt-*", "target": "local/n"})
    assert (await admin.get("/api/models/alias")).json()["aliases"] == {"gpt-*": "local/n"}
    _, snapshot = await changed(admin, redis, plane, "DELETE", "/api/models/alias?alias=gpt-*")
    assert snapshot.aliases == ()
    assert (await admin.delete("/api/models/alias?alias=gpt-*")).status_code == 404
    assert (await admin.put("/api/models/alias", json={"alias": "x"})).status_code == 400


async def test_a_fallback_chain_lives_in_both_shapes(admin, redis, plane):
    path = "/api/fallback/chains"
    body = {"name": "prod", "models": ["a/m", "b/m"]}
    _, snapshot = await changed(admin, redis, plane, "POST", path, body, 201)
    assert snapshot.fallback_chains[0].models == ("a/m", "b/m")
    steps = [{"provider": "b", "priority": 2}, {"provider": "a", "priority": 1}, {"provider": "c", "enabled": False}]
    await changed(admin, redis, plane, "POST", path, {"model": "m", "chain": steps}, 201)
    found = {chain["name"]: chain["models"] for chain in (await admin.get(path)).json()["chains"]}
    assert found == {"prod": ["a/m", "b/m"], "m": ["a/m", "b/m"]}
    _, snapshot = await changed(admin, redis, plane, "DELETE", f"{path}?name=prod")
    assert [chain.name for chain in snapshot.fallback_chains] == ["m"]


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_settings_are_kept_and_reach_the_snapshot(admin, redis, plane, method):
    body = {"fallbackStrategy": "p2c", "stickyRoundRobinLimit": 9, "timeouts": {"gap_s": 7}, "theme": "dark"}
    answer, snapshot = await changed(admin, redis, plane, method, "/api/settings", body)
    assert answer["theme"] == "dark"
    assert snapshot.settings.account_strategy == "p2c"
    assert snapshot.settings.sticky_limit == 9
    assert snapshot.settings.timeouts.gap_s == 7
    assert snapshot.settings.timeouts.connect_s == 5
    _, snapshot = await changed(admin, redis, plane, method, "/api/settings", {"timeouts": {"connect_s": 3}})
    assert (snapshot.settings.timeouts.gap_s, snapshot.settings.timeouts.connect_s) == (7, 3)
    await changed(admin, redis, plane, method, "/api/settings", {"waiting": {"max_wait_s": 2}})
    answer, snapshot = await changed(admin, redis, plane, method, "/api/settings", {"waiting": {"max_open": 50}})
    assert (snapshot.settings.waiting.max_wait_s, snapshot.settings.waiting.max_open) == (2, 50)
    assert (answer["waiting"]["max_wait_s"], answer["waiting"]["max_waiting"]) == (2, 100)
    await changed(admin, redis, plane, method, "/api/settings", {"resilience": {"failures": 9}})
    answer, snapshot = await changed(admin, redis, plane, method, "/api/settings", {"resilience": {"open_s": 2}})
    assert (snapshot.settings.resilience.failures, snapshot.settings.resilience.open_s) == (9, 2)
    assert (answer["resilience"]["ramp_s"], answer["resilience"]["failures"]) == (10, 9)
    for wrong in ({"failures": 0}, {"nonsense": 1}, {"open_s": "long"}, 5):
        assert (await admin.patch("/api/settings", json={"resilience": wrong})).status_code == 400
    await changed(admin, redis, plane, method, "/api/settings", {"tierBudgets": {"cheap": {"usd": 3}}})
    body = {
        "tierBudgets": {"api-key": {"usd": 5, "period": "daily"}},
        "sessionAffinity": "turns",
        "retryBudget": {"share": 1},
    }
    answer, snapshot = await changed(admin, redis, plane, method, "/api/settings", body)
    assert snapshot.settings.tier_budgets.by_tier() == {"cheap": TierBudget(3), "api-key": TierBudget(5, "daily")}
    assert (answer["sessionAffinity"], snapshot.settings.session_affinity) == ("turns", "turns")
    assert answer["retryBudget"] == {"share": 1, "floor_per_s": 10, "window_s": 10}
    assert snapshot.settings.retry_budget.share == 1
    answer, _ = await changed(admin, redis, plane, method, "/api/settings", {"tierBudgets": {"cheap": None}})
    assert list(answer["tierBudgets"]) == ["api-key"]
    for wrong in ({"api-key": {"usd": -1}}, {"nonsense": {"usd": 1}}, {"free": 7}, 5):
        assert (await admin.patch("/api/settings", json={"tierBudgets": wrong})).status_code == 400
    assert "password" not in (await admin.get("/api/settings")).text.lower()


async def test_unknown_settings_are_refused_by_name(admin, redis):
    before = (await published_snapshot(redis)).revision
    answer = await admin.patch("/api/settings", json={"theme": "dark", "foo": 1, "bar": 2})
    assert answer.status_code == 400
    assert [detail["field"] for detail in answer.json()["error"]["details"]] == ["bar", "foo"]
    assert (await admin.patch("/api/settings", json={"fallbackStrategy": "magic"})).status_code == 400
    assert (await admin.patch("/api/settings", json={"requireLogin": False})).status_code == 400
    assert (await published_snapshot(redis)).revision == before


async def test_the_password_is_changed_with_the_old_one_and_other_sessions_end(plane, admin):
    async with client_of(plane) as here, client_of(plane) as there:
        csrf = (await here.post("/api/auth/login", json={"password": PASSWORD})).json()["csrfToken"]
        await there.post("/api/auth/login", json={"password": PASSWORD})
        body = {"currentPassword": "wrong", "newPassword": "a new long password"}
        headers = {"x-csrf-token": csrf}
        assert (await here.patch("/api/settings", json=body, headers=headers)).status_code == 401
        body["currentPassword"] = PASSWORD
        assert (
            await here.patch("/api/settings", json={**body, "newPassword": "short"}, headers=headers)
        ).status_code == 400
        assert (await here.patch("/api/settings", json=body, headers=headers)).status_code == 200
        assert (await here.get("/api/settings")).status_code == 200
        assert (await there.get("/api/settings")).status_code == 401
        assert (await there.post("/api/auth/login", json={"password": PASSWORD})).status_code == 401
        assert (await there.post("/api/auth/login", json={"password": body["newPassword"]})).status_code == 200


async def test_health_tells_how_everything_is(plane, admin, redis):
    await redis.set("or1:worker:w1", b'{"pid": 5, "host": "h", "revision": 1}', ex=15)
    plane.settings.spool_dir.mkdir()
    (plane.settings.spool_dir / "w-1.ndjson").write_bytes(b"x" * 10)
    body = (await admin.get("/api/monitoring/health")).json()
    assert body["status"] == "healthy"
    assert body["revision"] == body["publishedRevision"] == 1
    assert body["redis"]["up"]
    assert body["workers"] == [{"id": "w1", "pid": 5, "host": "h", "revision": 1}]
    assert body["ledger"] == {"waiting": 0, "rejected": 0}
    assert body["spoolBytes"] == 10
