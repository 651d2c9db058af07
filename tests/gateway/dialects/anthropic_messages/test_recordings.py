"""Real traffic is passed on unchanged, understood, and says the same after a way through the hub."""

import json
from itertools import pairwise
from typing import Any

import pytest

from gateway.dialects.anthropic_messages.codec import CALLER, PROVIDER
from gateway.dialects.anthropic_messages.grammar import Grammar
from gateway.dialects.anthropic_messages.stream import StreamTap
from gateway.dialects.anthropic_messages.wire import usage_of
from gateway.dialects.codec import Arrival
from gateway.dialects.sse import EventSplitter, data_of
from gateway.domain.chat import ChatRequest, Reasoning
from gateway.domain.events import Finished, StreamFailed
from tests.support import gist
from tests.support.traffic import ENVELOPES, EXCHANGES, ORIGIN, decoded, destination, read, recorded, rows, stamp

ASKED = ChatRequest(model="m", turns=(), reasoning=Reasoning(budget=2048, shows=True))


def mine(kind: str) -> list[Any]:
    return [param for param in recorded(kind) if param.values[0]["dialect"] == "anthropic_messages"]


def whole(param: Any) -> bool:
    return bool(param.values[0].get("status", 200) == 200)


def told(stream: bytes) -> list[dict[str, Any]]:
    """The events as a plain reader sees them."""
    found = (line.strip().removeprefix("data:").strip() for line in stream.decode().split("\n"))
    return [json.loads(text) for text in found if text.startswith("{")]


@pytest.mark.parametrize("row", mine("stream"))
def test_a_stream_passes_unchanged_and_is_understood(row: dict[str, Any]) -> None:
    stream = read(row)
    events = told(stream)
    usage: dict[str, Any] = {}
    for event in events:
        if event["type"] == "message_start":
            usage |= event["message"]["usage"]
        elif event["type"] == "message_delta":
            usage |= event["usage"]
    for size in (len(stream), 1000, 61):
        tap = StreamTap(hides_usage_chunk=False)
        out = b"".join(tap.feed(stream[at : at + size]) for at in range(0, len(stream), size)) + tap.take_rest()
        assert out == stream
        assert tap.usage == usage_of(usage)
        assert tap.is_complete is ("mid-stream-error" not in row["features"])
        assert bool(tap.error) is ("mid-stream-error" in row["features"])


@pytest.mark.parametrize("row", mine("stream"))
def test_a_stream_commits_at_its_first_content(row: dict[str, Any]) -> None:
    verdicts = [PROVIDER.classify(event) for event in EventSplitter().feed(read(row))]
    first = next((verdict for verdict in verdicts if verdict != "noise"), "none")
    kinds = [event["type"] for event in told(read(row))]
    assert first == ("useful" if "content_block_start" in kinds else "terminal")
    assert ("error" in verdicts) is ("error" in kinds)


@pytest.mark.parametrize("row", mine("stream"))
def test_a_stream_says_the_same_after_the_hub(row: dict[str, Any]) -> None:
    events = decoded("anthropic_messages", read(row))
    encoder = CALLER.make_encoder(stamp(ASKED))
    written = b"".join(encoder.feed([event]) for event in events)
    grammar = Grammar()
    for event in EventSplitter().feed(written):
        grammar.feed(event)
    grammar.end()
    assert grammar.violations == []
    again = decoded("anthropic_messages", written)
    assert gist.of_events(again) == gist.of_events(events)
    assert isinstance(again[-1], StreamFailed if "mid-stream-error" in row["features"] else Finished)


@pytest.mark.parametrize("row", mine("stream"))
def test_blocks_keep_their_order_and_their_bytes(row: dict[str, Any]) -> None:
    """Texts, thoughts with signatures, and calls: what this dialect alone has is left out."""
    encoder = CALLER.make_encoder(stamp(ASKED))
    written = encoder.feed(decoded("anthropic_messages", read(row)))
    assert blocks_of(told(written)) == blocks_of(told(read(row)))


def blocks_of(events: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """(type, all that the deltas add, signature or id) of each block that has a home in the hub; texts in a row joined."""
    found: list[list[Any]] = []
    by_index: dict[int, list[Any] | None] = {}
    for event in events:
        if event["type"] == "content_block_start":
            block = event["content_block"]
            kind = block["type"]
            mark = block.get("id") or block.get("data") or ""
            made = [kind, block.get("text") or block.get("thinking") or "", mark]
            is_known = kind in ("text", "thinking", "redacted_thinking", "tool_use")
            by_index[event["index"]] = made if is_known else None
            if is_known:
                found.append(made)
        elif event["type"] == "content_block_delta" and by_index.get(event["index"]) is not None:
            made = by_index[event["index"]] or []
            delta = event["delta"]
            made[1] += delta.get("text") or delta.get("thinking") or delta.get("partial_json") or ""
            made[2] += delta.get("signature", "")
    joined: list[tuple[Any, ...]] = []
    for kind, text, mark in found:
        if kind == "text" and not text:
            continue
        shown = text or ("{}" if kind == "tool_use" else "")
        if kind == "text" and joined and joined[-1][0] == "text":
            shown = joined.pop()[1] + shown
        joined.append((kind, shown, mark))
    return joined


@pytest.mark.parametrize("row", mine("stream"))
def test_any_split_of_a_recording_gives_the_same_events(row: dict[str, Any]) -> None:
    stream = read(row)
    assert decoded("anthropic_messages", stream, (997, 3, 64)) == decoded("anthropic_messages", stream)


@pytest.mark.parametrize("row", mine("response"))
def test_an_answer_is_told_from_an_error(row: dict[str, Any]) -> None:
    body = json.loads(read(row))
    reading = PROVIDER.read_answer(read(row))
    if row["status"] != 200:
        assert reading.kind == "error"
        assert reading.error_status == row["status"]
        assert reading.message == body["error"]["message"]
    else:
        assert reading.kind == "answer"
        assert reading.usage == usage_of(body["usage"])


@pytest.mark.parametrize("row", [param for param in mine("response") if whole(param)])
def test_an_answer_says_the_same_after_the_hub(row: dict[str, Any]) -> None:
    answer = PROVIDER.decode_response(read(row), ORIGIN)
    body = CALLER.encode_response(answer, stamp(ASKED))
    again = PROVIDER.decode_response(body, ORIGIN)
    assert gist.of_answer(again) == gist.of_answer(answer)
    theirs, ours = json.loads(read(row)), json.loads(body)
    assert (ours["stop_reason"], ours["stop_sequence"]) == (theirs["stop_reason"], theirs["stop_sequence"])
    kept = [block for block in theirs["content"] if block["type"] in ("thinking", "redacted_thinking")]
    assert [block for block in ours["content"] if "thinking" in block["type"]] == kept
    calls = [(b["id"], b["name"], b["input"]) for b in theirs["content"] if b["type"] == "tool_use"]
    assert [(b["id"], b["name"], b["input"]) for b in ours["content"] if b["type"] == "tool_use"] == calls


@pytest.mark.parametrize("row", mine("request"))
def test_a_request_goes_on_with_another_model_only(row: dict[str, Any]) -> None:
    body = read(row)
    head = CALLER.read_head(body, Arrival())
    value = json.loads(body)
    assert (head.model, head.is_stream) == (value["model"], value.get("stream") is True)
    assert PROVIDER.pass_on(body, head, head.model, asks_usage=True) is body
    assert json.loads(PROVIDER.pass_on(body, head, "another/model", asks_usage=True)) == value | {
        "model": "another/model"
    }


@pytest.mark.parametrize("row", mine("request"))
def test_a_request_asks_the_same_after_the_hub(row: dict[str, Any]) -> None:
    request = CALLER.decode_request(read(row), Arrival(), ENVELOPES)
    encoded = PROVIDER.encode_request(request, destination(quirks=("adaptive_thinking",)))
    again = CALLER.decode_request(encoded.body, Arrival(), ENVELOPES)
    asked, found = gist.of_request(request), gist.of_request(again)
    asked.answered = [text.strip() for text in asked.answered]
    found.answered = [text.strip() for text in found.answered]  # a begun answer may not end in white space
    assert found == asked
    for first, second in pairwise(json.loads(encoded.body)["messages"]):
        assert first["role"] != second["role"]


def test_our_own_exchanges_are_all_in_the_index() -> None:
    folder = EXCHANGES / "anthropic_messages"
    assert {row["file"] for row in rows() if row["folder"] == folder} == {
        path.name for path in folder.iterdir() if path.name != "index.json"
    }


def test_every_event_of_our_streams_has_its_name() -> None:
    encoder = CALLER.make_encoder(stamp(ASKED))
    row = next(
        param.values[0] for param in mine("stream") if param.values[0]["file"] == "thinking-and-calls.stream.sse"
    )
    for event in EventSplitter().feed(encoder.feed(decoded("anthropic_messages", read(row)))):
        assert event.startswith(b"event: " + json.loads(data_of(event))["type"].encode() + b"\ndata: {")
