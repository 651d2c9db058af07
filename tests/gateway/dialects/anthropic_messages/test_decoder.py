"""A provider's stream becomes events: the same for any split, and never an exception."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.anthropic_messages.codec import PROVIDER
from gateway.dialects.calls import BROKEN_ARGUMENTS_CODE
from gateway.domain.chat import Citation, Signature
from gateway.domain.events import (
    CitationAdded,
    Event,
    Finished,
    Started,
    StreamFailed,
    TextDelta,
    ThinkingDelta,
    ThinkingDone,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStarted,
    UsageTold,
)
from gateway.domain.usage import Usage
from tests.support.event_rules import broken_rules
from tests.support.traffic import ORIGIN, decoded

CALM = settings(deadline=None, database=None, max_examples=150)
Json = dict[str, Any]


def event(kind: str, **members: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()


def start(**usage: object) -> bytes:
    message = {"id": "msg_1", "model": "there", "usage": usage or {"input_tokens": 5, "output_tokens": 1}}
    return event("message_start", message=message)


def block(index: int, **members: object) -> bytes:
    return event("content_block_start", index=index, content_block=members)


def delta(index: int, **members: object) -> bytes:
    return event("content_block_delta", index=index, delta=members)


def stop(index: int) -> bytes:
    return event("content_block_stop", index=index)


def end(reason: str | None, **usage: object) -> bytes:
    return event("message_delta", delta={"stop_reason": reason}, usage=usage) + event("message_stop")


def text(index: int, *pieces: str) -> bytes:
    deltas = b"".join(delta(index, type="text_delta", text=piece) for piece in pieces)
    return block(index, type="text", text="") + deltas + stop(index)


def events_of(*pieces: bytes) -> list[Event]:
    found = decoded("anthropic_messages", b"".join(pieces))
    assert broken_rules(found) == []
    return found


def test_thoughts_come_with_their_signature_bytewise() -> None:
    events = events_of(
        start(),
        block(0, type="thinking", thinking="", signature=""),
        delta(0, type="thinking_delta", thinking=" Hm\n"),
        delta(0, type="signature_delta", signature="a+/b=="),
        stop(0),
        block(1, type="thinking", thinking="", signature=""),
        delta(1, type="signature_delta", signature="omitted"),
        stop(1),
        block(2, type="redacted_thinking", data="hidden"),
        stop(2),
        end("end_turn"),
    )
    own = [Signature("anthropic_messages", data, "acme") for data in ("a+/b==", "omitted", "hidden")]
    assert events[1:5] == [
        ThinkingDelta(" Hm\n"),
        ThinkingDone(own[0]),
        ThinkingDone(own[1]),
        ThinkingDone(own[2], is_redacted=True),
    ]


@pytest.mark.parametrize(
    ("given", "deltas"),
    [({}, []), ({}, [""]), ({"a": 1}, []), ({}, ['{"a"', ": 1}"]), ({"a": 0}, ['{"a": 1}']), (None, [])],
)
def test_arguments_are_those_of_the_deltas_else_of_the_start_else_none(given: Json | None, deltas: list[str]) -> None:
    pieces = [delta(0, type="input_json_delta", partial_json=piece) for piece in deltas]
    call = block(0, type="tool_use", id="a", name="f", input=given)
    events = events_of(start(), call, *pieces, stop(0), end("tool_use"))
    written = [found.arguments for found in events if isinstance(found, ToolCallDelta)]
    assert json.loads("".join(written)) == (json.loads("".join(deltas)) if any(deltas) else given or {})
    assert events[-1] == Finished("tool_calls", "", "tool_use")


def test_ids_are_made_up_where_there_are_none_and_made_unique() -> None:
    calls = [block(n, type="tool_use", id=i, name="f", input={}) + stop(n) for n, i in enumerate(("a", "a", ""))]
    ids = [found.id for found in events_of(start(), *calls, end("tool_use")) if isinstance(found, ToolCallStarted)]
    assert ids[0] == "a"
    assert len(set(ids)) == 3


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause"),
        ("tool_use", "stop"),
        ("something_new", "stop"),
        (None, "stop"),
    ],
)
def test_the_reason_to_stop(reason: str | None, finish: str) -> None:
    assert events_of(start(), text(0, "x"), end(reason))[-1] == Finished(finish, "", reason or "")  # type: ignore[arg-type]


def test_a_stop_sequence_is_told() -> None:
    last = event("message_delta", delta={"stop_reason": "stop_sequence", "stop_sequence": "END"}, usage={})
    assert events_of(start(), last, event("message_stop"))[-1] == Finished("stop_sequence", "END", "stop_sequence")


def test_calls_are_the_reason_to_stop_whatever_the_server_says() -> None:
    call = block(0, type="tool_use", id="a", name="f", input={}) + stop(0)
    assert events_of(start(), call, end("end_turn"))[-1] == Finished("tool_calls", "", "end_turn")


def test_usage_is_cumulative_and_replaces() -> None:
    first = start(input_tokens=5, cache_read_input_tokens=20, cache_creation_input_tokens=3, output_tokens=1)
    events = events_of(first, end("end_turn", output_tokens=9, output_tokens_details={"thinking_tokens": 4}))
    assert events[0] == Started("msg_1", "there", Usage(input=28, output=1, cache_read=20, cache_write=3))
    assert events[1] == UsageTold(Usage(input=28, output=9, cache_read=20, cache_write=3, reasoning=4))
    assert events_of(start(), end("end_turn", input_tokens=40, output_tokens=2))[1] == UsageTold(
        Usage(input=40, output=2)
    )


def test_citations_follow_the_text_that_they_are_about() -> None:
    cited = {"type": "web_search_result_location", "url": "https://e.org", "title": "E", "cited_text": "q"}
    cited_block = block(1, type="text", text="", citations=[]) + delta(1, type="citations_delta", citation=cited)
    events = events_of(
        start(), text(0, "They say "), cited_block, delta(1, type="text_delta", text="so."), stop(1), end("end_turn")
    )
    assert events[1:4] == [
        TextDelta("They say "),
        TextDelta("so."),
        CitationAdded(Citation(url="https://e.org", title="E", quote="q", start=9, end=12)),
    ]


@pytest.mark.parametrize(
    "skipped",
    [
        block(0, type="server_tool_use", id="s", name="n", input={}) + delta(0, type="input_json_delta", partial_json="{") + stop(0),
        block(0, type="web_search_tool_result", tool_use_id="s", content=[{"type": "error"}]) + stop(0),
        block(0, type="compaction", content=None) + delta(0, type="compaction_delta", content="c") + stop(0),
        block(0, type="hologram", text=5) + stop(0),
        event("content_block_hologram", index="x", delta="y"),
        event("ping"),
        b": comment\n\n",
        b"data: [DONE]\n\n",
        start(),
    ],
    ids=range(9),
)  # fmt: skip
def test_what_the_hub_has_no_place_for_is_skipped(skipped: bytes) -> None:
    assert [found.text for found in events_of(start(), skipped, text(0, "x"), end("end_turn")) if isinstance(found, TextDelta)] == ["x"]  # fmt: skip


def test_blocks_that_are_never_stopped_end_with_the_message() -> None:
    thought = block(0, type="thinking", thinking="") + delta(0, type="thinking_delta", thinking="Hm")
    call = block(1, type="tool_use", id="a", name="f", input={})
    kinds = [type(found) for found in events_of(start(), thought, call, end("tool_use"))]
    assert kinds == [
        Started,
        ThinkingDelta,
        ThinkingDone,
        ToolCallStarted,
        ToolCallDelta,
        ToolCallDone,
        UsageTold,
        Finished,
    ]


def test_blocks_that_are_never_started_are_read() -> None:
    events = events_of(delta(0, type="text_delta", text="x"), end("end_turn"))
    assert events[:2] == [Started(), TextDelta("x")]


def test_a_last_event_without_its_blank_line_counts() -> None:
    whole = start() + text(0, "x") + event("message_delta", delta={"stop_reason": "end_turn"}, usage={})
    assert isinstance(decoded("anthropic_messages", whole.rstrip(b"\n"))[-1], Finished)


@pytest.mark.parametrize("cut", range(1, 5))
def test_a_stream_that_is_cut_has_no_end(cut: int) -> None:
    pieces = [
        start(),
        block(0, type="text", text=""),
        delta(0, type="text_delta", text="x"),
        stop(0),
        b'data: {"type":',
    ]
    events = decoded("anthropic_messages", b"".join(pieces[: cut + 1]))
    assert not any(isinstance(found, Finished | StreamFailed) for found in events)


@pytest.mark.parametrize(
    ("error", "failed"),
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, StreamFailed("Overloaded", 529, "overloaded_error")),
        ({"type": "odd", "message": "m"}, StreamFailed("m", 0, "odd")),
        ({"message": "m"}, StreamFailed("m")),
        ("plain", StreamFailed("plain")),
    ],
)
def test_the_providers_error_is_the_end(error: object, failed: StreamFailed) -> None:
    events = events_of(start(), text(0, "x"), event("error", error=error), text(1, "y"), end("end_turn"))
    assert events[-1] == failed


@pytest.mark.parametrize(
    "raw", [b"data: <html>\n\n", b'data: {"type":"content_block_delta","delta":5}\n\n', b"data: \xff\n\n"]
)
def test_what_cannot_be_read_is_a_failure(raw: bytes) -> None:
    assert isinstance(decoded("anthropic_messages", start() + raw + text(0, "x"))[-1], StreamFailed)


def test_arguments_that_are_no_object_are_a_failure_unless_they_were_cut() -> None:
    call = block(0, type="tool_use", id="a", name="f", input={}) + delta(0, type="input_json_delta", partial_json='{"a')
    failed = events_of(start(), call, stop(0), end("tool_use"))[-1]
    assert isinstance(failed, StreamFailed)
    assert failed.code == BROKEN_ARGUMENTS_CODE
    assert events_of(start(), call, end("max_tokens"))[-1] == Finished("length", "", "max_tokens")


def test_half_a_character_becomes_a_sign_for_it() -> None:
    raw = rb'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a\ud83d"}}' + b"\n\n"
    assert TextDelta("a\ufffd") in events_of(start(), raw, end("end_turn"))


def test_what_follows_the_end_is_not_read() -> None:
    decoder = PROVIDER.make_decoder(ORIGIN)
    assert isinstance(decoder.feed(start() + end("end_turn"))[-1], Finished)
    assert decoder.feed(text(0, "x") + event("error", error={})) == []
    assert decoder.end() == []


PIECES = st.sampled_from(
    [
        start(), block(0, type="text", text=""), delta(0, type="text_delta", text="ü👋"), stop(0), b": ping\n\n",
        block(1, type="thinking", thinking="a"), delta(1, type="thinking_delta", thinking="b"), stop(1),
        delta(1, type="signature_delta", signature="s"), block(2, type="tool_use", id="a", name="f", input={}),
        delta(2, type="input_json_delta", partial_json="{}"), stop(2), end("end_turn"), end("tool_use", output_tokens=3),
        event("error", error={"message": "m"}), b"data: {}\n\n", b"data: {\r\n\r\n", b"event: x\n", b"\n\n",
        event("message_delta", delta=None, usage=None),
    ]
)  # fmt: skip


@CALM
@given(st.lists(PIECES, max_size=14), st.lists(st.integers(0, 5000), max_size=9))
def test_any_split_of_any_stream_gives_the_same_events(pieces: list[bytes], places: list[int]) -> None:
    stream = b"".join(pieces)
    marks = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    decoder = PROVIDER.make_decoder(ORIGIN)
    found = [event for at, to in itertools.pairwise(marks) for event in decoder.feed(stream[at:to])] + decoder.end()
    assert found == decoded("anthropic_messages", stream)


@CALM
@given(st.lists(st.binary(max_size=40) | PIECES, max_size=10))
def test_no_bytes_raise(pieces: list[bytes]) -> None:
    decoded("anthropic_messages", b"".join(pieces))
