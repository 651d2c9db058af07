"""Requests that share one upstream call, through the started product: repeated ones, and equal ones at the same time."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.real_gateway import KEY, RealGateway, running_gateway

pytestmark = pytest.mark.process

WORKERS = 4
LEASE_S = 1.0
CALLS = 1000


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with running_gateway(tmp_path_factory.mktemp("sharing"), OMNIROUTE_WORKERS=str(WORKERS)) as gateway:
        switch(gateway, lease_s=LEASE_S, single_flight="on", idempotency_window_s=2.0)
        yield gateway


def switch(gateway: RealGateway, **sharing: Any) -> None:
    """Change the settings, and wait until every worker obeys them."""
    answer = gateway.admin.patch("/api/settings", json={"sharing": sharing})
    assert answer.status_code == 200, answer.text
    time.sleep(1.0)


def body_of(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "local/ok", "messages": [{"role": "user", "content": text}], "temperature": 0, **fields}


def slowly(chunks: int = 20, gap: float = 0.1) -> str:
    """What the fake provider is told: a stream of so many chunks, so far apart."""
    return json.dumps({"chunks": chunks, "gap": gap})


async def ask(
    client: httpx.AsyncClient, gateway: RealGateway, body: dict[str, Any], headers: dict[str, str] | None = None
) -> httpx.Response:
    return await client.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers)


async def ask_many(gateway: RealGateway, count: int, body: dict[str, Any], **headers: str) -> list[httpx.Response]:
    """Each on a connection of its own, so that all workers get some."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    named = {"authorization": f"Bearer {KEY}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    async with httpx.AsyncClient(limits=limits, headers=named, timeout=60) as client:
        return list(await asyncio.gather(*(ask(client, gateway, body) for _ in range(count))))


def test_a_repeated_request_gets_the_same_answer_and_the_provider_is_asked_once(gateway: RealGateway) -> None:
    for is_stream in (False, True):
        mark, key = gateway.mark, f"again-{is_stream}"
        ids = [gateway.new_id() for _ in range(5)]
        answers = [gateway.chat(stream=is_stream, headers={"idempotency-key": key, "x-request-id": one}) for one in ids]
        assert len({answer.content for answer in answers}) == 1
        assert [answer.headers.get("x-omniroute-idempotent") for answer in answers] == [None] + ["true"] * 4
        assert [answer.headers["x-omniroute-attempts"] for answer in answers] == ["1"] + ["0"] * 4
        assert len(gateway.seen(mark)) == 1
        rows = [gateway.row(one) for one in ids]
        assert [row["cache"] for row in rows] == [""] + ["idempotent"] * 4
        assert rows[0]["output_tokens"] > 0
        assert [row["output_tokens"] for row in rows[1:]] == [0] * 4


def test_after_its_window_a_key_is_a_new_one(gateway: RealGateway) -> None:
    mark = gateway.mark
    gateway.chat(headers={"idempotency-key": "window"})
    time.sleep(2.3)
    gateway.chat(headers={"idempotency-key": "window"})
    assert len(gateway.seen(mark)) == 2


def test_a_key_with_another_body_is_refused_in_every_dialect(gateway: RealGateway) -> None:
    gateway.chat(headers={"idempotency-key": "mine"})
    for _ in range(6):
        answer = gateway.chat(headers={"idempotency-key": "mine"}, top_p=0.5)
        assert answer.status_code == 409
        assert answer.json()["error"]["code"] == "idempotency_key_reused"
    claude = gateway.client.post(
        "/v1/messages",
        json={"model": "local/ok", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]},
        headers={"idempotency-key": "mine"},
    )
    assert claude.status_code == 409
    assert claude.json()["type"] == "error"


def test_a_failure_is_not_kept(gateway: RealGateway) -> None:
    gateway.fake.plan("status:500", "ok", model="fails-once")
    first = gateway.chat("local/fails-once", headers={"idempotency-key": "fails"})
    second = gateway.chat("local/fails-once", headers={"idempotency-key": "fails"})
    assert (first.status_code >= 500, second.status_code) == (True, 200)


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_thousand_equal_calls_over_four_workers_are_one_upstream_call(gateway: RealGateway, is_stream: bool) -> None:
    mark = gateway.mark
    user = json.dumps({"fake": "slow-first:2", "chunks": 40, "gap": 0.02})
    answers = asyncio.run(ask_many(gateway, CALLS, body_of(f"many {is_stream}", stream=is_stream, user=user)))
    assert [answer.status_code for answer in answers] == [200] * CALLS
    assert len(gateway.seen(mark)) == 1
    assert len({answer.content for answer in answers}) == 1
    if is_stream:
        assert answers[0].content.rstrip().endswith(b"[DONE]")
    led = [answer for answer in answers if answer.headers["x-omniroute-attempts"] == "1"]
    assert len(led) == 1
