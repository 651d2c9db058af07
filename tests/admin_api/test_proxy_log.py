"""Which proxy was used for what: attempts of requests, and the last tests of connections."""

import pytest

from gateway.domain.record import AttemptRecord
from tests.admin_api.test_ledger import record
from tests.admin_api.test_usage_sums import keep
from tests.support.fake_provider import FakeProvider

PROXY = "socks5://far.example:1080"
SECRET = "hunter2-of-the-proxy"


def through(number, connection="c1", outcome="committed", **more):
    attempts = (
        AttemptRecord("local", "c0", "m1", "rate_limited", 429, 3.0),
        AttemptRecord("local", connection, "m1", outcome, 200, 7.5, proxy=PROXY, proxy_level="provider"),
    )
    return record(number, connection_id=connection, attempts=attempts, **more)


@pytest.mark.both_databases
async def test_attempts_through_a_proxy_are_listed_newest_first_in_pages(plane, admin):
    await keep(plane, *(through(number) if number % 2 else record(number) for number in range(10)))
    first = (await admin.get("/api/usage/proxy-logs?limit=3")).json()
    rest = (await admin.get("/api/usage/proxy-logs", params={"limit": 3, "cursor": first["nextCursor"]})).json()
    found = first["logs"] + rest["logs"]
    assert [entry["requestId"] for entry in found] == [f"0190-{number:06d}" for number in (9, 7, 5, 3, 1)]
    assert rest["nextCursor"] is None
    assert found[0] == {
        "id": "0190-000009-2", "requestId": "0190-000009", "timestamp": 1_800_000_009.0,
        "proxy": {"type": "socks5", "host": "far.example", "port": 1080}, "level": "provider", "provider": "local",
        "connectionId": "c1", "model": "m1", "status": "success", "outcome": "committed", "latencyMs": 7.5, "error": None,
    }  # fmt: skip


async def test_it_is_filtered_by_account_and_time(plane, admin):
    await keep(plane, through(1), through(2, "c2", "unreachable"), through(3))

    async def listed(**query):
        return [one["requestId"][-1] for one in (await admin.get("/api/usage/proxy-logs", params=query)).json()["logs"]]

    assert await listed(account="c2") == ["2"]
    assert await listed(since=1_800_000_002) == ["3", "2"]
    assert await listed(provider="nobody") == []
    assert (await admin.get("/api/usage/proxy-logs?cursor=nonsense")).status_code == 400


async def test_the_log_of_a_request_says_it_too(plane, admin):
    await keep(plane, through(1))
    attempts = (await admin.get("/api/usage/logs/0190-000001")).json()["attempts"]
    assert [attempt["proxy"] for attempt in attempts] == [None, PROXY]


async def test_a_test_of_a_connection_says_which_way_it_went(admin):
    async with FakeProvider() as fake:
        node = {"prefix": "local", "baseUrl": "http://models.example/v1"}
        await admin.post("/api/provider-nodes", json=node)
        body = {
            "provider": "local", "name": "a", "apiKey": "sk-of-the-tests-1234",
            "proxy": f"http://me:{SECRET}@127.0.0.1:{fake.port}",
        }  # fmt: skip
        made = (await admin.post("/api/providers", json=body)).json()["connection"]
        await admin.post(f"/api/providers/{made['id']}/test")
        answer = await admin.get("/api/usage/proxy-logs")
    (entry,) = answer.json()["tests"]
    assert (entry["connectionId"], entry["level"]) == (made["id"], "connection")
    assert entry["proxy"] == {"type": "http", "host": "127.0.0.1", "port": fake.port}
    assert SECRET not in answer.text
