"""Streams are watched and not changed: commit, usage, and the end, for any split of the bytes."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.openai_responses.stream import StreamTap, classify
from gateway.dialects.provider_errors import error_text
from gateway.domain.usage import Usage

CALM = settings(deadline=None, database=None, max_examples=150)
DEEP = b"[" * 100_000 + b"]" * 100_000
USAGE = {"input_tokens": 7, "output_tokens": 3, "output_tokens_details": {"reasoning_tokens": 2}}


def event(kind: str | None, end: bytes = b"\n\n", name: str = "", **fields: Any) -> bytes:
    data = ({"type": kind} if kind else {}) | fields
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + json.dumps(data, ensure_ascii=False).encode() + end


def ended(kind: str = "response.completed", **fields: Any) -> bytes:
    response = {"status": kind.removeprefix("response."), "error": None, "output": [], "usage": USAGE} | fields
    return event(kind, response=response)


def item(stage: str = "added", **fields: Any) -> bytes:
    return event(f"response.output_item.{stage}", item=fields)


def delta(kind: str = "output_text", text: str = "x") -> bytes:
    return event(f"response.{kind}.delta", delta=text)


@pytest.mark.parametrize(
    ("raw", "verdict"),
    [
        (b": ping\n\n", "noise"),
        (b"event: ping\ndata: {}\n\n", "noise"),
        (b"data:\n\n", "noise"),
        (event("keepalive"), "noise"),
        (event("response.created", response={"status": "in_progress", "error": None}), "noise"),
        (event("response.in_progress", response={"output": []}), "noise"),
        (event(None, name="response.in_progress", response={"output": []}), "noise"),
        (item(type="message", content=[]), "noise"),
        (event("response.content_part.added", part={"type": "output_text", "text": ""}), "noise"),
        (delta(text=""), "noise"),
        (event("response.output_text.done", text=""), "noise"),
        (item(type="reasoning", summary=[]), "useful"),
        (item(type="function_call", name="f", arguments=""), "useful"),
        (item(type="web_search_call"), "useful"),
        (item("done", type="message", content=[{"type": "output_text", "text": "x"}]), "useful"),
        (delta(), "useful"),
        (delta("refusal"), "useful"),
        (delta("reasoning_summary_text"), "useful"),
        (delta("reasoning_text"), "useful"),
        (delta("function_call_arguments"), "useful"),
        (delta("custom_tool_call_input"), "useful"),
        (event(None, name="response.output_text.delta", delta="x"), "useful"),
        (ended(output=[{"type": "message"}]), "useful"),
        (ended(), "terminal"),
        (ended("response.incomplete"), "terminal"),
        (b"data: [DONE]\n\n", "terminal"),
        (ended("response.failed", error={"message": "m"}), "error"),
        (ended(status="failed"), "error"),
        (event("error", message="m"), "error"),
        (event("error", error={"message": "m"}), "error"),
        (event(None, error={"message": "m"}), "error"),
        (event(None, name="error", message="m"), "error"),
        (b"data: <html>\n\n", "error"),
        (b"data: [1]\n\n", "error"),
        (b'data: {"type":"response.output_text.delta","delta":"\xff"}\n\n', "error"),
        (b'data: {"type":"x","delta":' + DEEP + b"}\n\n", "error"),
    ],
    ids=range(36),
)
def test_each_event_is_classified(raw: bytes, verdict: str) -> None:
    assert classify(raw) == verdict


@CALM
@given(st.binary(max_size=60) | st.binary(max_size=30).map(lambda noise: b'data: {"type":' + noise + b"}\n\n"))
def test_any_bytes_are_classified(raw: bytes) -> None:
    assert classify(raw) in ("noise", "useful", "error", "terminal")


TEXTS = st.text(max_size=12) | st.sampled_from(
    ['"type":"response.completed"', '"usage":{"input_tokens":9}', "response.failed", '"error":{', "Grüße 👋🏽\u2028"]
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    end = draw(st.sampled_from([b"\n\n", b"\r\n\r\n"]))
    events = [event("response.created", end, response={"usage": None, "error": None})]
    events += [event("response.output_text.delta", end, delta=text) for text in draw(st.lists(TEXTS, max_size=5))]
    if draw(st.booleans()):
        events.insert(draw(st.integers(0, len(events))), b": keep-alive" + end)
    if draw(st.booleans()):
        events.append(ended(draw(st.sampled_from(["response.completed", "response.incomplete"]))))
    return b"".join(events)


def watched(pieces: list[bytes]) -> tuple[bytes, StreamTap]:
    tap = StreamTap(hides_usage_chunk=False)
    return b"".join([tap.feed(piece) for piece in pieces]) + tap.take_rest(), tap


@CALM
@given(stream=streams(), cuts=st.lists(st.integers(0, 600), max_size=8))
def test_any_split_passes_unchanged_and_tells_the_same(stream: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    out, tap = watched([stream[start:end] for start, end in itertools.pairwise(places)])
    assert out == stream
    is_complete = any(f'"type": "response.{word}"'.encode() in stream for word in ("completed", "incomplete"))
    assert (tap.is_complete, tap.is_done, tap.error) == (is_complete, is_complete, "")
    assert tap.usage == (Usage(input=7, output=3, reasoning=2) if is_complete else None)
    assert tap.chunks == stream.count(b"data:")


def test_what_a_client_asked_does_not_end_the_stream() -> None:
    tools = [{"type": "function", "parameters": {"const": {"type": "response.completed", "error": {"a": 1}}}}]
    _, tap = watched([event("response.created", response={"tools": tools, "error": None})])
    assert (tap.is_complete, tap.error) == (False, "")


@pytest.mark.parametrize(
    ("stream", "error", "is_done"),
    [
        (ended("response.failed", error={"message": "overloaded"}), "overloaded", True),
        (ended(status="failed", error={"code": "server_error"}), "server_error", True),
        (event("error", message="overloaded"), "overloaded", False),
        (event("error", name="error", error={"message": "overloaded"}), "overloaded", False),
        (event(None, error={"message": "overloaded"}), "overloaded", False),
        (event("error", message="first") + ended("response.failed", error={"message": "second"}), "first", True),
    ],
)
def test_an_error_is_seen_and_is_no_end_of_an_answer(stream: bytes, error: str, is_done: bool) -> None:
    _, tap = watched([stream])
    assert (tap.error, tap.is_done, tap.is_complete) == (error, is_done, False)


def test_usage_of_a_failed_response_counts() -> None:
    _, tap = watched([ended("response.failed", error={"message": "m"})])
    assert tap.usage == Usage(input=7, output=3, reasoning=2)


def test_a_last_event_without_its_blank_line_is_read() -> None:
    out, tap = watched([ended().rstrip()])
    assert out == ended().rstrip()
    assert tap.is_complete


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'{"error":{"message":"m"}}', "m"),
        (b'{"type":"error","message":"m"}', "m"),
        (b'{"code":"c","error":"text"}', "text"),
        (b'{"response":{"error":{"code":"c"}}}', "c"),
        (b"<html>", "the provider's error is not JSON"),
        (b"{}", "no message"),
    ],
)
def test_an_errors_text_is_found(data: bytes, text: str) -> None:
    assert error_text(data) == text
