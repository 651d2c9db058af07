"""Stored bodies through the started product: who has them stored, what is left out of them, and that they go again."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.product import wait_for
from tests.support.real_gateway import FIRST_KEY, KEY, MESSAGES, NODE_KEY, RealGateway, running_gateway

pytestmark = pytest.mark.process

CANARY = "sk-canary-0123456789abcdefghijklmnop"
MAIL = "john.doe@example.com"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with running_gateway(tmp_path_factory.mktemp("bodies"), ENABLE_REQUEST_LOGS="true") as gateway:
        yield gateway


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with running_gateway(tmp_path_factory.mktemp("silent")) as gateway:
        yield gateway


def new_key(gateway: RealGateway, **fields: Any) -> str:
    made = gateway.admin.post("/api/keys", json={"name": f"k{time.monotonic_ns()}", **fields})
    assert made.status_code == 201, made.text
    return str(made.json()["key"])


def bodies_of(gateway: RealGateway, request_id: str) -> dict[str, Any] | None:
    """What is stored of a request whose row is there."""
    shown = gateway.admin.get(f"/api/usage/logs/{gateway.row(request_id)['id']}")
    assert shown.status_code == 200, shown.text
    found: dict[str, Any] | None = shown.json()["bodies"]
    return found


def stored(gateway: RealGateway, answer: httpx.Response) -> dict[str, Any]:
    """What is stored of a request, waited for."""
    request_id = answer.headers["x-request-id"]
    wait_for(lambda: bodies_of(gateway, request_id), 10, lambda: f"nothing stored: {gateway.product.errors[-2000:]}")
    found = bodies_of(gateway, request_id)
    assert found is not None
    return found


def chat(gateway: RealGateway, model: str = "local/ok", **more: Any) -> httpx.Response:
    return gateway.chat(model, headers={"x-request-id": gateway.new_id()}, **more)


def settle(gateway: RealGateway, **settings: Any) -> None:
    """Change settings, and wait until every worker obeys them."""
    answer = gateway.admin.patch("/api/settings", json=settings)
    assert answer.status_code == 200, answer.text
    gateway.wait_taken_up()


def test_what_was_asked_and_answered_is_stored_whole_and_streamed(gateway: RealGateway) -> None:
    for is_stream in (False, True):
        answer = chat(gateway, stream=is_stream)
        found = stored(gateway, answer)
        asked = {"model": "local/ok", "messages": MESSAGES, "stream": is_stream}
        assert json.loads(found["request"]) == asked
        assert found["requestBytes"] == len(found["request"].encode())
        assert found["response"] == answer.text
        assert found["responseBytes"] == len(answer.content)


def test_of_a_refused_request_the_error_is_stored(gateway: RealGateway) -> None:
    for model, code in (("nobody/knows", "model_not_found"), ("local/status:400", "")):
        answer = chat(gateway, model)
        assert answer.status_code >= 400
        found = stored(gateway, answer)
        assert json.loads(found["request"])["model"] == model
        assert json.loads(found["response"])["error"]["message"] == answer.json()["error"]["message"]
        assert code in found["response"]


def test_without_the_variable_only_keys_that_say_so_are_stored(silent: RealGateway) -> None:
    willing, quiet = new_key(silent, storeBodies="on"), new_key(silent)
    no_log = new_key(silent, storeBodies="on", noLog=True)
    for _ in range(4):  # whichever worker has it
        others = [chat(silent, key=key) for key in (quiet, no_log, KEY)]
        assert json.loads(stored(silent, chat(silent, key=willing))["request"])["messages"] == MESSAGES
    assert all(bodies_of(silent, answer.headers["x-request-id"]) is None for answer in others)
    assert not [line for line in metrics_of(silent) if "no_store" in line or "full" in line]


def test_with_the_variable_keys_may_do_without_and_no_log_keys_do(gateway: RealGateway) -> None:
    never, no_log = new_key(gateway, storeBodies="off"), new_key(gateway, noLog=True)
    for _ in range(4):
        others = [chat(gateway, key=key) for key in (never, no_log)]
        stored(gateway, chat(gateway))
    assert all(bodies_of(gateway, answer.headers["x-request-id"]) is None for answer in others)


def test_a_key_is_switched_while_it_is_used(silent: RealGateway) -> None:
    key = new_key(silent)
    listed = silent.admin.get("/api/keys").json()["keys"]
    key_id = next(one["id"] for one in listed if one["key"].endswith(key[-4:]))
    assert chat(silent, key=key).status_code == 200
    assert silent.admin.patch(f"/api/keys/{key_id}", json={"storeBodies": "on"}).json()["storeBodies"] == "on"
    # A worker may still be hearing of it while it serves the next request.
    wait_for(lambda: is_stored_now(silent, key=key), 20, lambda: silent.product.errors[-2000:])


def test_the_config_file_switches_keys(silent: RealGateway) -> None:
    before = silent.config.read_text()
    config = json.loads(before)
    secret = "sk-or-journey-key-whose-bodies-are-stored"
    config["keys"].append({"name": "stored", "secret": secret, "store_bodies": "on"})
    silent.reload(json.dumps(config))
    wait_for(lambda: silent.chat(key=secret).status_code == 200, 10, lambda: silent.product.errors)
    stored(silent, chat(silent, key=secret))
    silent.reload(before)


def test_only_so_much_is_stored(gateway: RealGateway) -> None:
    settle(gateway, logs={"max_body_bytes": 1000})
    long = "x" * 50_000
    for is_stream in (False, True):
        answer = chat(gateway, "local/big:40000", messages=[{"role": "user", "content": long}], stream=is_stream)
        found = stored(gateway, answer)
        assert found["requestBytes"] > 50_000
        assert found["responseBytes"] > 30_000
        assert 0 < len(found["request"]) <= 1000
        assert 0 < len(found["response"]) <= 1000
    settle(gateway, logs={"max_body_bytes": 65_536})
    assert len(stored(gateway, chat(gateway, messages=[{"role": "user", "content": long}]))["request"]) > 50_000


def test_no_credential_is_stored_streamed_or_not(gateway: RealGateway) -> None:
    for is_stream in (False, True):
        said = chat(
            gateway, f"local/says:{CANARY}", stream=is_stream,
            messages=[{"role": "user", "content": f"{CANARY} and {KEY}"}], metadata={"k": CANARY},
        )  # fmt: skip
        echoed = chat(gateway, "local/echo-headers", stream=is_stream)
        assert NODE_KEY in echoed.text
        for answer in (said, echoed):
            found = stored(gateway, answer)
            text = json.dumps(found)
            assert not [secret for secret in (CANARY, "sk-canary", KEY, NODE_KEY, FIRST_KEY) if secret in text]
        assert "REDACTED" in stored(gateway, said)["request"]
        assert "REDACTED" in stored(gateway, said)["response"]
    everything = (gateway.product.data_dir / "omniroute.db").read_bytes()
    everything += (gateway.product.data_dir / "omniroute.db-wal").read_bytes()
    assert CANARY[:16].encode() not in everything.replace(f"says:{CANARY}".encode(), b"")


def test_personal_data_is_stored_unless_it_is_redacted(gateway: RealGateway) -> None:
    asked = [{"role": "user", "content": f"Write to {MAIL}"}]
    assert MAIL in stored(gateway, chat(gateway, messages=asked))["request"]
    try:
        settle(gateway, shaping={"pii": {"input": "redact", "output": "redact"}})
        for is_stream in (False, True):
            found = stored(gateway, chat(gateway, "local/ok", messages=asked, stream=is_stream))
            assert MAIL not in found["request"]
            assert "[EMAIL_REDACTED]" in found["request"]
    finally:
        settle(gateway, shaping={"pii": {"input": "off", "output": "off"}})


def test_bodies_and_rows_go_when_they_are_too_old(gateway: RealGateway) -> None:
    answer = chat(gateway)
    row_id = gateway.row(answer.headers["x-request-id"])["id"]
    stored(gateway, answer)
    before = gateway.admin.get("/api/usage/analytics?range=7d").json()["summary"]["requests"]
    try:
        settle(gateway, logs={"body_retention_days": 0.5 / 86_400})
        wait_for(lambda: bodies_of(gateway, answer.headers["x-request-id"]) is None, 30)
        settle(gateway, logs={"log_retention_days": 0.5 / 86_400})
        wait_for(lambda: gateway.admin.get(f"/api/usage/logs/{row_id}").status_code == 404, 30)
        assert gateway.admin.get("/api/usage/analytics?range=7d").json()["summary"]["requests"] >= before
    finally:
        settle(gateway, logs={"body_retention_days": 7, "log_retention_days": 0})


def test_without_the_cache_store_every_request_is_answered_and_what_is_not_stored_is_counted(
    gateway: RealGateway,
) -> None:
    gateway.product.kill("cache")
    answers = [chat(gateway) for _ in range(20)]
    assert {answer.status_code for answer in answers} == {200}
    assert gateway.row(answers[-1].headers["x-request-id"])["status"] == 200
    wait_for(lambda: is_stored_now(gateway), 20, lambda: gateway.product.errors[-2000:])


def is_stored_now(gateway: RealGateway, **more: Any) -> bool:
    answer = chat(gateway, **more)
    time.sleep(2.0)
    return bodies_of(gateway, answer.headers["x-request-id"]) is not None


def metrics_of(gateway: RealGateway) -> list[str]:
    text = httpx.get(f"http://127.0.0.1:{gateway.product.metrics_port}/metrics", timeout=60).text
    return [line for line in text.splitlines() if line.startswith("omniroute_stored_bodies")]
