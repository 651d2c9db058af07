"""What an operator is told of a provider: by really asking it, on the way that requests go."""

import asyncio

import pytest

from tests.support.admin_plane import published_snapshot
from tests.support.fake_provider import FakeProvider

GOOD, BAD = "sk-good-key-of-the-tests-0001", "sk-wrong-key-of-the-tests-0002"


@pytest.fixture
async def fake():
    async with FakeProvider() as fake:
        yield fake


async def make_node(admin, base_url, **more):
    body = {"prefix": "local", "baseUrl": base_url, "allowPrivate": True, **more}
    assert (await admin.post("/api/provider-nodes", json=body)).status_code == 201


async def make_connection(admin, key=GOOD, name="a", **more):
    answer = await admin.post("/api/providers", json={"provider": "local", "name": name, "apiKey": key, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()["connection"]["id"]


async def check(admin, connection_id, **body):
    answer = await admin.post(f"/api/providers/{connection_id}/test", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_list_that_only_the_right_key_sees_proves_the_key_and_costs_nothing(admin, fake):
    fake.list_keys = frozenset({GOOD})
    await make_node(admin, fake.base_url)
    right, wrong = await make_connection(admin), await make_connection(admin, BAD, "b")
    found = await check(admin, right)
    assert (found["valid"], found["error"], found["diagnosis"]["type"]) == (True, None, "ok")
    found = await check(admin, wrong)
    assert (found["valid"], found["diagnosis"]["type"]) == (False, "upstream_auth_error")
    assert (found["diagnosis"]["code"], found["diagnosis"]["source"]) == ("401", "upstream")
    assert {record.method for record in fake.requests} == {"GET"}


async def test_a_list_that_everybody_sees_proves_nothing_and_a_wrong_key_is_found_by_a_token(admin, fake):
    await make_node(admin, fake.base_url)
    fake.plan("status:401", key=BAD)
    assert (await check(admin, await make_connection(admin)))["valid"] is True
    assert (await check(admin, await make_connection(admin, BAD, "b")))["diagnosis"]["type"] == "upstream_auth_error"
    asked = [record.json() for record in fake.requests if record.method == "POST"]
    assert [(body["model"], body["max_tokens"]) for body in asked] == [("ok", 1), ("ok", 1)]


@pytest.mark.parametrize(
    ("behaviour", "valid", "kind", "status"),
    [
        ("status:403", False, "upstream_auth_error", "error"),
        ("status:429", True, "upstream_rate_limited", "active"),
        ("status:500", False, "upstream_unavailable", "unavailable"),
        ("status:404", False, "unsupported", "error"),
        ("status:400", True, "ok", "active"),
        ("status:422", True, "ok", "active"),
    ],
)
async def test_each_answer_has_its_diagnosis_and_stays_with_the_connection(admin, fake, behaviour, valid, kind, status):
    fake.has_list = False
    await make_node(admin, fake.base_url)
    connection_id = await make_connection(admin, models=["m1"])
    fake.plan(behaviour)
    found = await check(admin, connection_id)
    assert (found["valid"], found["diagnosis"]["type"]) == (valid, kind), found
    shown = (await admin.get(f"/api/providers/{connection_id}")).json()["connection"]
    assert (shown["testStatus"], shown["lastErrorType"]) == (status, None if kind == "ok" else kind)
    assert shown["lastTested"] is not None


async def test_a_provider_that_is_not_there_is_a_network_error_and_one_that_hangs_has_a_limit(admin, fake, plane):
    await make_node(admin, "http://127.0.0.1:9/v1")
    found = await check(admin, await make_connection(admin))
    assert (found["diagnosis"]["type"], found["diagnosis"]["code"]) == ("network_error", "refused")
    silent = await asyncio.start_server(lambda _reader, _writer: asyncio.sleep(60), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    plane.provider_calls.limit_s = 0.3
    answer = await admin.post(
        "/api/provider-nodes/validate", json={"baseUrl": f"http://127.0.0.1:{port}/v1", "allowPrivate": True}
    )
    silent.close()
    assert answer.json()["diagnosis"]["code"] == "total_timeout"


@pytest.mark.parametrize(
    ("base_url", "status"),
    [
        ("http://127.0.0.1:{port}/v1", 200),
        ("http://2130706433:{port}/v1", 200),
        ("http://0x7f000001:{port}/v1", 200),
        ("http://[::ffff:127.0.0.1]:{port}/v1", 200),
        ("http://localhost:{port}/v1", 200),
        ("http://169.254.169.254/v1", 400),
        ("http://0.0.0.0:{port}/v1", 400),
        ("http://user:secret@127.0.0.1:{port}/v1", 400),
        ("file:///etc/passwd", 400),
    ],
)
async def test_an_address_inside_is_not_called_unless_the_operator_says_so(admin, fake, base_url, status):
    answer = await admin.post("/api/provider-nodes/validate", json={"baseUrl": base_url.format(port=fake.port)})
    assert answer.status_code == status, answer.text
    if status == 200:
        assert answer.json()["diagnosis"]["type"] == "blocked_address"
    assert len(fake.requests) == 0


async def test_what_a_provider_says_of_the_key_is_told_without_the_key(admin, fake):
    fake.list_keys = frozenset()
    await make_node(admin, fake.base_url)
    connection_id = await make_connection(admin, BAD)
    answer = await admin.post(f"/api/providers/{connection_id}/test")
    assert "Incorrect API key provided: ***" in answer.text
    everything = answer.text + (await admin.get("/api/providers")).text
    assert BAD not in everything


async def test_a_changed_key_is_untested_until_it_is_tested(admin, fake):
    await make_node(admin, fake.base_url)
    connection_id = await make_connection(admin)
    path = f"/api/providers/{connection_id}"
    assert (await admin.get(path)).json()["connection"]["testStatus"] == "untested"
    await check(admin, connection_id)
    renamed = await admin.put(path, json={"name": "other"})
    assert renamed.json()["connection"]["testStatus"] == "active"
    changed = await admin.put(path, json={"apiKey": "sk-another-key-of-the-tests"})
    assert changed.json()["connection"]["testStatus"] == "untested"


async def test_validate_keeps_nothing_and_a_test_publishes_nothing(admin, fake, redis):
    await make_node(admin, fake.base_url)
    connection_id = await make_connection(admin)
    before = (await published_snapshot(redis)).revision
    found = (await admin.post("/api/providers/validate", json={"provider": "local", "apiKey": GOOD})).json()
    assert found["valid"] is True
    await check(admin, connection_id)
    assert len((await admin.get("/api/providers")).json()["connections"]) == 1
    assert (await published_snapshot(redis)).revision == before
    unknown = await admin.post("/api/providers/validate", json={"provider": "nobody", "apiKey": GOOD})
    assert (unknown.status_code, "provider" in unknown.text) == (400, True)


async def test_the_model_to_ask_may_be_named(admin, fake):
    await make_node(admin, fake.base_url)
    connection_id = await make_connection(admin, defaultModel="m2")
    await check(admin, connection_id)
    await check(admin, connection_id, model="m7")
    assert [record.json()["model"] for record in fake.requests if record.method == "POST"] == ["m2", "m7"]


async def test_a_providers_list_of_models_is_its_own_else_what_is_known_with_the_reason(admin, fake):
    await make_node(admin, fake.base_url)
    connection_id = await make_connection(admin, models=["m1", "own"])
    answer = (await admin.get(f"/api/providers/{connection_id}/models")).json()
    assert (answer["source"], [one["id"] for one in answer["models"]]) == ("api", ["ok", "m1", "m2"])
    fake.list_keys = frozenset()
    answer = (await admin.get(f"/api/providers/{connection_id}/models")).json()
    assert (answer["source"], [one["id"] for one in answer["models"]]) == ("static", ["m1", "own"])
    assert answer["warning"]["type"] == "upstream_auth_error"
    assert (await admin.get("/api/providers/nobody/models")).status_code == 404


async def test_many_are_tested_at_once_and_summed_up(admin, fake):
    await make_node(admin, fake.base_url)
    fake.plan("status:401", key=BAD)
    for number in range(10):
        await make_connection(admin, BAD if number < 3 else GOOD, f"c{number}")
    await make_connection(admin, BAD, "switched off", isActive=False)
    answer = (await admin.post("/api/providers/test-batch", json={"mode": "compatible"})).json()
    assert answer["summary"] == {"total": 10, "passed": 7, "failed": 3, "untested": 0}
    assert [one["valid"] for one in answer["results"]] == [False] * 3 + [True] * 7
    assert (await admin.post("/api/providers/test-batch", json={"mode": "oauth"})).json()["summary"]["total"] == 0
    assert (await admin.post("/api/providers/test-batch", json={"mode": "provider"})).status_code == 400
    one = await admin.post("/api/providers/test-batch", json={"mode": "provider", "providerId": "local"})
    assert one.json()["summary"]["total"] == 10


async def test_an_order_makes_priorities_from_one_on(admin, fake, redis):
    await make_node(admin, fake.base_url)
    ids = [await make_connection(admin, name=f"c{number}", priority=7) for number in range(3)]
    wanted = [ids[2], ids[0], ids[1]]
    answer = await admin.post("/api/providers/reorder", json={"provider": "local", "ids": wanted})
    assert answer.status_code == 200, answer.text
    snapshot = await published_snapshot(redis)
    assert [one.id for one in sorted(snapshot.connections, key=lambda one: one.priority)] == wanted
    assert [one.priority for one in sorted(snapshot.connections, key=lambda one: one.priority)] == [1, 2, 3]
    for wrong in ([ids[0]], [*ids, "x"], [*ids, ids[0]]):
        refused = await admin.post("/api/providers/reorder", json={"provider": "local", "ids": wrong})
        assert (refused.status_code, "ids" in refused.text) == (400, True)


async def test_what_an_endpoint_lists_when_it_is_tested_is_in_the_catalog_until_it_lists_others(admin, fake):
    await make_node(admin, fake.base_url)
    connection_id = await make_connection(admin)

    async def listed():
        local = (await admin.get("/api/models/catalog")).json()["catalog"]["local"]
        return {(one["id"], one["source"], one["callable"]) for one in local["models"]}

    assert await listed() == set()
    await check(admin, connection_id)
    found = (await admin.get(f"/api/providers/{connection_id}/models")).json()["models"]
    assert await listed() == {(one["id"], "endpoint", True) for one in found} != set()
    fake.has_list = False
    await check(admin, connection_id, model="ok")
    assert len(await listed()) == len(found)
    await admin.put(f"/api/providers/{connection_id}", json={"models": ["only-this"]})
    assert await listed() == {("only-this", "connection", True)}
