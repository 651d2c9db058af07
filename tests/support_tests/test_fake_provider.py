"""The fake provider keeps its promises: other tests lean on each of these answers and records."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.support.fake_behaviours import BEHAVIOURS
from tests.support.fake_provider import FakeProvider


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


@pytest.fixture
async def client(fake: FakeProvider) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=fake.base_url, timeout=5) as http:
        yield http


def chat(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "hi"}]} | more


async def stream(client: httpx.AsyncClient, model: str, **more: Any) -> bytes:
    answer = await client.post("/chat/completions", json=chat(model, stream=True, **more))
    assert answer.status_code == 200
    return answer.content


def events(raw: bytes) -> list[Any]:
    datas = [part.removeprefix("data: ") for part in raw.decode().split("\n\n") if part.startswith("data: ")]
    return [data if data == "[DONE]" else json.loads(data) for data in datas]


def text_of(raw: bytes) -> str:
    found = [e for e in events(raw) if e != "[DONE]" and e.get("choices")]
    return "".join(e["choices"][0]["delta"].get("content") or "" for e in found)


async def test_ok_answers_one_completion_with_usage(fake: FakeProvider, client: httpx.AsyncClient) -> None:
    answer = (await client.post("/chat/completions", json=chat("any-name"))).json()
    assert answer["model"] == "any-name"
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "Hello word1 word2 word3 word4"}
    assert answer["usage"] == {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}


async def test_ok_streams_the_same_text_and_counts_usage_only_if_asked(client: httpx.AsyncClient) -> None:
    plain = await stream(client, "ok")
    asked = await stream(client, "ok", stream_options={"include_usage": True})
    assert text_of(plain) == text_of(asked) == "Hello word1 word2 word3 word4"
    assert not [e for e in events(plain) if "usage" in e]
    assert events(asked)[-2]["usage"]["completion_tokens"] == 5
    assert events(asked)[-2]["choices"] == []
    assert events(plain)[-1] == events(asked)[-1] == "[DONE]"


async def test_the_same_request_gets_the_same_bytes(client: httpx.AsyncClient) -> None:
    assert await stream(client, "tools") == await stream(client, "tools")


async def test_every_request_is_recorded_with_headers_and_body(fake: FakeProvider, client: httpx.AsyncClient) -> None:
    await client.post("/chat/completions?x=1", json=chat("ok"), headers={"Authorization": "Bearer sk-up"})
    record = fake.requests[0]
    assert (record.number, record.method, record.path) == (1, "POST", "/v1/chat/completions?x=1")
    assert record.header("authorization") == "Bearer sk-up"
    assert record.json() == chat("ok")
    assert record.finished_at is not None
    assert not record.closed_mid_answer


async def test_records_are_bounded() -> None:
    async with FakeProvider(kept=2) as fake, httpx.AsyncClient(base_url=fake.base_url) as client:
        for _ in range(3):
            await client.post("/chat/completions", json=chat("ok"))
        assert [record.number for record in fake.requests] == [2, 3]


async def test_a_client_that_leaves_mid_stream_is_noticed_at_once(
    fake: FakeProvider, client: httpx.AsyncClient
) -> None:
    async with client.stream("POST", "/chat/completions", json=chat("stall-after:2", stream=True)) as answer:
        async for line in answer.aiter_lines():
            if "word1" in line:
                break
    await fake.until(lambda: fake.requests[0].closed_at is not None)
    assert fake.requests[0].closed_mid_answer
    assert fake.stats()["answers_open"] == 0


async def test_a_client_that_leaves_before_the_headers_is_noticed(fake: FakeProvider) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
    body = json.dumps(chat("slow-headers:30")).encode()
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    await fake.until(lambda: len(fake.requests) == 1)
    writer.close()
    await fake.until(lambda: fake.requests[0].closed_mid_answer)
    assert await reader.read() == b""


@pytest.mark.parametrize("streamed", [False, True])
async def test_slow_headers_and_slow_first_differ_in_what_is_slow(client: httpx.AsyncClient, streamed: bool) -> None:
    waits = {}
    for model in ("slow-headers:1.0", "slow-first:1.0"):
        began = time.monotonic()
        async with client.stream("POST", "/chat/completions", json=chat(model, stream=streamed)) as answer:
            waits[model] = (headed := time.monotonic()) - began
            await answer.aread()
        waits[model, "body"] = time.monotonic() - headed
    assert waits["slow-headers:1.0"] > 0.99
    assert waits["slow-first:1.0", "body"] > 0.5


@pytest.mark.parametrize("streamed", [False, True])
async def test_cut_after_resets_the_connection(client: httpx.AsyncClient, streamed: bool) -> None:
    got = b""

    async def read_all() -> None:
        nonlocal got
        async with client.stream("POST", "/chat/completions", json=chat("cut-after:2", stream=streamed)) as answer:
            async for part in answer.aiter_raw():
                got += part

    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        await read_all()
    assert b"Hello" in got or not streamed
    assert b"[DONE]" not in got
    assert got


async def test_clean_end_after_ends_the_http_but_not_the_stream(client: httpx.AsyncClient) -> None:
    raw = await stream(client, "clean-end-after:2")
    assert text_of(raw) == "Hello word1"
    assert b"[DONE]" not in raw
    assert b'"stop"' not in raw


async def test_no_done_ends_with_a_finish_reason_only(client: httpx.AsyncClient) -> None:
    raw = await stream(client, "no-done")
    assert events(raw)[-1]["choices"][0]["finish_reason"] == "stop"


async def test_failures_hidden_under_a_200(client: httpx.AsyncClient) -> None:
    page = await client.post("/chat/completions", json=chat("html", stream=True))
    assert page.headers["content-type"].startswith("text/html")
    hidden = await client.post("/chat/completions", json=chat("error-in-200"))
    assert (hidden.status_code, "error" in hidden.json()) == (200, True)
    empty = await client.post("/chat/completions", json=chat("empty-200"))
    assert (empty.status_code, empty.content) == (200, b"")
    assert events(await stream(client, "empty-stream")) == ["[DONE]"]
    assert "error" in events(await stream(client, "stream-error-first"))[0]
    role, error = events(await stream(client, "stream-error-second"))
    assert role["choices"][0]["delta"]["role"] == "assistant"
    assert "error" in error


async def test_status_carries_headers_and_error_fields(client: httpx.AsyncClient) -> None:
    limited = await client.post("/chat/completions", json=chat("status:429:retry-after=2"))
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "2")
    assert limited.json()["error"]["code"] == "rate_limit_exceeded"
    long = await client.post("/chat/completions", json=chat("status:400:code=context_length_exceeded"))
    assert long.json()["error"] == {
        "message": "fake provider says 400",
        "type": "invalid_request_error",
        "param": None,
        "code": "context_length_exceeded",
    }


async def test_bad_chunk_breaks_the_framing(client: httpx.AsyncClient) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await stream(client, "bad-chunk")


@pytest.mark.parametrize("size", [1, 3, 100])
async def test_split_sends_the_same_stream_in_pieces(client: httpx.AsyncClient, size: int) -> None:
    assert text_of(await stream(client, f"split:{size}")) == "Grüße 世界 👋🏽 done"


async def test_comments_come_before_data(client: httpx.AsyncClient) -> None:
    raw = await stream(client, "comments")
    assert raw.startswith(b": ")
    assert text_of(raw).startswith("Hello")


async def test_tools_stream_adds_up_to_the_unstreamed_call(client: httpx.AsyncClient) -> None:
    whole = (await client.post("/chat/completions", json=chat("tools"))).json()
    found = [e for e in events(await stream(client, "tools")) if e != "[DONE]"]
    calls = [e["choices"][0]["delta"]["tool_calls"][0] for e in found if e["choices"][0]["delta"].get("tool_calls")]
    assert calls[0]["id"] == "call_fake0001"
    joined = "".join(call["function"]["arguments"] for call in calls)
    assert joined == whole["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
    assert found[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_echo_headers_answers_with_what_it_received(client: httpx.AsyncClient) -> None:
    answer = (await client.post("/chat/completions", json=chat("echo-headers"), headers={"X-Seen": "1"})).json()
    seen = json.loads(answer["choices"][0]["message"]["content"])
    assert seen["x-seen"] == "1"
    assert list(seen) == sorted(seen)


async def test_reject_stream_options_names_the_field(client: httpx.AsyncClient) -> None:
    refused = await client.post(
        "/chat/completions", json=chat("reject-stream-options", stream=True, stream_options={"include_usage": True})
    )
    assert refused.status_code == 400
    assert "stream_options" in refused.json()["error"]["message"]
    assert text_of(await stream(client, "reject-stream-options")).startswith("Hello")


@pytest.mark.parametrize("streamed", [False, True])
async def test_big_stops_at_a_client_that_does_not_read(fake: FakeProvider, streamed: bool) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", fake.port, limit=4096)
    body = json.dumps(chat("big:50000000", stream=streamed)).encode()
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    await reader.readline()
    await fake.until(lambda: fake.requests[0].bytes_accepted > 100_000)
    await asyncio.sleep(0.1)
    stalled_at = fake.requests[0].bytes_accepted
    await asyncio.sleep(0.1)
    assert fake.requests[0].bytes_accepted == stalled_at < 20_000_000
    writer.transport.abort()


async def test_big_delivers_everything_to_a_client_that_reads(client: httpx.AsyncClient) -> None:
    answer = (await client.post("/chat/completions", json=chat("big:3000000"))).json()
    assert len(answer["choices"][0]["message"]["content"]) == 3_000_000
    assert len(text_of(await stream(client, "big:1000000"))) > 800_000


async def test_the_user_field_chooses_behaviour_and_size(fake: FakeProvider, client: httpx.AsyncClient) -> None:
    raw = await stream(client, "m1", user='{"fake": "no-done", "chunks": 2}')
    assert text_of(raw) == "Hello word1"
    assert b"[DONE]" not in raw
    assert fake.requests[0].behaviour == "no-done"


async def test_a_plan_answers_in_order_by_model_or_key(fake: FakeProvider, client: httpx.AsyncClient) -> None:
    fake.plan("status:500", "ok", model="m1")
    fake.plan("status:401", key="sk-bad")
    statuses = [(await client.post("/chat/completions", json=chat("m1"))).status_code for _ in range(3)]
    assert statuses == [500, 200, 200]
    bad = await client.post("/chat/completions", json=chat("ok"), headers={"Authorization": "Bearer sk-bad"})
    assert bad.status_code == 401


async def test_an_unknown_behaviour_is_refused_not_taken_for_ok(fake: FakeProvider, client: httpx.AsyncClient) -> None:
    answer = await client.post("/chat/completions", json=chat("m1", user='{"fake": "stal-after:1"}'))
    assert answer.status_code == 400
    with pytest.raises(ValueError, match="no behaviour"):
        fake.plan("nonsense")


@pytest.mark.parametrize("name", sorted(BEHAVIOURS))
@pytest.mark.parametrize("streamed", [False, True])
async def test_no_behaviour_breaks_the_server(fake: FakeProvider, name: str, streamed: bool) -> None:
    arguments = {
        "status": ":503",
        "slow-headers": ":0.01",
        "slow-first": ":0.01",
        "big": ":5000",
        "split": ":9",
        "with-headers": ":x-a=b",
    }
    argument = arguments.get(name, ":1" if name.endswith("-after") else "")
    async with httpx.AsyncClient(base_url=fake.base_url, timeout=60) as http:
        try:
            patience = 0.3 if name == "stall-after" else 60
            await http.post("/chat/completions", json=chat(name + argument, stream=streamed), timeout=patience)
        except httpx.TransportError:
            assert name in {"stall-after", "cut-after", "bad-chunk"}
        assert (await http.post("/chat/completions", json=chat("ok"))).status_code == 200


async def test_bad_framing_and_chunked_bodies(fake: FakeProvider, client: httpx.AsyncClient) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
    writer.write(b"POST /v1/x HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 400")
    writer.close()

    async def pieces() -> AsyncIterator[bytes]:
        yield json.dumps(chat("ok")).encode()

    assert (await client.post("/chat/completions", content=pieces())).status_code == 200
    assert fake.requests[-1].json() == chat("ok")


async def test_models_are_listed(client: httpx.AsyncClient) -> None:
    assert "m1" in [model["id"] for model in (await client.get("/models")).json()["data"]]


async def test_as_a_process_it_prints_its_port_and_serves_its_records() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.fake_provider", "--port", "0", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        port = int(await asyncio.wait_for(process.stdout.readline(), 10))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5) as http:
            await http.post("/_plan", json={"behaviours": ["status:503"], "model": "m1"})
            assert (await http.post("/v1/chat/completions", json=chat("m1"))).status_code == 503
            stats = (await http.get("/_stats")).json()
        assert stats["requests"][0]["behaviour"] == "status:503"
        assert stats["requests_total"] == 1
    finally:
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0
