"""Views of usage say what the rows say: sums, courses, percentiles, and the filters and search of the list."""

import pytest

from admin_api.jobs.usage import FoldHoursJob, TopKeysJob
from admin_api.store.record_lists import Filters, load_page
from admin_api.store.usage_tops import load_top_keys
from gateway.domain.usage import Usage
from tests.admin_api.test_ledger import record
from tests.admin_api.test_usage_sums import BEGAN, DAY, keep

NOON = int(BEGAN) // DAY * DAY + 43_200


@pytest.fixture
async def used(plane):
    """Ten days of requests: one a day, two today, one of them an error of another provider."""
    plane.now = lambda: NOON + 10 * DAY
    for day in range(11):
        await keep(
            plane, record(day, at=float(NOON + day * DAY), combo="house", first_byte_ms=100.0, duration_ms=900.0)
        )
    await keep(plane, record(11, at=float(NOON + 10 * DAY), provider="other", status=502, error="upstream_error"))
    await FoldHoursJob(plane)()


async def test_analytics_add_up_in_every_range(admin, used):
    for wanted, requests, points in (("1d", 2, 1), ("7d", 8, 7), ("30d", 12, 11), ("90d", 12, 11), ("all", 12, 11)):
        shown = (await admin.get("/api/usage/analytics", params={"range": wanted})).json()
        assert shown["summary"]["requests"] == requests, wanted
        assert len(shown["trend"]) == points, wanted
        assert sum(one["requests"] for one in shown["trend"]) == requests
        for name in ("byProvider", "byModel", "byAccount") + ("byApiKey",) * (wanted != "1d"):  # keys have whole days
            assert sum(one["requests"] for one in shown[name]) == requests, (wanted, name)
    assert shown["streakDays"] == 11
    assert sum(shown["weekdays"]) == 12
    assert [one["name"] for one in shown["byCombo"]] == ["house"]
    assert (await admin.get("/api/usage/analytics?range=2w")).status_code == 400


async def test_keys_are_summed_by_the_job_where_there_are_many(plane, used):
    now = plane.now()

    async def top():
        async with plane.database.read() as connection:
            return await load_top_keys(connection, now - 20 * DAY, now, 10, live_rows=5)

    assert await top() == ([], 0.0)
    await TopKeysJob(plane, live_rows=5)()
    rows, as_of = await top()
    assert [(name, sums["requests"]) for name, sums in rows] == [("k1", 12)]
    assert as_of == now


async def test_a_connection_has_its_own_sums(admin, used):
    shown = (await admin.get("/api/usage/c1?range=7d")).json()
    assert (shown["summary"]["requests"], len(shown["trend"])) == (8, 7)
    assert (await admin.get("/api/usage/nobody")).status_code == 404


async def test_the_dearest_of_each_kind_have_courses_of_their_own(admin, used):
    for kind, name in (
        ("provider", "local"),
        ("model", "local/m1"),
        ("connection", "c1"),
        ("combo", "house"),
        ("key", "k1"),
    ):
        shown = (await admin.get("/api/usage/courses", params={"by": kind, "range": "30d"})).json()
        of_one = {one["name"]: one for one in shown["courses"]}[name]
        assert sum(point["requests"] for point in of_one["trend"]) == of_one["requests"] >= 11, kind
        assert shown["step"] == DAY
        assert ("label" in of_one) == (kind in ("connection", "key")), "an id has a label, null once it is gone"
    assert (await admin.get("/api/usage/courses?by=provider&range=1d")).json()["step"] == 3600
    assert (await admin.get("/api/usage/courses?by=weather")).status_code == 400


async def test_times_of_providers_are_percentiles(admin, used):
    shown = (await admin.get("/api/provider-metrics?hours=720")).json()["metrics"]
    assert shown["local"]["successRate"] == 1.0
    assert shown["other"]["totalSuccesses"] == 0
    assert shown["other"]["durationMs"]["p50"] is None
    assert 100 <= shown["local"]["firstByteMs"]["p50"] <= 120
    summary = (await admin.get("/api/telemetry/summary?hours=720")).json()
    assert 900 <= summary["durationMs"]["p99"] <= 1080
    assert summary["durationMs"]["count"] == 11


async def test_each_filter_finds_what_fits_and_pages_meet(plane, admin):
    plane.now = lambda: BEGAN + 1000
    await keep(plane, *(
        record(
            number, key_id=f"k{number % 3}", provider=("local", "other")[number % 2], connection_id=f"c{number % 5}",
            model=f"m{number % 4}", combo="house" * (number % 2), status=500 if number % 7 == 0 else 200,
            requested_model="needle" if number == 42 else "hay", usage=Usage(1, 1),
        )
        for number in range(100)
    ))  # fmt: skip
    wanted = {
        "key=k1": 33, "apiKey=k1": 33, "provider=other": 50, "account=c2": 20, "model=m3": 25, "combo=house": 50, "status=error": 15,
        "status=ok": 85, "status=500": 15, "provider=other&key=k1": 17, "search=NEEDLE": 1, "search=%25": 0, "search=1_1": 0,
        f"since={BEGAN + 90}": 10, f"until={BEGAN + 90}": 90, f"since={BEGAN + 10}&until={BEGAN + 20}&key=k1": 4,
    }  # fmt: skip
    for words, count in wanted.items():
        seen, cursor = [], ""
        while cursor is not None:
            page = (await admin.get(f"/api/usage/logs?{words}&limit=7&cursor={cursor}")).json()
            seen += [row["id"] for row in page["logs"]]
            cursor = page["nextCursor"]
        assert len(seen) == len(set(seen)) == count, words
        assert seen == sorted(seen, reverse=True), words
    assert (await admin.get("/api/usage/logs?cursor=yesterday")).status_code == 400


async def test_a_page_looks_at_no_more_than_its_bound_and_says_where_to_go_on(plane):
    await keep(plane, *(record(number, requested_model="needle" if number == 3 else "hay") for number in range(30)))
    pages, cursor = [], ""
    while cursor is not None:
        async with plane.database.read() as connection:
            page = await load_page(connection, Filters(search="needle"), cursor, 50, scanned=10)
        pages.append([row["id"] for row in page.rows])
        cursor = page.after
    assert pages == [[], [], ["0190-000003"], []]


async def test_one_request_is_found_by_its_id(plane, admin):
    await keep(plane, record(1))
    assert (await admin.get("/api/usage/call-logs/0190-000001")).json()["id"] == "0190-000001"
    assert (await admin.get("/api/usage/logs/0190-000002")).status_code == 404


async def test_a_request_names_the_connections_that_are_still_there(plane, admin):
    body = {"provider": "openai", "name": "Team", "apiKey": "sk-team-0123456789"}
    made = (await admin.post("/api/providers", json=body)).json()["connection"]
    await keep(plane, record(1, connection_id=made["id"]), record(2, connection_id="gone"))
    assert (await admin.get("/api/usage/logs/0190-000001")).json()["connectionNames"][made["id"]] == "Team"
    assert "gone" not in (await admin.get("/api/usage/logs/0190-000002")).json()["connectionNames"]
