"""Real Gemini traffic passes unchanged, is understood, and is written again for a caller so that it says the same."""

import json
from typing import Any

import pytest

from gateway.dialects.codec import BrokenAnswer, Destination, Unsupported
from gateway.dialects.gemini.codec import CALLER, PROVIDER
from gateway.dialects.gemini.grammar import Grammar
from gateway.dialects.sse import EventSplitter
from gateway.domain.chat import ChatRequest, Reasoning, ToolCall, ToolResult
from gateway.domain.events import Event, Finished, StreamFailed, TextDelta, ToolCallStarted
from tests.support import gist
from tests.support.event_rules import broken_rules
from tests.support.traffic import ENVELOPES, EXCHANGES, ORIGIN, arrival_of, decoded, read, recorded, rows, stamp

ASKED = ChatRequest(model="m", turns=(), is_stream=True, reasoning=Reasoning(shows=True))
QUIRKS = frozenset({"openapi_schemas", "thinking_level", "multimodal_results"})


def of_gemini(kind: str) -> list[Any]:
    return [param for param in recorded(kind) if param.values[0]["dialect"] == "gemini"]


def chunks_in(stream: bytes) -> list[dict[str, Any]]:
    """The chunks, read another way than the product does."""
    found = []
    for block in stream.decode().replace("\r\n", "\n").split("\n\n"):
        text = block.strip().removeprefix("data:").strip()
        if text:
            found.append(json.loads(text))
    return found


def shown_text(chunks: list[dict[str, Any]]) -> str:
    parts = [
        part
        for chunk in chunks
        for candidate in chunk.get("candidates", [])[:1]
        for part in candidate.get("content", {}).get("parts", [])
    ]
    return "".join(part["text"] for part in parts if "text" in part and not part.get("thought"))


def encoded(events: list[Event]) -> bytes:
    encoder = CALLER.make_encoder(stamp(ASKED))
    return b"".join(encoder.feed([event]) for event in events)


@pytest.mark.parametrize("row", of_gemini("stream"))
def test_a_stream_passes_unchanged_and_is_understood(row: dict[str, Any]) -> None:
    stream = read(row)
    chunks = chunks_in(stream)
    told = [
        chunk["usageMetadata"]
        for chunk in chunks
        if {"promptTokenCount", "candidatesTokenCount"} & chunk.get("usageMetadata", {}).keys()
    ]
    for size in (len(stream), 1000, 61):
        tap = PROVIDER.make_tap(hides_usage_chunk=False)
        out = b"".join(tap.feed(stream[at : at + size]) for at in range(0, len(stream), size))
        is_complete, error = tap.is_complete, tap.error
        assert out + tap.take_rest() == stream
        if told:
            assert tap.usage is not None
            counted = told[-1].get("promptTokenCount", 0) + told[-1].get("toolUsePromptTokenCount", 0)
            assert tap.usage.input == counted
            assert tap.usage.output == told[-1].get("candidatesTokenCount", 0) + told[-1].get("thoughtsTokenCount", 0)
        else:
            assert tap.usage is None
        assert bool(error) is any("error" in chunk for chunk in chunks)
        ends = [
            chunk
            for chunk in chunks
            if "blockReason" in chunk.get("promptFeedback", {})
            or any("finishReason" in one for one in chunk.get("candidates", []))
        ]
        assert is_complete is bool(ends)


@pytest.mark.parametrize("row", of_gemini("stream"))
def test_a_stream_is_decoded_and_written_again_with_the_same_words(row: dict[str, Any]) -> None:
    stream = read(row)
    events = decoded("gemini", stream)
    assert broken_rules(events) == []
    written = encoded(events)
    if isinstance(events[-1], Finished):
        again = decoded("gemini", written)
        assert gist.of_events(again) == gist.of_events(events)
    if "server-tool-use" not in row["features"]:
        assert "".join(event.text for event in events if isinstance(event, TextDelta)) == shown_text(chunks_in(stream))


@pytest.mark.parametrize("row", of_gemini("stream"))
def test_what_is_written_keeps_the_grammar(row: dict[str, Any]) -> None:
    events = decoded("gemini", read(row))
    written = encoded(events)
    if not isinstance(events[-1], Finished | StreamFailed):
        return
    grammar = Grammar()
    for event in EventSplitter().feed(written):
        grammar.feed(event)
    grammar.end()
    assert grammar.violations == []


@pytest.mark.parametrize("row", of_gemini("stream"))
def test_commit_waits_for_content_or_an_end(row: dict[str, Any]) -> None:
    splitter = EventSplitter()
    events = splitter.feed(read(row))
    verdicts = [PROVIDER.classify(event) for event in [*events, *([splitter.rest] if splitter.rest else [])]]
    assert next((verdict for verdict in verdicts if verdict != "noise"), "noise") != "noise"
    has_error = any(feature in row["features"] for feature in ("mid-stream-error", "finish-odd"))
    assert ("error" in verdicts) is (has_error or "error-mid-stream" in row["file"])


@pytest.mark.parametrize("row", of_gemini("stream"))
def test_a_call_in_the_stream_is_a_call_in_the_events(row: dict[str, Any]) -> None:
    names = [event.name for event in decoded("gemini", read(row)) if isinstance(event, ToolCallStarted)]
    told = [
        part["functionCall"]["name"]
        for chunk in chunks_in(read(row))
        for candidate in chunk.get("candidates", [])
        for part in candidate.get("content", {}).get("parts", [])
        if part.get("functionCall", {}).get("name")
    ]
    assert names == told


@pytest.mark.parametrize("row", of_gemini("response"))
def test_an_answer_is_decoded_and_written_again(row: dict[str, Any]) -> None:
    body = read(row)
    reading = PROVIDER.read_answer(body)
    if row.get("status", 200) != 200:
        assert reading.kind == "error"
        assert PROVIDER.error_text(body) == reading.message
        assert reading.error_status == row["status"]
        with pytest.raises(BrokenAnswer):
            PROVIDER.decode_response(body, ORIGIN)
        return
    assert reading.kind == "answer"
    answer = PROVIDER.decode_response(body, ORIGIN)
    assert answer.usage == reading.usage
    again = PROVIDER.decode_response(CALLER.encode_response(answer, stamp(ASKED)), ORIGIN)
    assert gist.of_answer(again) == gist.of_answer(answer)
    assert again.finish == answer.finish


@pytest.mark.parametrize("row", of_gemini("request"))
@pytest.mark.parametrize("quirks", [frozenset(), QUIRKS], ids=["plain", "quirks"])
def test_a_request_is_decoded_and_written_again(row: dict[str, Any], quirks: frozenset[str]) -> None:
    body, arrival = read(row), arrival_of(row)
    head = CALLER.read_head(body, arrival)
    assert PROVIDER.pass_on(body, head, "another", asks_usage=True) is body
    request = CALLER.decode_request(body, arrival, ENVELOPES)
    assert request.model == head.model == arrival.model.removeprefix("models/")
    target = Destination(model="m", provider="acme", quirks=quirks)
    if "file-uri" in row["features"] and "images-in" in row["features"]:
        with pytest.raises(Unsupported) as caught:
            PROVIDER.encode_request(request, target)
        assert caught.value.param == "image_url"
        return
    sent = PROVIDER.encode_request(request, target)
    again = CALLER.decode_request(sent.body, arrival, ENVELOPES)
    assert calls_of(again) == calls_of(request)
    assert [tool.name for tool in again.tools] == [tool.name for tool in request.tools]
    assert again.built_in_tools == request.built_in_tools
    assert (again.temperature, again.max_tokens, again.stop) == (request.temperature, request.max_tokens, request.stop)


def calls_of(request: ChatRequest) -> list[Any]:
    parts = [part for turn in request.turns for part in turn.parts]
    calls = [(part.name, json.loads(part.arguments), part.signature) for part in parts if isinstance(part, ToolCall)]
    results = [(part.name, part.is_error) for part in parts if isinstance(part, ToolResult)]
    return [calls, sorted(results)]


def test_our_own_exchanges_are_all_in_the_index() -> None:
    folder = EXCHANGES / "gemini"
    assert {row["file"] for row in rows() if row["folder"] == folder} == {
        path.name for path in folder.iterdir() if path.name != "index.json"
    }
