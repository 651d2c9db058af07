"""Models that operators add, the catalog of all, and what of it workers see."""

import pytest

from gateway.providers.load import load_specs
from gateway.runtime import compile_runtime
from tests.support.admin_plane import ENCRYPTION_KEY, published_snapshot

NODE = {"name": "Local", "prefix": "local", "baseUrl": "http://127.0.0.1:9001/v1", "allowPrivate": True}
MODEL = {"provider": "local", "modelId": "vendor/new-model", "contextLength": 8000, "maxOutput": 500}


@pytest.fixture
async def node(admin):
    await admin.post("/api/provider-nodes", json=NODE)


async def compiled(redis):
    return await compile_runtime(await published_snapshot(redis), load_specs(), bytes.fromhex(ENCRYPTION_KEY))


async def connect(admin, **more):
    body = {"provider": "local", "name": "a", "apiKey": "sk-of-the-tests-123456", **more}
    return (await admin.post("/api/providers", json=body)).json()["connection"]["id"]


async def test_a_model_that_was_added_is_listed_and_its_limits_count(admin, redis, node):
    await connect(admin)
    answer = await admin.post("/api/provider-models", json=MODEL)
    assert (answer.status_code, answer.json()["published"]) == (201, True), answer.text
    runtime = await compiled(redis)
    assert ("local/vendor/new-model", "local") in runtime.catalog.listed
    assert runtime.catalog.facts["local", "vendor/new-model"].context == 8000
    assert runtime.catalog.connections["local"][0].max_outputs == {"vendor/new-model": 500}
    assert runtime.resolve("", "vendor/new-model").models[0].provider == "local"
    again = await admin.post("/api/provider-models", json={**MODEL, "contextLength": 9000})
    assert again.status_code == 200
    assert (await compiled(redis)).catalog.facts["local", "vendor/new-model"].context == 9000
    listed = (await admin.get("/api/provider-models?provider=local")).json()["models"]
    assert [(one["id"], one["contextLength"]) for one in listed] == [("vendor/new-model", 9000)]
    gone = await admin.delete("/api/provider-models?provider=local&model=vendor/new-model")
    assert gone.status_code == 200
    assert ("local/vendor/new-model", "local") not in (await compiled(redis)).catalog.listed
    assert (await admin.delete("/api/provider-models?provider=local&model=vendor/new-model")).status_code == 404


async def test_what_is_said_of_a_known_model_counts_more_than_the_data_file(admin, redis):
    spec = next(spec for spec in load_specs().values() if any(model.context for model in spec.models))
    model = next(model for model in spec.models if model.context)
    await admin.post("/api/providers", json={"provider": spec.id, "name": "a", "apiKey": "sk-of-the-tests-123456"})
    await admin.post("/api/provider-models", json={"provider": spec.id, "modelId": model.id, "contextLength": 77})
    fact = (await compiled(redis)).catalog.facts[spec.id, model.id]
    assert (fact.context, fact.max_output, fact.capabilities) == (77, model.max_output, model.capabilities)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"provider": "nobody"}, "provider"),
        ({"modelId": ""}, "modelId"),
        ({"modelId": "with space"}, "modelId"),
        ({"modelId": "new\nline"}, "modelId"),
        ({"modelId": "x" * 1_000_000}, "modelId"),
        ({"apiFormat": "responses"}, "apiFormat"),
        ({"supportedEndpoints": ["embeddings"]}, "supportedEndpoints"),
        ({"contextLength": -1}, "contextLength"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_name(admin, redis, node, change, field):
    before = (await published_snapshot(redis)).revision
    answer = await admin.post("/api/provider-models", json={**MODEL, **change})
    assert answer.status_code in (400, 413), answer.text
    assert field in answer.text or answer.status_code == 413
    assert (await published_snapshot(redis)).revision == before


async def test_the_catalog_says_of_each_model_where_it_is_known_from_and_whether_it_can_be_called(admin, node):
    await admin.post("/api/provider-models", json=MODEL)
    connection_id = await connect(admin, models=["m1"])
    local = (await admin.get("/api/models/catalog")).json()["catalog"]["local"]
    assert (local["type"], local["active"], local["prefix"]) == ("compatible", True, "local")
    found = {one["id"]: one for one in local["models"]}
    assert (found["vendor/new-model"]["custom"], found["vendor/new-model"]["callable"]) == (True, False)
    assert (found["m1"]["source"], found["m1"]["callable"]) == ("connection", True)
    await admin.put(f"/api/providers/{connection_id}", json={"models": []})
    local = (await admin.get("/api/models/catalog")).json()["catalog"]["local"]
    assert [(one["id"], one["callable"]) for one in local["models"]] == [("vendor/new-model", True)]
    await admin.put(f"/api/providers/{connection_id}", json={"isActive": False})
    assert (await admin.get("/api/models/catalog")).json()["catalog"]["local"]["active"] is False


async def test_the_catalog_tells_what_is_known_of_a_model_and_what_it_costs_now(admin, node):
    spec = next(spec for spec in load_specs().values() if any(model.capabilities for model in spec.models))
    known = next(model for model in spec.models if model.capabilities)
    await admin.post("/api/provider-models", json=MODEL)
    await admin.patch("/api/pricing", json={"local": {"vendor/*": {"input": 0.5, "output": 2}}})
    catalog = (await admin.get("/api/models/catalog")).json()["catalog"]
    shipped = next(one for one in catalog[spec.id]["models"] if one["id"] == known.id)
    assert (tuple(shipped["capabilities"]), shipped["version"]) == (known.capabilities, None)
    [added] = catalog["local"]["models"]
    assert added["price"] == {"input": 0.5, "output": 2}
    assert added["version"] == (await admin.get("/api/provider-models")).json()["models"][0]["version"]
    assert (catalog["local"]["node"]["baseUrl"], catalog[spec.id]["node"]) == (NODE["baseUrl"], None)


async def test_a_provider_that_is_blocked_offers_nothing(admin, node):
    await admin.post("/api/provider-models", json=MODEL)
    await connect(admin)
    await admin.patch("/api/settings", json={"blockedProviders": ["local"]})
    local = (await admin.get("/api/models/catalog")).json()["catalog"]["local"]
    assert (local["blocked"], local["active"], [one["callable"] for one in local["models"]]) == (True, False, [False])


async def test_the_list_of_models_tells_the_alias_and_sets_it(admin, node):
    await admin.post("/api/provider-models", json=MODEL)
    put = await admin.put("/api/models", json={"alias": "short", "model": "local/vendor/new-model"})
    assert put.status_code == 200, put.text
    models = (await admin.get("/api/models")).json()["models"]
    [entry] = [one for one in models if one["provider"] == "local"]
    assert (entry["fullModel"], entry["alias"]) == ("local/vendor/new-model", "short")


async def test_a_node_takes_its_models_along_when_it_goes(admin, node):
    await admin.post("/api/provider-models", json=MODEL)
    await admin.delete("/api/provider-nodes/local")
    assert (await admin.get("/api/provider-models")).json()["models"] == []


async def test_nothing_rests_at_first_and_what_rests_is_let_go_by_provider(admin, node):
    await connect(admin)
    assert (await admin.get("/api/models/availability")).json() == {"models": []}
    body = {"action": "clearCooldown", "provider": "local", "model": "m1"}
    assert (await admin.post("/api/models/availability", json=body)).json() == {"success": True, "reset": 0}
    assert (await admin.post("/api/models/availability", json={**body, "provider": "no"})).status_code == 400
