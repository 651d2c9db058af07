"""Requests that share one upstream call, through the started product: repeated ones, and equal ones at the same time."""

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.product import wait_for
from tests.support.real_gateway import KEY, RealGateway, content_of, final_error, running_gateway

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


async def ask_many(gateway: RealGateway, ids: list[str], body: dict[str, Any]) -> list[httpx.Response]:
    """Each on a connection of its own, so that all workers get some."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(limits=limits, headers={"authorization": f"Bearer {KEY}"}, timeout=60) as client:
        return list(await asyncio.gather(*(ask(client, gateway, body, {"x-request-id": one}) for one in ids)))


def new_ids(gateway: RealGateway, count: int) -> list[str]:
    return [gateway.new_id() for _ in range(count)]


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
    mark, ids = gateway.mark, new_ids(gateway, CALLS)
    # It goes on until all of them are there; the stream begins before headers would leave without it.
    user = json.dumps({"fake": f"slow-first:{4 if is_stream else 8}", "chunks": 60, "gap": 0.05})
    answers = asyncio.run(ask_many(gateway, ids, body_of(f"many {is_stream}", stream=is_stream, user=user)))
    assert [answer.status_code for answer in answers] == [200] * CALLS
    metrics = {name: count for name, count in gateway.product.metrics().items() if "flights_" in name}
    assert len(gateway.seen(mark)) == 1, metrics
    assert len({content_of(answer.content) if is_stream else answer.content for answer in answers}) == 1
    assert all(answer.content.rstrip().endswith(b"[DONE]" if is_stream else b"}") for answer in answers)
    wait_for(lambda: len(gateway.rows(*ids)) == CALLS, 20)
    billed = [row for row in gateway.rows(*ids) if row["output_tokens"] or not row["cache"]]
    assert [(row["cache"], row["output_tokens"]) for row in billed] == [("", 60)]


def test_the_rows_of_those_that_joined_cost_nothing_and_the_one_that_led_has_the_usage(gateway: RealGateway) -> None:
    ids = new_ids(gateway, 20)
    asyncio.run(ask_many(gateway, ids, body_of("rows", stream=True, user=slowly(10, 0.05))))
    wait_for(lambda: len(gateway.rows(*ids)) == 20, 5)
    rows = gateway.rows(*ids)
    assert sorted(row["cache"] for row in rows) == [""] + ["joined"] * 19
    assert sorted(row["output_tokens"] > 0 for row in rows) == [False] * 19 + [True]
    assert all(row["saved_output_tokens"] > 0 for row in rows if row["cache"])


def test_callers_of_all_dialects_whole_and_streamed_share_one_call(gateway: RealGateway) -> None:
    gateway.fake.plan("slow-first:1", model="mixed")
    mark = gateway.mark

    async def run() -> list[httpx.Response]:
        headers = {"authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(base_url=gateway.url, headers=headers, timeout=30) as client:
            chat = {"model": "local/mixed", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0}
            gemini = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], "generationConfig": {"temperature": 0}}
            calls = [
                client.post("/v1/chat/completions", json={**chat, "max_tokens": 99, "stream": True}),
                client.post("/v1/chat/completions", json={**chat, "max_tokens": 99}),
                client.post("/v1/messages", json={**chat, "max_tokens": 99, "stream": True}),
                client.post("/v1/messages", json={**chat, "max_tokens": 99}),
            ]
            gemini["generationConfig"]["maxOutputTokens"] = 99
            calls.append(client.post("/v1beta/models/local/mixed:generateContent", json=gemini))
            calls.append(client.post("/v1beta/models/local/mixed:streamGenerateContent?alt=sse", json=gemini))
            return list(await asyncio.gather(*calls))

    answers = asyncio.run(run())
    assert [answer.status_code for answer in answers] == [200] * 6
    assert len(gateway.seen(mark)) == 1
    text = content_of(answers[0].content)
    assert answers[1].json()["choices"][0]["message"]["content"] == text
    assert answers[3].json()["content"][0]["text"] == text
    assert answers[4].json()["candidates"][0]["content"]["parts"][0]["text"] == text
    assert b"message_stop" in answers[2].content


async def read_some(gateway: RealGateway, count: int, body: dict[str, Any], act: Any) -> list[bytes]:
    """So many streams; `act` is called once each has got something. All that each got."""
    got: list[bytes] = [b""] * count
    headers = {"authorization": f"Bearer {KEY}"}
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)

    async def one(client: httpx.AsyncClient, at: int) -> None:
        try:
            async with client.stream("POST", f"{gateway.url}/v1/chat/completions", json=body) as answer:
                async for data in answer.aiter_raw():
                    got[at] += data
        except httpx.HTTPError:
            got[at] += b"(broken off)"

    async with httpx.AsyncClient(limits=limits, headers=headers, timeout=30) as client:
        tasks = [asyncio.create_task(one(client, at)) for at in range(count)]
        async with asyncio.timeout(20):
            while not all(b"content" in data for data in got):
                await asyncio.sleep(0.02)
        await asyncio.to_thread(act)
        await asyncio.gather(*tasks)
    return got


def leader_of(gateway: RealGateway) -> int:
    """The worker whose connection the provider answers just now: its process id."""
    [peer] = [
        record.peer_port for record in gateway.fake.requests if record.finished_at is None and not record.closed_at
    ]
    for pid in gateway.product.workers():
        for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            inode = f"socket:[{fields[9]}]"
            if int(fields[1].split(":")[1], 16) == peer and inode in open_files(pid):
                return pid
    raise AssertionError("no worker holds that connection")


def open_files(pid: int) -> set[str]:
    found = set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(str(file.readlink()))
    return found


def test_when_the_leader_is_killed_those_that_sent_something_end_honestly(gateway: RealGateway) -> None:
    body = body_of("killed", stream=True, user=slowly(60, 0.1))
    mark = gateway.mark
    leader: list[int] = []

    def kill() -> None:
        leader.append(leader_of(gateway))
        os.kill(leader[0], signal.SIGKILL)

    got = asyncio.run(read_some(gateway, 40, body, kill))
    broken = [data for data in got if data.endswith(b"(broken off)")]
    told = [data for data in got if not data.endswith(b"(broken off)")]
    assert told, "all 40 connections were of the worker that died"
    assert len(broken) < 40
    for data in told:
        assert final_error(data)["code"] == "upstream_cut"
    assert len(gateway.seen(mark)) == 1
    wait_for(lambda: len(gateway.product.workers()) == WORKERS, 20)


def test_when_the_leader_is_killed_before_it_answers_another_leads(gateway: RealGateway) -> None:
    gateway.fake.plan("slow-first:2", model="killed-early")
    mark = gateway.mark

    async def run() -> list[httpx.Response | BaseException]:
        headers = {"authorization": f"Bearer {KEY}"}
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        async with httpx.AsyncClient(limits=limits, headers=headers, timeout=30) as client:
            body = body_of("early") | {"model": "local/killed-early"}
            tasks = [asyncio.create_task(ask(client, gateway, body)) for _ in range(40)]
            async with asyncio.timeout(10):
                while not gateway.seen(mark):
                    await asyncio.sleep(0.02)
            await asyncio.sleep(0.5)
            await asyncio.to_thread(lambda: os.kill(leader_of(gateway), signal.SIGKILL))
            return list(await asyncio.gather(*tasks, return_exceptions=True))

    answers = asyncio.run(run())
    whole = [answer for answer in answers if isinstance(answer, httpx.Response)]
    assert whole, "all 40 connections were of the worker that died"
    assert {answer.status_code for answer in whole} == {200}
    assert len(gateway.seen(mark)) == 2
    wait_for(lambda: len(gateway.product.workers()) == WORKERS, 20)


def test_when_the_leading_caller_leaves_the_others_get_the_whole_answer(gateway: RealGateway) -> None:
    mark, first_id = gateway.mark, gateway.new_id()
    fields = body_of("left", stream=True, user=slowly(30, 0.1))
    first = gateway.raw_chat(fields.pop("model"), first_id, **fields)
    wait_for(lambda: gateway.seen(mark), 5)

    async def run() -> list[httpx.Response]:
        asking = asyncio.create_task(
            ask_many(gateway, new_ids(gateway, 12), body_of("left", stream=True, user=slowly(30, 0.1)))
        )
        await asyncio.sleep(1.0)
        first.close()
        return await asking

    answers = asyncio.run(run())
    assert len(gateway.seen(mark)) == 1
    assert all(answer.content.rstrip().endswith(b"[DONE]") for answer in answers)
    row = gateway.row(first_id)
    assert (row["status"], row["error"]) == (499, "caller_left")
    assert row["output_tokens"] == 30


def test_a_leader_that_leaves_alone_is_cancelled_as_always(gateway: RealGateway) -> None:
    mark, first_id = gateway.mark, gateway.new_id()
    fields = body_of("alone", stream=True, user=slowly(100, 0.1))
    first = gateway.raw_chat(fields.pop("model"), first_id, **fields)
    wait_for(lambda: gateway.seen(mark), 5)
    time.sleep(0.5)
    first.close()
    [record] = gateway.seen(mark)
    wait_for(lambda: record.closed_at is not None, 5)
    assert gateway.row(first_id)["status"] == 499


@contextlib.contextmanager
def switched(gateway: RealGateway, **sharing: Any) -> Iterator[None]:
    """Other settings for a while."""
    kept = {"lease_s": LEASE_S, "single_flight": "on", "idempotency_window_s": 2.0, "by_request_id": False}
    switch(gateway, **{**kept, **sharing})
    try:
        yield
    finally:
        switch(gateway, **kept)


def asked_at_once(gateway: RealGateway, text: str, key: str = KEY, model: str = "local/ok", count: int = 6) -> int:
    """How often the provider is asked for so many equal requests at the same time."""
    mark = gateway.mark
    body = body_of(text, user=json.dumps({"fake": "slow-first:1"})) | {"model": model}

    async def run() -> list[httpx.Response]:
        headers = {"authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(headers=headers, timeout=30) as client:
            return list(await asyncio.gather(*(ask(client, gateway, body) for _ in range(count))))

    assert {answer.status_code for answer in asyncio.run(run())} == {200}
    return len(gateway.seen(mark))


def test_a_key_and_a_combo_say_whether_their_requests_share(gateway: RealGateway) -> None:
    def new_key(word: str) -> str:
        made = gateway.admin.post("/api/keys", json={"name": f"flies {word}", "singleFlight": word})
        assert (made.status_code, made.json()["singleFlight"]) == (201, word)
        return str(made.json()["key"])

    willing, silent, unwilling = (new_key(word) for word in ("on", "", "off"))
    for name, word in (("flies", True), ("walks", False)):
        made = gateway.admin.post(
            "/api/combos", json={"name": name, "models": ["local/ok"], "config": {"single_flight": word}}
        )
        assert made.status_code == 201, made.text
    with switched(gateway, single_flight="opt-in"):
        assert asked_at_once(gateway, "willing", willing) == 1
        assert asked_at_once(gateway, "silent", silent) == 6
        assert asked_at_once(gateway, "unwilling", unwilling, "flies") == 6
        assert asked_at_once(gateway, "of the combo", silent, "flies") == 1
    assert asked_at_once(gateway, "on, and unwilling", unwilling) == 6
    assert asked_at_once(gateway, "on, but not this combo", silent, "walks") == 6
    assert asked_at_once(gateway, "on, but the key goes first", willing, "walks") == 1
    with switched(gateway, single_flight="off"):
        assert asked_at_once(gateway, "off for all", willing) == 6


def test_a_request_id_is_a_key_where_the_settings_say_so(gateway: RealGateway) -> None:
    for word, times in ((False, 2), (True, 1)):
        with switched(gateway, by_request_id=word):
            mark = gateway.mark
            answers = [gateway.chat(headers={"x-request-id": f"the-same-{word}"}) for _ in range(2)]
            assert answers[1].headers.get("x-omniroute-idempotent") == ("true" if word else None)
            assert len(gateway.seen(mark)) == times


def test_without_the_cache_store_every_request_is_answered(gateway: RealGateway) -> None:
    gateway.product.kill("cache")
    answers = [gateway.chat(headers={"idempotency-key": f"away-{number}"}) for number in range(8)]
    assert {answer.status_code for answer in answers} == {200}
    answers = asyncio.run(ask_many(gateway, new_ids(gateway, 40), body_of("away", stream=True)))
    assert {answer.status_code for answer in answers} == {200}
    assert all(answer.content.rstrip().endswith(b"[DONE]") for answer in answers)
