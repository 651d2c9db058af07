"""Real traffic goes through the hub and back into the same dialect: what it says is still there, and SDKs can read it."""

import json
from typing import Any

import pytest

from gateway.dialects.codec import Arrival, Destination, Origin, Stamp
from gateway.dialects.envelope import Envelopes
from gateway.dialects.openai_chat.codec import CALLER, PROVIDER
from gateway.dialects.openai_chat.grammar import Grammar
from gateway.dialects.sse import EventSplitter
from gateway.domain.chat import ChatRequest, Refusal, Text, Thinking, ToolCall, ToolResult
from gateway.domain.events import (
    Event,
    Finished,
    RefusalDelta,
    StreamFailed,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    UsageTold,
)
from tests.gateway.dialects.openai_chat.test_recordings import read, recorded

ENVELOPES = Envelopes(b"k" * 32)
ORIGIN = Origin("acme", "01234567-89ab-cdef-0123-456789abcdef")
STAMP = Stamp(ORIGIN.request_id, 1_700_000_000, "asked/model", ENVELOPES, ChatRequest("asked/model", ()))
EVERYTHING = Destination(
    "other-model", "acme", quirks=frozenset({"cache_control", "replays_reasoning", "custom_tools"})
)


def events_of(stream: bytes, size: int = 0) -> list[Event]:
    decoder = PROVIDER.make_decoder(ORIGIN)
    events: list[Event] = []
    step = size or len(stream)
    for at in range(0, len(stream), step):
        events += decoder.feed(stream[at : at + step])
    return events + decoder.end()


def told(events: list[Event]) -> dict[str, Any]:
    """What the events say, however they are cut."""
    calls: dict[int, list[str]] = {}
    for event in events:
        if isinstance(event, ToolCallStarted):
            calls[event.index] = [event.id, event.name, ""]
        elif isinstance(event, ToolCallDelta):
            calls[event.index][2] += event.arguments
    usages = [event.usage for event in events if isinstance(event, UsageTold)]
    ends = [event.finish for event in events if isinstance(event, Finished)]
    return {
        "text": "".join(event.text for event in events if isinstance(event, TextDelta)),
        "thinking": "".join(event.text for event in events if isinstance(event, ThinkingDelta)),
        "refusal": "".join(event.text for event in events if isinstance(event, RefusalDelta)),
        "calls": list(calls.values()),
        "usage": usages[-1] if usages else None,
        "finish": ends,
    }


def plainly(stream: bytes) -> tuple[str, str]:
    """Text and arguments of a stream, read another way than the decoder does."""
    text, arguments = "", ""
    for line in stream.decode().splitlines():
        data = line.removeprefix("data:").strip()
        choices = json.loads(data).get("choices") if data.startswith("{") else None
        delta = choices[0].get("delta") if choices else None
        for call in (delta or {}).get("tool_calls") or ():
            arguments += call.get("function", {}).get("arguments") or ""
        content = (delta or {}).get("content")
        if isinstance(content, list):
            content = "".join(part.get("text", "") for part in content)
        text += content or ""
    return text, arguments


@pytest.mark.parametrize("row", recorded("stream"))
def test_a_stream_keeps_what_it_says_and_becomes_one_that_sdks_read(row: dict[str, Any]) -> None:
    stream = read(row)
    events = events_of(stream)
    found = told(events)
    text, arguments = plainly(stream)
    assert found["text"] == text
    assert "".join(call[2] for call in found["calls"]) == (arguments or "{}" * len(found["calls"]))
    out = CALLER.make_encoder(STAMP).feed(events)
    grammar = Grammar()
    for event in EventSplitter().feed(out):
        grammar.feed(event)
    grammar.end()
    assert grammar.violations == []
    again = told(events_of(out))
    if "mid-stream-error" in row["features"]:
        assert isinstance(events[-1], StreamFailed)
        assert again["text"] == text
        return
    assert len(found["finish"]) == 1
    assert again == found
    assert (found["finish"] == ["tool_calls"]) is bool(found["calls"])


@pytest.mark.parametrize("row", recorded("stream"))
@pytest.mark.parametrize("size", [997, 64])
def test_a_streams_events_do_not_depend_on_how_it_is_cut(row: dict[str, Any], size: int) -> None:
    stream = read(row)
    assert events_of(stream, size) == events_of(stream)


@pytest.mark.parametrize("row", recorded("response"))
def test_an_answer_keeps_what_it_says(row: dict[str, Any]) -> None:
    if row["status"] != 200:
        return
    body = read(row)
    answer = PROVIDER.decode_response(body, ORIGIN)
    choice = json.loads(body)["choices"][0]
    message = choice.get("message") or choice.get("delta") or {}
    if isinstance(message.get("content"), str):
        assert "".join(part.text for part in answer.parts if isinstance(part, Text)) == message["content"]
    calls = [part for part in answer.parts if isinstance(part, ToolCall)]
    assert [call.name for call in calls] == [call["function"]["name"] for call in message.get("tool_calls") or ()]
    assert all(isinstance(json.loads(call.arguments), dict) for call in calls)
    assert len({call.id for call in calls}) == len(calls)
    encoded = CALLER.encode_response(answer, STAMP)
    again = PROVIDER.decode_response(encoded, ORIGIN)
    assert again.finish == answer.finish
    assert again.usage == answer.usage
    assert [part.text for part in again.parts if isinstance(part, Text)] == [
        part.text for part in answer.parts if isinstance(part, Text)
    ]
    for kind in (Thinking, Refusal, ToolCall):
        kept = [part for part in again.parts if isinstance(part, kind)]
        assert kept == [part for part in answer.parts if isinstance(part, kind)]


@pytest.mark.parametrize("row", recorded("request"))
def test_a_request_keeps_what_it_asks(row: dict[str, Any]) -> None:
    body = read(row)
    request = CALLER.decode_request(body, Arrival(), ENVELOPES)
    encoded = PROVIDER.encode_request(request, EVERYTHING)
    wire = json.loads(encoded.body)
    asked = json.loads(body)
    assert wire["model"] == "other-model"
    messages = [
        said for said in asked["messages"] if said.get("content") or said["role"] == "tool" or said.get("tool_calls")
    ]
    for sent, said in zip(wire["messages"], messages, strict=True):
        assert sent["role"] == said["role"].replace("developer", "system")
        if isinstance(said.get("content"), str):
            assert sent["content"] == said["content"]
        assert [call["id"] for call in sent.get("tool_calls", ())] == [
            call["id"] for call in said.get("tool_calls") or ()
        ]
    assert len(wire.get("tools", ())) == len(asked.get("tools") or ())
    again = CALLER.decode_request(encoded.body, Arrival(), ENVELOPES)
    assert told_in(again) == told_in(request)


def told_in(request: ChatRequest) -> list[Any]:
    """Turns by their texts, calls and results; reasoning goes by the quirk, in one piece."""
    kept: list[Any] = [request.tools, request.tool_choice, request.temperature, request.max_tokens, request.stop]
    for turn in request.turns:
        kept.append(turn.role)
        kept += [part for part in turn.parts if isinstance(part, ToolCall | ToolResult)]
        kept.append("".join(part.text for part in turn.parts if isinstance(part, Thinking)).replace("\n\n", ""))
        joiner = "" if turn.role == "assistant" else "\n"
        kept.append(joiner.join(part.text for part in turn.parts if isinstance(part, Text)))
    return kept
