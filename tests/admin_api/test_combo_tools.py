"""Beside making combos: trying them, copying them, and what counts for all of them."""

import pytest

from admin_api.jobs.ledger import LedgerJob
from gateway.domain.record import RequestRecord, encode_record
from gateway.state import keys as redis_keys
from tests.support.admin_plane import published_snapshot
from tests.support.fake_provider import FakeProvider


@pytest.fixture
async def fake(admin):
    async with FakeProvider() as fake:
        body = {"prefix": "local", "baseUrl": fake.base_url, "allowPrivate": True}
        assert (await admin.post("/api/provider-nodes", json=body)).status_code == 201
        body = {"provider": "local", "name": "a", "apiKey": "sk-of-the-tests-123456"}
        assert (await admin.post("/api/providers", json=body)).status_code == 201
        yield fake


async def make(admin, *models, name="c", **more):
    answer = await admin.post("/api/combos", json={"name": name, "models": list(models), **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_each_model_is_asked_once_and_the_first_that_answers_is_named(admin, fake):
    await make(admin, "local/m1", name="inner")
    await make(admin, "local/status:500", "local/html", "inner", "local/m2", "openai/gpt-4o")
    answer = await admin.post("/api/combos/test", json={"comboName": "c"})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["comboName"], body["strategy"], body["resolvedBy"]) == ("c", "priority", "inner")
    found = {one["model"]: one for one in body["results"]}
    assert [found[name]["status"] for name in ("local/status:500", "inner", "local/m2")] == ["error", "ok", "ok"]
    assert found["local/status:500"]["statusCode"] == 500
    assert found["openai/gpt-4o"]["status"] == "error"
    assert found["local/m2"]["latencyMs"] > 0
    asked = [record.json() for record in fake.requests if record.method == "POST"]
    assert sorted(body["model"] for body in asked) == ["html", "m1", "m2", "status:500"]
    assert all(body["max_tokens"] == 16 and not body.get("stream") for body in asked)


async def test_a_combo_that_is_not_there_is_not_tried(admin):
    assert (await admin.post("/api/combos/test", json={"comboName": "none"})).status_code == 404
    assert (await admin.post("/api/combos/test", json={})).status_code == 400


async def test_a_copy_has_a_name_of_its_own_and_may_be_changed(admin, fake, redis):
    combo = await make(
        admin, "local/m1", {"model": "local/m2", "weight": 3}, strategy="weighted", config={"affinity": True}
    )
    first = (await admin.post(f"/api/combos/{combo['id']}/duplicate")).json()
    second = (await admin.post(f"/api/combos/{combo['id']}/duplicate")).json()
    assert [first["name"], second["name"]] == ["c-copy", "c-copy-2"]
    assert {name: first[name] for name in ("models", "strategy", "config")} == {
        name: combo[name] for name in ("models", "strategy", "config")
    }
    named = await admin.post(f"/api/combos/{combo['id']}/duplicate", json={"name": "mine"})
    assert (named.status_code, named.json()["published"]) == (201, True)
    assert {one.name for one in (await published_snapshot(redis)).combos} == {"c", "c-copy", "c-copy-2", "mine"}
    for wrong, status in (({"name": "c"}, 409), ({"name": "not a name"}, 400), ({"nonsense": 1}, 400)):
        assert (await admin.post(f"/api/combos/{combo['id']}/duplicate", json=wrong)).status_code == status
    assert (await admin.post("/api/combos/none/duplicate")).status_code == 404


async def test_an_option_that_nothing_obeys_is_refused_by_name(admin, fake):
    body = {"name": "c", "models": ["local/m1"], "config": {"queue_timeout": 1, "maxRetries": 1}}
    answer = await admin.post("/api/combos", json=body)
    assert (answer.status_code, "queue_timeout" in answer.text, "maxRetries" in answer.text) == (400, True, True)


async def test_defaults_count_for_combos_that_say_nothing_and_the_strategy_for_new_ones(admin, fake, redis):
    await make(admin, "local/m1", name="old")
    body = {"comboDefaults": {"strategy": "round-robin", "affinity": True, "sticky_limit": 5}}
    answer = await admin.patch("/api/settings/combo-defaults", json=body)
    assert answer.json()["comboDefaults"] == body["comboDefaults"], answer.text
    await make(admin, "local/m1", name="new", config={"sticky_limit": 9})
    await make(admin, "local/m1", name="said", strategy="random")
    found = {one.name: one for one in (await published_snapshot(redis)).combos}
    assert {name: one.strategy for name, one in found.items()} == {
        "old": "priority", "new": "round-robin", "said": "random",
    }  # fmt: skip
    assert found["old"].config == {"affinity": True, "sticky_limit": 5}
    assert found["new"].config == {"affinity": True, "sticky_limit": 9}
    shown = (await admin.get("/api/combos")).json()["combos"]
    assert {one["name"]: one["config"] for one in shown}["old"] == {}
    taken = await admin.put("/api/settings/combo-defaults", json={"comboDefaults": {"affinity": None}})
    assert "affinity" not in taken.json()["comboDefaults"]
    for wrong in ({"strategy": "magic"}, {"sticky_limit": 0}, {"maxRetries": 3}):
        assert (await admin.patch("/api/settings/combo-defaults", json={"comboDefaults": wrong})).status_code == 400
    overrides = {"providerOverrides": {"openai": {"affinity": True}}}
    assert (await admin.patch("/api/settings/combo-defaults", json=overrides)).status_code == 400


async def test_what_was_asked_of_combos_comes_from_the_ledgers_sums(admin, plane, redis):
    nothing = (await admin.get("/api/combos/metrics?combo=c")).json()["combos"]["c"]
    assert (nothing["totalRequests"], nothing["successRate"]) == (0, None)
    job = LedgerJob(plane)
    await job()
    for number, status in enumerate((200, 200, 200, 500)):
        row = RequestRecord(
            id=f"r{number}", at=plane.now(), worker="w", endpoint="/", dialect="openai_chat", requested_model="c",
            combo="c", status=status,
        )  # fmt: skip
        await redis.xadd(redis_keys.RECORDS, {"r": encode_record(row)})
    await job()
    found = (await admin.get("/api/combos/metrics")).json()["combos"]
    assert list(found) == ["c"]
    assert (found["c"]["totalRequests"], found["c"]["totalSuccesses"], found["c"]["successRate"]) == (4, 3, 75.0)
    assert (await admin.get("/api/combos/metrics?range=forever")).status_code == 400


async def test_conversations_are_listed_honestly(admin):
    found = (await admin.get("/api/sessions")).json()
    assert (found["sessions"], found["affinity"]) == ([], "named")
    await admin.patch("/api/settings", json={"sessionAffinity": "off"})
    assert (await admin.get("/api/sessions")).json()["affinity"] == "off"
