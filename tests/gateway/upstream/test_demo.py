"""The demo provider says the same for the same request, and speaks Chat Completions."""

import asyncio
import json
from typing import Any

import pytest

from gateway.dialects.openai_chat.response import read_answer
from gateway.dialects.openai_chat.stream import StreamTap, classify
from gateway.dialects.sse import EventSplitter, data_of
from gateway.upstream.demo import DemoTransport
from gateway.upstream.seam import Cancelled, UpstreamCall, UpstreamRequest
from tests.support.catalogs import connection


async def ask(transport: DemoTransport, body: bytes) -> UpstreamCall:
    return await transport.start(UpstreamRequest(connection("demo"), "demo:", (), body, 5.0))


async def whole(body: bytes) -> tuple[int, bytes]:
    call = await ask(DemoTransport(), body)
    await call.head()
    data = b""
    while part := await call.read():
        data += part
    return call.status, data


def chat(model: str, text: Any, **more: Any) -> bytes:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": text}], **more}).encode()


async def test_echo_repeats_the_last_words_of_the_user() -> None:
    messages = [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "x"},
        {"role": "user", "content": "a  b ü"},
    ]
    status, body = await whole(json.dumps({"model": "echo", "messages": messages}).encode())
    assert status == 200
    assert json.loads(body)["choices"][0]["message"]["content"] == "a  b ü"
    assert read_answer(body).kind == "answer"
    assert read_answer(body).usage is not None


@pytest.mark.parametrize("content", [[{"type": "text", "text": "parts"}], "parts"])
async def test_a_message_in_parts_is_joined(content: object) -> None:
    assert json.loads((await whole(chat("echo", content)))[1])["choices"][0]["message"]["content"] == "parts"


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_same_request_gets_the_same_bytes(streamed: bool) -> None:
    request = chat("echo", "again and again", stream=streamed)
    assert await whole(request) == await whole(request)


async def test_a_stream_says_the_same_as_the_whole_answer_and_ends_as_a_stream_should() -> None:
    text = json.loads((await whole(chat("echo", "one two three")))[1])["choices"][0]["message"]["content"]
    status, body = await whole(chat("echo", "one two three", stream=True))
    events = EventSplitter().feed(body)
    chunks = [json.loads(data_of(event)) for event in events[:-1]]
    assert status == 200
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks if chunk["choices"]) == text
    assert [classify(event) for event in events] == [
        "noise",
        "useful",
        "useful",
        "useful",
        "terminal",
        "noise",
        "terminal",
    ]
    tap = StreamTap(hides_usage_chunk=False)
    assert tap.feed(body) == body
    assert tap.is_done
    assert tap.usage is not None


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"messages":5}', b"\xff"])
async def test_what_is_no_request_gets_an_error(body: bytes) -> None:
    status, answer = await whole(body)
    assert status == 400
    assert json.loads(answer)["error"]["message"].startswith("not a chat request")


@pytest.mark.parametrize(
    "messages", [[], [{"role": "system", "content": "x"}], [{"role": "user", "content": None}], [{}]]
)
async def test_odd_messages_are_answered_all_the_same(messages: list[Any]) -> None:
    assert (await whole(json.dumps({"model": "echo", "messages": messages}).encode()))[0] == 200


async def test_a_cancelled_stream_says_nothing_more() -> None:
    transport = DemoTransport()
    call = await ask(transport, chat("story", "", stream=True))
    await call.head()
    await call.read()
    assert transport.open_calls == 1
    call.cancel()
    assert transport.open_calls == 0
    had = call.bytes_in
    await asyncio.sleep(0.05)
    assert call.bytes_in == had
    with pytest.raises(Cancelled):
        await call.read()
