"""Requests that share one upstream call, through the started product: repeated ones, and equal ones at the same time."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.product import wait_for
from tests.support.real_gateway import KEY, NODE_KEY, RealGateway, content_of, final_error, running_gateway

pytestmark = pytest.mark.process

WORKERS = 4
LEASE_S = 1.0
CALLS = 1_000
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    folder, stall = tmp_path_factory.mktemp("sharing"), {"caller_stall_s": 2.0}
    with running_gateway(folder, timeouts=stall, OMNIROUTE_WORKERS=str(WORKERS)) as gateway:
        config = json.loads(gateway.config.read_text())
        config["prices"] = [{"model": "local/ok", "input": 1000.0, "output": 2000.0}]
        gateway.reload(json.dumps(config))
        switch(gateway, lease_s=LEASE_S, single_flight="on", idempotency_window_s=2.0)
        yield gateway


def switch(gateway: RealGateway, **sharing: Any) -> None:
    """Change the settings, and wait until every worker obeys them."""
    answer = gateway.admin.patch("/api/settings", json={"sharing": sharing})
    assert answer.status_code == 200, answer.text
    gateway.wait_taken_up()


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
    async with httpx.AsyncClient(limits=limits, headers={"authorization": f"Bearer {KEY}"}, timeout=180) as client:
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


def test_what_the_operator_makes_of_a_request_does_not_make_it_another_one(gateway: RealGateway) -> None:
    headers = {"idempotency-key": "shaped"}
    with switched(gateway, idempotency_window_s=60):
        first, mark = gateway.chat(headers=headers), gateway.mark
        for prompt in ("Be brief.", ""):
            gateway.admin.patch("/api/settings", json={"shaping": {"system_prompt": prompt}})
            gateway.wait_taken_up()
            again = gateway.chat(headers=headers)
            assert (again.status_code, again.content) == (200, first.content)
            assert gateway.chat(headers=headers, temperature=0.5).status_code == 409
        assert not gateway.seen(mark)


@pytest.mark.parametrize("is_stream", [False, True])
def test_an_answer_is_repeated_while_nobody_could_be_asked(gateway: RealGateway, is_stream: bool) -> None:
    rules = {"rules": {"local": {"auth_s": 60, "auth_max_s": 60}}}
    assert gateway.admin.patch("/api/resilience", json=rules).status_code == 200
    headers, fields = {"idempotency-key": f"rests-{is_stream}"}, {"stream": is_stream, "temperature": 0.5}
    try:
        with switched(gateway, idempotency_window_s=60):
            first = gateway.chat(headers=headers, **fields)
            gateway.fake.plan("status:401", key=NODE_KEY)
            wait_for(lambda: [gateway.chat(temperature=0.5).status_code for _ in range(20)] == [503] * 20, 10)
            mark, request_id = gateway.mark, gateway.new_id()
            again = gateway.chat(headers={**headers, "x-request-id": request_id}, **fields)
            assert (again.status_code, again.content) == (200, first.content)
            assert again.headers["x-omniroute-idempotent"] == "true"
            refused = gateway.chat(headers={"idempotency-key": f"never-{is_stream}"}, **fields)
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "all_resting")
            assert "retry-after" in refused.headers
            assert gateway.row(request_id)["cache"] == "idempotent"
            assert not gateway.seen(mark)
    finally:
        gateway.fake.plan(key=NODE_KEY)
        gateway.admin.post("/api/resilience/reset", json={})
        wait_for(lambda: [gateway.chat(temperature=0.5).status_code for _ in range(20)] == [200] * 20, 10)


def test_what_is_repeated_or_joined_needs_no_room_in_a_limit_on_tokens(gateway: RealGateway) -> None:
    made = gateway.admin.post("/api/keys", json={"name": "narrow tokens", "tpm": 300})
    assert made.status_code == 201, made.text
    client = httpx.AsyncClient(headers={"authorization": f"Bearer {made.json()['key']}"}, timeout=60)
    mark, body, large = gateway.mark, body_of("tight", max_tokens=200), body_of("large", max_tokens=290)

    async def run() -> tuple[list[httpx.Response], httpx.Response, httpx.Response]:
        async with client:
            slow = body | {"user": json.dumps({"fake": "slow-first:2"})}
            key = {"idempotency-key": "tight"}
            first = asyncio.create_task(ask(client, gateway, slow, key))
            await gateway.fake.until(lambda: len(gateway.seen(mark)) == 1, 10)
            together = await asyncio.gather(first, *(ask(client, gateway, slow, key) for _ in range(5)))
            return together, await ask(client, gateway, slow, key), await ask(client, gateway, large)

    with switched(gateway, idempotency_window_s=60):
        together, again, other = asyncio.run(run())
    assert {answer.status_code for answer in (*together, again)} == {200}
    assert [answer.headers.get("x-omniroute-idempotent") for answer in together].count("true") == 5
    assert (other.status_code, other.json()["error"]["code"]) == (429, "rate_limit_exceeded")


def test_a_failure_is_not_kept(gateway: RealGateway) -> None:
    gateway.fake.plan("status:500", "ok", model="fails-once")
    first = gateway.chat("local/fails-once", headers={"idempotency-key": "fails"})
    second = gateway.chat("local/fails-once", headers={"idempotency-key": "fails"})
    assert (first.status_code >= 500, second.status_code) == (True, 200)


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_thousand_equal_calls_over_four_workers_are_one_upstream_call(gateway: RealGateway, is_stream: bool) -> None:
    mark, ids = gateway.mark, new_ids(gateway, CALLS)
    # It goes on until all of them are there; the stream begins before headers would leave without it.
    user = json.dumps({"fake": f"slow-first:{4 if is_stream else 15}", "chunks": 60, "gap": 0.25})
    with switched(gateway, lease_s=60.0):  # a small machine is busy with them for longer than a second
        answers = asyncio.run(ask_many(gateway, ids, body_of(f"many {is_stream}", stream=is_stream, user=user)))
    assert [answer.status_code for answer in answers] == [200] * CALLS
    metrics = {name: count for name, count in gateway.product.metrics().items() if "flights_" in name}
    assert len(gateway.seen(mark)) == 1, metrics
    assert len({content_of(answer.content) if is_stream else answer.content for answer in answers}) == 1
    assert all(answer.content.rstrip().endswith(b"[DONE]" if is_stream else b"}") for answer in answers)
    wait_for(lambda: len(gateway.rows(*ids)) == CALLS, 60)
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
    gateway.fake.plan("slow-first:100", "slow-first:2", model="killed-early")
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
    """How often the provider is asked for so many equal requests at the same time: each time, or where they share seldom.

    A slow machine may send the last ones when the answer is over already.
    """
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
        assert asked_at_once(gateway, "willing", willing) < 6
        assert asked_at_once(gateway, "silent", silent) == 6
        assert asked_at_once(gateway, "unwilling", unwilling, "flies") == 6
        assert asked_at_once(gateway, "of the combo", silent, "flies") < 6
    assert asked_at_once(gateway, "on, and unwilling", unwilling) == 6
    assert asked_at_once(gateway, "on, but not this combo", silent, "walks") == 6
    assert asked_at_once(gateway, "on, but the key goes first", willing, "walks") < 6
    with switched(gateway, single_flight="off"):
        assert asked_at_once(gateway, "off for all", willing) == 6


def test_a_request_id_is_a_key_where_the_settings_say_so(gateway: RealGateway) -> None:
    for word, times in ((False, 2), (True, 1)):
        with switched(gateway, by_request_id=word):
            mark = gateway.mark
            answers = [gateway.chat(headers={"x-request-id": f"the-same-{word}"}) for _ in range(2)]
            assert answers[1].headers.get("x-omniroute-idempotent") == ("true" if word else None)
            assert len(gateway.seen(mark)) == times


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_request_with_a_key_shares_with_equal_ones_too(gateway: RealGateway, is_stream: bool) -> None:
    """Half of them stream where the others do not; what joined is repeated under its own key."""
    mark, ids = gateway.mark, new_ids(gateway, 8)
    body = body_of(f"keyed {is_stream}", user=json.dumps({"fake": "slow-first:1"}))

    async def run() -> list[httpx.Response]:
        async with httpx.AsyncClient(headers={"authorization": f"Bearer {KEY}"}, timeout=30) as client:
            tasks = []
            for at, one in enumerate(ids):
                headers = {"x-request-id": one} | ({"idempotency-key": f"{is_stream} {at}"} if at % 2 else {})
                asked = body | {"stream": is_stream if at < 4 else not is_stream}
                tasks.append(asyncio.create_task(ask(client, gateway, asked, headers)))
                await asyncio.sleep(0.02)
            return list(await asyncio.gather(*tasks))

    texts = set()
    for answer in asyncio.run(run()):
        is_event_stream = answer.headers["content-type"].startswith("text/event-stream")
        texts.add(content_of(answer.content) if is_event_stream else text_of(answer))
    assert len(texts) == 1
    assert len(gateway.seen(mark)) == 1
    wait_for(lambda: len(gateway.rows(*ids)) == 8, 5)
    rows = gateway.rows(*ids)
    assert sorted(row["cache"] for row in rows) == [""] + ["joined"] * 7
    for at in (1, 7):  # one streams, the other does not
        wants = is_stream if at < 4 else not is_stream
        again = gateway.client.post(
            "/v1/chat/completions", json=body | {"stream": wants}, headers={"idempotency-key": f"{is_stream} {at}"}
        )
        assert again.headers["x-omniroute-idempotent"] == "true"
        assert {content_of(again.content) if wants else text_of(again)} == texts
    assert len(gateway.seen(mark)) == 1


def text_of(answer: httpx.Response) -> str:
    text: str = answer.json()["choices"][0]["message"]["content"]
    return text


def test_an_answer_that_was_kept_is_repeated_under_a_key_in_the_form_it_is_asked_for(gateway: RealGateway) -> None:
    kept = text_of(gateway.chat(messages=[{"role": "user", "content": "keep"}], temperature=0))
    mark, fields = gateway.mark, {"messages": [{"role": "user", "content": "keep"}], "temperature": 0, "stream": True}
    answers = [gateway.chat(headers={"idempotency-key": "kept"}, **fields) for _ in range(3)]
    assert [content_of(answer.content) for answer in answers] == [kept] * 3
    assert answers[0].headers["x-omniroute-cache"] == "HIT"
    assert [answer.headers.get("x-omniroute-idempotent") for answer in answers] == [None, "true", "true"]
    assert not gateway.seen(mark)


def test_who_joins_or_repeats_saves_what_the_answer_cost(gateway: RealGateway) -> None:
    ids = new_ids(gateway, 4)
    body = body_of("saved", user=json.dumps({"fake": "slow-first:1"}))
    asyncio.run(ask_many(gateway, ids[:2], body))
    for one in ids[2:]:
        gateway.chat(headers={"idempotency-key": "saved", "x-request-id": one})
    wait_for(lambda: len(gateway.rows(*ids)) == 4, 5)
    rows = gateway.rows(*ids)
    assert sorted(row["cache"] for row in rows) == ["", "", "idempotent", "joined"]
    [cost] = {row["cost_nano_usd"] for row in rows if not row["cache"]}
    assert cost > 0
    assert {(row["cost_nano_usd"], row["saved_nano_usd"]) for row in rows if row["cache"]} == {(0, cost)}


def test_an_answer_too_large_to_share_is_everybodys_own(gateway: RealGateway) -> None:
    gateway.admin.patch("/api/settings", json={"cache": {"max_answer_bytes": 2000}})
    try:
        with switched(gateway):
            mark = gateway.mark
            body = body_of("large", user=json.dumps({"fake": "slow-first:1", "chunks": 400}))
            answers = asyncio.run(ask_many(gateway, new_ids(gateway, 4), body))
            assert [answer.status_code for answer in answers] == [200] * 4
            said = sorted(answer.headers.get("x-omniroute-shared", "") for answer in answers)
            assert said == [""] + ["too-large"] * 3
            assert len(gateway.seen(mark)) == 4
            mark = gateway.mark
            streamed = body_of("large", stream=True, user=slowly(60, 0.02))
            got = asyncio.run(read_some(gateway, 6, streamed, lambda: None))
            whole = [data for data in got if data.rstrip().endswith(b"[DONE]")]
            assert len(whole) == 1 == len(gateway.seen(mark))
            cut = [final_error(data) for data in got if data not in whole]
            assert {error["code"] for error in cut} == {"upstream_cut"}
    finally:
        gateway.admin.patch("/api/settings", json={"cache": {"max_answer_bytes": 2 * MIB}})


def test_a_leading_caller_that_does_not_read_is_cut_off_and_the_others_get_the_answer(gateway: RealGateway) -> None:
    gateway.admin.patch("/api/settings", json={"cache": {"max_answer_bytes": 16 * MIB}})
    try:
        with switched(gateway):
            mark, first_id = gateway.mark, gateway.new_id()
            fields = body_of("unread", stream=True, user=json.dumps({"fake": f"big:{14 * MIB}", "pause": 4}))
            first = gateway.raw_chat(fields.pop("model"), first_id, **fields)
            first.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            wait_for(lambda: gateway.seen(mark), 5)
            body = body_of("unread", stream=True, user=fields["user"])
            answers = asyncio.run(ask_many(gateway, new_ids(gateway, 3), body))
            assert len(gateway.seen(mark)) == 1
            assert all(answer.content.rstrip().endswith(b"[DONE]") for answer in answers)
            assert {answer.headers["x-omniroute-shared"] for answer in answers} == {"true"}
            row = gateway.row(first_id)
            assert (row["status"], row["error"]) == (499, "caller_left")
            assert row["output_tokens"] > 14_000
            first.close()
    finally:
        gateway.admin.patch("/api/settings", json={"cache": {"max_answer_bytes": 2 * MIB}})


def test_a_drain_ends_a_shared_answer_honestly_for_all(tmp_path: Path) -> None:
    variables = {"OMNIROUTE_WORKERS": "2", "SHUTDOWN_TIMEOUT_S": "4"}
    with running_gateway(tmp_path, **variables) as gateway:
        switch(gateway, lease_s=LEASE_S, single_flight="on")
        body = body_of("drained", stream=True, user=slowly(600, 0.1))
        got = asyncio.run(read_some(gateway, 10, body, gateway.product.process.terminate))
        assert len(gateway.seen(gateway.mark - 1)) == 1
        assert {final_error(data)["code"] for data in got} <= {"shutting_down", "upstream_cut"}
        assert gateway.product.process.wait(10) == 0


def test_without_the_cache_store_every_request_is_answered(gateway: RealGateway) -> None:
    gateway.product.kill("cache")
    answers = [gateway.chat(headers={"idempotency-key": f"away-{number}"}) for number in range(8)]
    assert {answer.status_code for answer in answers} == {200}
    answers = asyncio.run(ask_many(gateway, new_ids(gateway, 40), body_of("away", stream=True)))
    assert {answer.status_code for answer in answers} == {200}
    assert all(answer.content.rstrip().endswith(b"[DONE]") for answer in answers)
