"""Prices through the API: what is written counts from then on, nothing is half written, unknown ones are listed."""

import pytest

from admin_api.jobs.usage import TurnPricesJob
from tests.admin_api.test_ledger import query, record
from tests.admin_api.test_usage_sums import BEGAN, keep
from tests.support.admin_plane import published_snapshot


async def test_a_price_is_written_seen_and_published(admin, redis):
    answer = await admin.patch("/api/pricing", json={"local": {"m1": {"input": 1.0, "output": 2.0, "cached": 0.1}}})
    assert answer.status_code == 200
    shown = (await admin.get("/api/pricing")).json()
    assert shown["local"]["m1"]["cached"] == 0.1
    assert shown["openai"]["gpt-5.5"]["isDefault"] is True
    (price,) = [one for one in (await published_snapshot(redis)).prices if not one.is_default]
    assert (price.model, price.input, price.cache_read, price.valid_from) == ("local/m1", 1.0, 0.1, 0.0)


async def test_a_new_price_leaves_what_was_asked_before_as_it_was(plane, admin):
    clock = [BEGAN]
    plane.now = lambda: clock[0]
    await admin.patch("/api/pricing", json={"local": {"m1": {"input": 1.0, "output": 1.0}}})
    clock[0] = BEGAN + 50
    await admin.patch("/api/pricing", json={"local": {"m1": {"output": 3.0}}})
    await keep(plane, record(49), record(50))
    assert query(plane, "SELECT cost_nano_usd FROM request_records ORDER BY id") == [(150_000,), (250_000,)]
    listed = (await admin.get("/api/pricing/list")).json()["prices"]
    assert [(one["from"], one["input"], one["output"]) for one in listed] == [(0.0, 1.0, 1.0), (BEGAN + 50, 1.0, 3.0)]


async def test_a_change_over_somebody_elses_is_refused(admin):
    first = await admin.patch("/api/pricing", json={"*": {"m1": {"input": 1.0}}})
    await admin.patch("/api/pricing", json={"*": {"m2": {"input": 1.0}}})
    refused = await admin.patch(
        "/api/pricing", json={"*": {"m1": {"input": 2.0}}}, headers={"if-match": first.headers["etag"]}
    )
    assert refused.status_code == 409
    assert (await admin.get("/api/pricing")).json()["*"]["m1"]["input"] == 1.0


@pytest.mark.parametrize(
    "body", [{"local": {"m1": {"input": -1}}}, {"local": {"m1": {"price": 1}}}, {"local": {"m1": {}}}, {"local": 1}]
)
async def test_a_price_that_is_none_is_refused(admin, body):
    assert (await admin.patch("/api/pricing", json=body)).status_code == 400


async def test_what_is_exported_can_be_imported_and_a_wrong_one_changes_nothing(admin):
    await admin.patch("/api/pricing", json={"local": {"m1": {"input": 1.0, "reasoning": 4.0}, "m*": {"input": 0.0}}})
    exported = (await admin.get("/api/pricing/export")).json()
    assert (await admin.delete("/api/pricing")).json()["deleted"] == 2
    assert "local" not in (await admin.get("/api/pricing")).json()
    broken = {**exported, "prices": [*exported["prices"], {"model": "x", "input": "dear"}]}
    assert (await admin.post("/api/pricing/import", json=broken)).status_code == 400
    assert "local" not in (await admin.get("/api/pricing")).json()
    assert (await admin.post("/api/pricing/import", json=exported)).json()["written"] == 2
    assert (await admin.get("/api/pricing/export")).json() == exported


async def test_what_has_no_price_is_listed_until_it_has_one(plane, admin):
    plane.now = lambda: BEGAN + 100
    await keep(plane, record(1), record(2), record(3, provider="openai", model="gpt-5.5"))
    (unknown,) = (await admin.get("/api/pricing/unknown")).json()["unknown"]
    assert unknown == {"provider": "local", "model": "m1", "requests": 2, "input": 200, "output": 100}


async def test_shipped_prices_say_where_they_are_from(admin):
    defaults = (await admin.get("/api/pricing/defaults")).json()
    assert defaults["openai"]["source"].startswith("https://")
    assert {price["basis"] for found in defaults.values() for price in found["prices"]} <= {
        "provider", "secondary", "memory",
    }  # fmt: skip
    models = (await admin.get("/api/pricing/models")).json()["models"]
    prices = {(one["provider"], one["model"]): one["price"] for one in models}
    assert prices["openai", "gpt-5.5"]["input"] == 5.0
    assert prices["perplexity", "sonar"] is None


async def test_a_price_whose_time_has_come_is_heard_of(plane, admin, redis):
    clock = [BEGAN]
    plane.now = lambda: clock[0]
    job = TurnPricesJob(plane)
    await admin.patch("/api/pricing", json={"local": {"m1": {"input": 1.0, "from": BEGAN + 60}}})
    before = (await published_snapshot(redis)).revision
    await job()
    assert (await published_snapshot(redis)).revision == before
    clock[0] = BEGAN + 61
    await job()
    await job()
    assert (await published_snapshot(redis)).revision == before + 1
