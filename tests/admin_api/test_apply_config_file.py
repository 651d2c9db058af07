"""The config file in rows: managed, stable, atomic; a broken file changes nothing."""

import pytest

from admin_api.services.apply_config_file import apply_config_file
from admin_api.store.connections import connections
from admin_api.store.database import get_revision
from gateway.config.envelope import open_sealed
from gateway.config.keys import digest_of
from gateway.config.snapshot import ProviderStrategy, decode_key_entry
from gateway.domain.budget import TierBudget
from gateway.domain.retrying import RetryBudget
from gateway.state import keys as redis_keys
from tests.support.admin_plane import (
    ADMIN_TOKEN,
    ENCRYPTION_KEY,
    client_of,
    make_plane,
    make_settings,
    published_snapshot,
)

FILE = """\
version: 1
nodes:
  - {id: local, prefix: local, dialect: openai_chat, base_url: "http://127.0.0.1:9001/v1", allow_private: true}
connections:
  - {provider: local, name: a, api_key: "${LOCAL_KEY}", priority: 1, rpm: 600, models: [m1, m2]}
combos:
  - {name: always-on, strategy: weighted, models: [local/m1, {model: local/m2, weight: 2}], config: {max_retries: 1}}
aliases:
  - {pattern: "gpt-*", target: local/m1}
fallback_chains:
  - {name: prod, models: [local/m1, local/m2]}
keys:
  - {name: ci, secret: "${CI_KEY}", allowed_models: ["local/*"], rpm: 600, budget: {usd: 50, period: monthly}}
prices:
  - {model: local/m1, input: 1.0, output: 2.0, cache_read: 0.1}
settings: {account_strategy: round-robin, provider_strategies: {local: {account_strategy: p2c}}, timeouts: {first_event_s: 9}, resilience: {failures: 7}, session_affinity: turns, tier_budgets: {api-key: {usd: 5, period: daily}}, retry_budget: {share: 0.1}}
"""
CI_KEY = "sk-or-the-key-of-ci-0123456789"


@pytest.fixture
async def filed(tmp_path, redis, shared_valkey, monkeypatch):
    """A plane with a config file, applied and published; its `path` can be written anew."""
    monkeypatch.setenv("LOCAL_KEY", "upstream-secret-0123456789")
    monkeypatch.setenv("CI_KEY", CI_KEY)
    path = tmp_path / "omniroute.yaml"
    path.write_text(FILE)
    plane = await make_plane(make_settings(tmp_path, shared_valkey.url, config_file=path))
    await apply(plane)
    yield plane
    await plane.close()


async def apply(plane, text=None):
    if text is not None:
        plane.settings.config_file.write_text(text)
    await apply_config_file(plane)
    assert await plane.publisher.publish(60.0)


@pytest.fixture
async def api(filed):
    async with client_of(filed, headers={"authorization": f"Bearer {ADMIN_TOKEN}"}) as client:
        yield client


async def revision_of(plane):
    async with plane.database.read() as connection:
        return await get_revision(connection)


async def test_everything_in_the_file_reaches_the_snapshot_and_the_keyring(filed, redis):
    snapshot = await published_snapshot(redis)
    assert snapshot.nodes[0].id == "local"
    (connection,) = snapshot.connections
    assert (connection.provider, connection.name, connection.rpm, connection.models) == (
        "local",
        "a",
        600,
        ("m1", "m2"),
    )
    assert open_sealed(connection.api_key, connection.id, bytes.fromhex(ENCRYPTION_KEY)) == "upstream-secret-0123456789"
    assert [(m.model, m.weight) for m in snapshot.combos[0].models] == [("local/m1", 0), ("local/m2", 2)]
    assert snapshot.combos[0].config == {"max_retries": 1}
    assert snapshot.aliases[0].target == "local/m1"
    assert snapshot.fallback_chains[0].models == ("local/m1", "local/m2")
    assert snapshot.prices[0].cache_read == 0.1
    assert snapshot.settings.account_strategy == "round-robin"
    assert snapshot.settings.provider_strategies == {"local": ProviderStrategy("p2c")}
    assert snapshot.settings.timeouts.first_event_s == 9
    assert (snapshot.settings.resilience.failures, snapshot.settings.resilience.open_s) == (7, 5)
    assert snapshot.settings.tier_budgets.by_tier() == {"api-key": TierBudget(5, "daily")}
    assert (snapshot.settings.session_affinity, snapshot.settings.retry_budget) == ("turns", RetryBudget(share=0.1))
    entry = decode_key_entry(await redis.hget(redis_keys.key(digest_of(CI_KEY, b"pepper")), "e"))
    assert (entry.name, entry.rpm, entry.budget_nano_usd) == ("ci", 600, 50_000_000_000)


async def test_the_same_file_again_changes_nothing(filed, redis):
    before, snapshot = await revision_of(filed), await published_snapshot(redis)
    await apply(filed)
    assert await revision_of(filed) == before
    assert (await published_snapshot(redis)) == snapshot


async def test_ids_are_the_same_in_another_database(filed, redis, tmp_path, shared_valkey):
    before = await published_snapshot(redis)
    settings = make_settings(tmp_path / "other", shared_valkey.url, config_file=filed.settings.config_file)
    other = await make_plane(settings)
    await apply(other)
    await other.close()
    after = await published_snapshot(redis)
    assert [c.id for c in after.connections + after.combos] == [c.id for c in before.connections + before.combos]


async def test_what_comes_from_the_file_is_read_only(filed, api):
    connection = (await api.get("/api/providers")).json()["connections"][0]
    combo = (await api.get("/api/combos")).json()["combos"][0]
    key = next(key for key in (await api.get("/api/keys")).json()["keys"] if key["name"] == "ci")
    assert connection["managed"]
    assert combo["managed"]
    before = await revision_of(filed)
    for method, path, body in (
        ("PUT", f"/api/providers/{connection['id']}", {"rpm": 1}),
        ("DELETE", f"/api/providers/{connection['id']}", None),
        ("PUT", "/api/provider-nodes/local", {"name": "x"}),
        ("DELETE", "/api/provider-nodes/local", None),
        ("PUT", f"/api/combos/{combo['id']}", {"isActive": False}),
        ("DELETE", f"/api/combos/{combo['id']}", None),
        ("PATCH", f"/api/keys/{key['id']}", {"rpm": 1}),
        ("DELETE", f"/api/keys/{key['id']}", None),
        ("PUT", "/api/models/alias", {"alias": "gpt-*", "model": "x"}),
        ("DELETE", "/api/models/alias?alias=gpt-*", None),
        ("POST", "/api/fallback/chains", {"name": "prod", "models": ["x"]}),
        ("DELETE", "/api/fallback/chains?name=prod", None),
        ("PATCH", "/api/settings", {"fallbackStrategy": "random"}),
    ):
        answer = await api.request(method, path, json=body)
        assert answer.status_code == 409, (method, path, answer.text)
        assert "config file" in answer.json()["error"]["message"]
    assert await revision_of(filed) == before
    assert (await api.patch("/api/settings", json={"stickyRoundRobinLimit": 5})).status_code == 200


@pytest.mark.parametrize(
    "broken",
    [
        "version: 1\nnodes: [",
        "version: 1\nnonsense: 1\n",
        FILE.replace("rpm: 600", "rpm: many"),
        FILE + "x: ${NO}\n",
        "",
    ],
)
async def test_a_broken_file_changes_nothing_and_is_shown(filed, api, redis, broken):
    before = await published_snapshot(redis)
    await apply(filed, broken)
    assert await published_snapshot(redis) == before
    body = (await api.get("/api/monitoring/health")).json()
    assert body["status"] == "degraded"
    assert body["config"]["error"]
    assert body["config"]["appliedAt"]
    await apply(filed, FILE)
    assert (await api.get("/api/monitoring/health")).json()["config"]["error"] == ""


async def test_what_left_the_file_is_gone_and_what_was_made_by_hand_stays(filed, api, redis):
    hand = (await api.post("/api/combos", json={"name": "by-hand", "models": ["local/m1"]})).json()
    await apply(filed, "version: 1\n")
    snapshot = await published_snapshot(redis)
    own_prices = [price for price in snapshot.prices if not price.is_default]
    assert (snapshot.nodes, snapshot.connections, snapshot.aliases, own_prices) == ((), (), (), [])
    assert [combo.id for combo in snapshot.combos] == [hand["id"]]
    assert snapshot.settings.account_strategy == "fill-first"
    assert not await redis.exists(redis_keys.key(digest_of(CI_KEY, b"pepper")))
    assert [key["name"] for key in (await api.get("/api/keys")).json()["keys"]] == ["default"]


async def test_a_changed_secret_is_another_key_and_a_changed_limit_is_not(filed, redis, monkeypatch):
    name = redis_keys.key(digest_of(CI_KEY, b"pepper"))
    await apply(filed, FILE.replace("rpm: 600, budget", "rpm: 700, budget"))
    assert await redis.hget(name, "v") == b"2"
    monkeypatch.setenv("CI_KEY", "sk-or-another-secret-0123456789")
    await apply(filed)
    assert not await redis.exists(name)
    other = redis_keys.key(digest_of("sk-or-another-secret-0123456789", b"pepper"))
    assert await redis.hget(other, "v") == b"3"
    monkeypatch.setenv("CI_KEY", CI_KEY)
    await apply(filed)
    assert await redis.exists(name)


async def test_what_stood_under_the_name_before_is_taken_over(filed, api, redis):
    await apply(filed, FILE.replace("name: always-on", "name: other"))
    made = (await api.post("/api/combos", json={"name": "always-on", "models": ["x"]})).json()
    await apply(filed, FILE)
    combos = {combo["name"]: combo for combo in (await api.get("/api/combos")).json()["combos"]}
    assert combos["always-on"]["managed"]
    assert combos["always-on"]["id"] != made["id"]
    assert "other" not in combos


async def test_without_a_file_what_was_managed_can_be_edited(filed, shared_valkey):
    again = await make_plane(make_settings(filed.settings.data_dir, shared_valkey.url))
    try:
        await apply_config_file(again)
        async with again.database.read() as connection:
            assert [row.managed for row in await connections.load_all(connection)] == [False]
    finally:
        await again.close()


async def test_a_plane_starts_with_the_rows_of_the_last_good_file(filed, shared_valkey):
    filed.settings.config_file.write_text("broken: [")
    again = await make_plane(
        make_settings(filed.settings.data_dir, shared_valkey.url, config_file=filed.settings.config_file)
    )
    try:
        await apply_config_file(again)
        assert again.config_file.error
        async with again.database.read() as connection:
            assert [row.name for row in await connections.load_all(connection)] == ["a"]
    finally:
        await again.close()
