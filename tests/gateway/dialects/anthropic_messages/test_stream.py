"""Streams are watched and not changed: commit, usage, and the end, for any split of the bytes."""

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.anthropic_messages.stream import StreamTap, classify
from gateway.domain.usage import Usage

CALM = settings(deadline=None, database=None, max_examples=150)
DEEP = b"[" * 100_000 + b"]" * 100_000
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


def event(kind: str, end: bytes = b"\n\n", **members: object) -> bytes:
    head = b"event: %b" % kind.encode() + end[: len(end) // 2]
    return head + b"data: " + json.dumps({"type": kind, **members}, ensure_ascii=False).encode() + end


def delta(**members: object) -> bytes:
    return event("content_block_delta", index=0, delta=members)


def block(**members: object) -> bytes:
    return event("content_block_start", index=0, content_block=members)


START = event(
    "message_start", message={"id": "m", "usage": {"input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 1}}
)
END = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 9})


@pytest.mark.parametrize(
    ("raw", "verdict"),
    [
        (b": comment\n\n", "noise"),
        (b"event: ping\n\n", "noise"),
        (b"data: [DONE]\n\n", "noise"),
        (event("ping"), "noise"),
        (START, "noise"),
        (block(type="text", text=""), "noise"),
        (block(type="thinking", thinking="", signature=""), "noise"),
        (delta(type="text_delta", text=""), "noise"),
        (delta(type="input_json_delta", partial_json=""), "noise"),
        (event("content_block_stop", index=0), "noise"),
        (event("message_delta", delta={"stop_reason": None}, usage={"output_tokens": 1}), "noise"),
        (event("something_new"), "noise"),
        (block(type="text", text="x"), "useful"),
        (block(type="tool_use", id="a", name="f", input={}), "useful"),
        (block(type="server_tool_use", id="a", name="f", input={}), "useful"),
        (block(type="redacted_thinking", data="x"), "useful"),
        (delta(type="text_delta", text=" "), "useful"),
        (delta(type="thinking_delta", thinking="x"), "useful"),
        (delta(type="signature_delta", signature="x"), "useful"),
        (delta(type="input_json_delta", partial_json="{"), "useful"),
        (delta(type="citations_delta", citation={"type": "x"}), "useful"),
        (END, "terminal"),
        (event("message_delta", delta={"stop_reason": "refusal"}), "terminal"),
        (STOP, "terminal"),
        (event("error", error={"type": "overloaded_error", "message": "m"}), "error"),
        (b'data: {"error":{"message":"m"}}\n\n', "error"),
        (b"data: <html>\n\n", "error"),
        (b"data: [1]\n\n", "error"),
        (b'data: {"type":"\xff"}\n\n', "error"),
        (b'data: {"delta":' + DEEP + b"}\n\n", "error"),
    ],
    ids=range(30),
)
def test_each_event_is_classified(raw: bytes, verdict: str) -> None:
    assert classify(raw) == verdict


@CALM
@given(
    st.binary(max_size=60)
    | st.binary(max_size=30).map(lambda noise: b'data: {"type":"content_block_delta",' + noise + b"}\n\n")
)
def test_any_bytes_are_classified(raw: bytes) -> None:
    assert classify(raw) in ("noise", "useful", "error", "terminal")


TEXTS = st.text(max_size=12) | st.sampled_from(
    ['"message_stop"', '{"type":"error"}', "event: error\ndata: {}", "Grüße 👋🏽\u2028"]
)


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, bool, bool, bool]:
    line_end = draw(st.sampled_from([b"\n\n", b"\r\n\r\n"]))
    pieces = [
        event("content_block_delta", line_end, index=0, delta={"type": "text_delta", "text": text})
        for text in draw(st.lists(TEXTS, max_size=5))
    ]
    finished, failed, stopped = draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
    if finished:
        pieces.append(event("message_delta", line_end, delta={"stop_reason": "end_turn"}, usage={"output_tokens": 9}))
    if failed:
        pieces.append(event("error", line_end, error={"type": "overloaded_error", "message": "overloaded"}))
    if stopped:
        pieces.append(event("message_stop", line_end))
    start = event("message_start", line_end, message={"usage": {"input_tokens": 5, "output_tokens": 1}})
    return b"".join([start, *pieces]), finished, failed, stopped


@CALM
@given(streams(), st.lists(st.integers(0, 10_000), max_size=12))
def test_any_split_gives_the_same_bytes_and_the_same_findings(
    drawn: tuple[bytes, bool, bool, bool], places: list[int]
) -> None:
    stream, finished, failed, stopped = drawn
    marks = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    tap = StreamTap(hides_usage_chunk=True)
    out = b"".join(tap.feed(stream[at:to]) for at, to in itertools.pairwise(marks)) + tap.take_rest()
    assert out == stream
    assert tap.usage == Usage(input=5, output=9 if finished else 1)
    assert (tap.is_done, tap.is_complete, tap.error) == (stopped, finished or stopped, "overloaded" if failed else "")


def test_counts_of_the_start_and_of_the_end_are_one_usage() -> None:
    tap = StreamTap()
    tap.feed(START + END)
    assert tap.usage == Usage(input=7, output=9, cache_read=2)
    tap.feed(
        event(
            "message_delta",
            delta={},
            usage={"input_tokens": 8, "output_tokens": 10, "output_tokens_details": {"thinking_tokens": 4}},
        )
    )
    assert tap.usage == Usage(input=10, output=10, cache_read=2, reasoning=4)


def test_what_tools_found_is_not_taken_for_the_protocol() -> None:
    tap = StreamTap()
    found = [
        {"type": "error", "error": "x"},
        {"type": "message_stop"},
        {"usage": {"input_tokens": 99}, "type": "message_delta"},
    ]
    tap.feed(block(type="mcp_tool_result", content=found))
    assert (tap.usage, tap.is_complete, tap.error) == (None, False, "")


@pytest.mark.parametrize(
    "raw",
    [
        b'data: {"type":"message_delta","usage":\xff}\n\n',
        b'data: {"type":"message_start","message":5}\n\n',
        b'data: {"message_":' + DEEP + b"}\n\n",
    ],
    ids=range(3),
)
def test_what_cannot_be_read_is_still_passed_on(raw: bytes) -> None:
    tap = StreamTap()
    assert tap.feed(raw + STOP) == raw + STOP
    assert tap.is_done


def test_a_last_event_without_its_blank_line_is_an_end_too() -> None:
    tap = StreamTap()
    assert tap.feed(STOP[:-2]) == b""
    assert tap.held_bytes == len(STOP) - 2
    assert tap.take_rest() == STOP[:-2]
    assert tap.is_done
