"""Streams for callers: the order of events, for any events that keep their promises and any way they come."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.codec import Arrival
from gateway.dialects.openai_responses.codec import CALLER, PROVIDER
from gateway.dialects.openai_responses.grammar import Grammar
from gateway.dialects.sse import EventSplitter, data_of
from gateway.domain.chat import Answer, ChatRequest, Citation, Image, Signature, Text, Thinking, ToolCall
from gateway.domain.events import (
    CitationAdded,
    Event,
    Finished,
    ImageMade,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingDone,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStarted,
    UsageTold,
)
from gateway.domain.usage import Usage
from tests.support import gist
from tests.support.traffic import ENVELOPES, ORIGIN, stamp

CALM = settings(deadline=None, database=None, max_examples=200)
GEMINI = Signature(dialect="gemini", data="CiQB", provider="acme")
FOREIGN = Signature(dialect="anthropic_messages", data="EqQB", provider="acme")


def written(*events: Event, size: int = 100) -> bytes:
    encoder = CALLER.make_encoder(stamp(ChatRequest(model="m", turns=(), is_stream=True)))
    whole = [Started(), *events]
    return b"".join(encoder.feed(whole[at : at + size]) for at in range(0, len(whole), size))


def values(stream: bytes) -> list[dict[str, Any]]:
    return [json.loads(data_of(event)) for event in EventSplitter().feed(stream)]


def violations(stream: bytes) -> list[str]:
    grammar = Grammar()
    for event in EventSplitter().feed(stream):
        grammar.feed(event)
    grammar.end()
    return grammar.violations


def output(stream: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = values(stream)[-1]["response"]["output"]
    return found


def read_back(stream: bytes) -> tuple[Any, ...]:
    """The parts of the assistant's turn when a client sends the whole output back."""
    body = json.dumps({"model": "m", "input": output(stream)}).encode()
    (turn,) = CALLER.decode_request(body, Arrival(), ENVELOPES).turns
    return turn.parts


def test_a_text_has_the_whole_order_of_events() -> None:
    stream = written(TextDelta("Hel"), TextDelta("lo"), Finished("stop"))
    assert [value["type"] for value in values(stream)] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert b"[DONE]" not in stream
    assert stream.startswith(b"event: response.created\ndata: ")


def test_usage_is_never_missing() -> None:
    told = values(written(TextDelta("x"), UsageTold(Usage(input=3, output=2)), Finished("stop")))[-1]
    assert told["response"]["usage"]["total_tokens"] == 5
    guessed = values(written(TextDelta("some words"), Finished("stop")))[-1]["response"]["usage"]
    assert guessed["input_tokens"] == 7
    assert guessed["output_tokens"] > 0


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_calls_may_interleave_and_keep_their_status(size: int) -> None:
    stream = written(
        ToolCallStarted(0, "a", "f"),
        ToolCallStarted(1, "b", "g", namespace="n"),
        ToolCallDelta(1, "{}"),
        ToolCallDelta(0, '{"x":'),
        TextDelta("meanwhile"),
        ToolCallDelta(0, "1}"),
        ToolCallDone(1),
        ToolCallDone(0),
        Finished("tool_calls"),
        size=size,
    )
    assert violations(stream) == []
    first, second, text = output(stream)
    assert (first["arguments"], first["status"]) == ('{"x":1}', "completed")
    assert (second["arguments"], second["namespace"]) == ("{}", "n")
    assert text["content"][0]["text"] == "meanwhile"


def test_a_call_cut_by_the_limit_is_incomplete() -> None:
    stream = written(ToolCallStarted(0, "a", "f"), ToolCallDelta(0, '{"x":'), ToolCallDone(0), Finished("length"))
    assert output(stream)[0]["status"] == "incomplete"
    assert values(stream)[-1]["type"] == "response.incomplete"


@pytest.mark.parametrize("size", [1, 100])
def test_state_of_other_providers_survives_a_round_through_the_client(size: int) -> None:
    stream = written(
        ThinkingDelta("hm"),
        ThinkingDone(FOREIGN),
        ThinkingDone(FOREIGN, is_redacted=True),
        TextDelta("Yes.", signature=GEMINI),
        ToolCallStarted(0, "a", "f"),
        ToolCallDelta(0, "{}"),
        ToolCallDone(0, GEMINI),
        ToolCallStarted(1, "b", "f"),
        ToolCallDelta(1, "{}"),
        ToolCallDone(1),
        Finished("tool_calls"),
        size=size,
    )
    assert violations(stream) == []
    assert read_back(stream) == (
        Thinking(text="hm", signature=FOREIGN),
        Thinking(signature=FOREIGN, is_redacted=True),
        Text(text="Yes.", signature=GEMINI),
        ToolCall(id="a", name="f", signature=GEMINI),
        ToolCall(id="b", name="f"),
    )


def test_state_of_a_call_finds_it_wherever_the_client_puts_its_item() -> None:
    stream = written(
        ToolCallStarted(0, "a", "f"), ToolCallDelta(0, "{}"), ToolCallDone(0, GEMINI), Finished("tool_calls")
    )
    call, carrier = output(stream)
    for items in ([call, carrier], [carrier, call], [{"role": "user", "content": "Hi"}, carrier, call]):
        body = json.dumps({"model": "m", "input": items}).encode()
        turns = CALLER.decode_request(body, Arrival(), ENVELOPES).turns
        assert turns[-1].parts == (ToolCall(id="a", name="f", signature=GEMINI),)


def test_a_native_signature_keeps_the_id_that_it_was_made_for() -> None:
    native = Signature("openai_responses", "gAAA", "acme", "rs_theirs")
    hidden = output(written(ThinkingDone(native, is_redacted=True), Finished("stop")))[0]
    assert (hidden["id"], hidden["encrypted_content"]) == ("rs_theirs", "gAAA")
    shown = written(ThinkingDelta("hm"), ThinkingDone(native), Finished("stop"))
    assert output(shown)[0]["encrypted_content"].startswith("OMROMROMROMR1.")
    assert read_back(shown) == (Thinking(text="hm", signature=native),)


def test_a_citation_without_a_place_points_at_the_end_of_the_text_so_far() -> None:
    stream = written(TextDelta("Hello"), CitationAdded(Citation(url="https://x")), TextDelta("!"), Finished("stop"))
    assert output(stream)[0]["content"][0]["annotations"] == [
        {"type": "url_citation", "start_index": 5, "end_index": 5, "url": "https://x", "title": ""}
    ]


def test_a_failure_says_so_in_both_ways_and_nothing_follows() -> None:
    encoder = CALLER.make_encoder(stamp())
    stream = encoder.feed([Started(), TextDelta("Half")]) + encoder.fail(502, "cut", "it stopped", {"attempts": 1})
    error, failed = values(stream)[-2:]
    assert (error["type"], error["code"], error["omniroute"]) == ("error", "cut", {"attempts": 1})
    assert (failed["type"], failed["response"]["error"]) == (
        "response.failed",
        {"code": "cut", "message": "it stopped"},
    )
    assert violations(stream) == []
    assert encoder.feed([TextDelta("more")]) + encoder.fail(502, "c", "m") == b""


def test_a_failure_before_the_start_is_the_error_alone() -> None:
    stream = CALLER.make_encoder(stamp()).fail(502, "c", "m")
    assert [value["type"] for value in values(stream)] == ["error"]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """Events that keep every promise."""
    events: list[Event] = []
    open_calls: list[int] = []
    calls = 0
    for step in draw(st.lists(st.sampled_from(["text", "think", "call", "more", "done", "refuse", "cite", "draw"]), max_size=12)):  # fmt: skip
        if step == "text":
            events += [TextDelta(text) for text in draw(st.lists(TEXTS, min_size=1, max_size=3))]
        elif step == "think":
            events += [ThinkingDelta(text) for text in draw(st.lists(TEXTS, max_size=2))]
            events.append(ThinkingDone(draw(st.sampled_from([None, FOREIGN]))))
        elif step == "call":
            kind: Any = draw(st.sampled_from(["function", "custom"]))
            events.append(ToolCallStarted(calls, f"call_{calls}", "f", kind=kind))
            open_calls.append(calls)
            calls += 1
        elif step == "more" and open_calls:
            events.append(ToolCallDelta(draw(st.sampled_from(open_calls)), draw(TEXTS)))
        elif step == "done" and open_calls:
            events.append(ToolCallDone(open_calls.pop(), draw(st.sampled_from([None, GEMINI]))))
        elif step == "refuse":
            events.append(RefusalDelta(draw(TEXTS)))
        elif step == "cite":
            events.append(CitationAdded(Citation(url="https://x")))
        elif step == "draw":
            events.append(ImageMade(draw(st.sampled_from([Image(data="iVBO"), Image(url="https://x")]))))
    events += [ToolCallDone(index) for index in open_calls]
    return [*events, Finished(draw(st.sampled_from(["stop", "length", "tool_calls", "content_filter", "pause"])))]


@CALM
@given(events=answers(), size=st.integers(1, 6))
def test_any_answer_keeps_the_grammar_however_it_comes(events: list[Event], size: int) -> None:
    stream = written(*events, size=size)
    assert violations(stream) == []
    told = gist.of_events(events)
    found = output(stream)
    messages = [part for item in found if item["type"] == "message" for part in item["content"]]
    text = "".join(part["text"] for part in messages if part["type"] == "output_text")
    assert text == "".join(
        event.text if isinstance(event, TextDelta) else f"![]({event.image.url})"
        for event in events
        if isinstance(event, TextDelta) or (isinstance(event, ImageMade) and event.image.url)
    )
    assert "".join(part["refusal"] for part in messages if part["type"] == "refusal") == told.refusal
    calls = [item for item in found if item["type"] in ("function_call", "custom_tool_call")]
    assert len(calls) == len(told.calls)


@CALM
@given(events=answers())
def test_the_end_repeats_what_the_deltas_said(events: list[Event]) -> None:
    last = values(written(*events))[-1]["response"]
    answer: Answer = PROVIDER.decode_response(
        json.dumps(last | {"output": [item for item in last["output"] if item["type"] != "function_call"]}).encode(),
        ORIGIN,
    )
    assert gist.of_answer(answer).thinking == gist.of_events(events).thinking
