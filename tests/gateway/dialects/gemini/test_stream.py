"""Gemini streams are watched and not changed: commit, usage and the end, for any split of the bytes."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.gemini.array import ArrayTap
from gateway.dialects.gemini.errors import error_text
from gateway.dialects.gemini.stream import GeminiTap, classify
from gateway.domain.usage import Usage

CALM = settings(deadline=None, database=None, max_examples=150)
USAGE = {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 12, "thoughtsTokenCount": 2}
COUNTED = Usage(input=7, output=5, reasoning=2)
ERROR = b'{\n  "error": {\n    "code": 499,\n    "message": "cancelled",\n    "status": "CANCELLED"\n  }\n}\n'


def event(value: object, end: bytes = b"\r\n\r\n") -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + end


def chunk(*parts: Any, finish: Any = None, **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}}
    return {"candidates": [candidate | ({"finishReason": finish} if finish else {})], **more}


@pytest.mark.parametrize(
    ("raw", "verdict"),
    [
        (b": comment\n\n", "noise"), (b"\r\n\r\n", "noise"), (event({}), "noise"), (event({"usageMetadata": USAGE}), "noise"),
        (event(chunk()), "noise"), (event(chunk({"text": ""})), "noise"), (event(chunk({})), "noise"), (event({"candidates": []}), "noise"),
        (event({"candidates": [{"content": None}]}), "noise"), (event(chunk({"text": "", "thoughtSignature": "x"})), "noise"),
        (event(chunk({"toolCall": {"id": "x"}})), "noise"), (event({"promptFeedback": {"safetyRatings": []}}), "noise"),
        (b"data: [DONE]\n\n", "noise"), (event(chunk(finish="FINISH_REASON_UNSPECIFIED")), "noise"),
        (event(chunk({"text": "x"})), "useful"), (event(chunk({"text": "x"}), b"\n\n"), "useful"), (event(chunk({"text": "hm", "thought": True})), "useful"),
        (event(chunk({"functionCall": {"name": "f"}})), "useful"), (event(chunk({"inlineData": {"mimeType": "image/png", "data": "x"}})), "useful"),
        (event(chunk({"executableCode": {"code": "1"}})), "useful"), (event(chunk({"text": "last"}, finish="STOP")), "useful"),
        (event(chunk({"functionCall": {"name": "f"}}, finish="UNEXPECTED_TOOL_CALL")), "useful"),
        (event(chunk(finish="STOP")), "terminal"), (event(chunk({"text": ""}, finish="SAFETY")), "terminal"), (event(chunk(finish=2)), "terminal"),
        (event({"promptFeedback": {"blockReason": "OTHER"}}), "terminal"), (event({"candidates": [{"finishReason": "RECITATION"}]}), "terminal"),
        (event({"error": {"code": 503, "message": "m"}}), "error"), (ERROR, "error"), (b'[{"error":{"code":429}}]', "error"),
        (event(chunk(finish="MALFORMED_FUNCTION_CALL")), "error"), (event(chunk(finish="MISSING_THOUGHT_SIGNATURE")), "error"),
        (event(chunk(finish="UNEXPECTED_TOOL_CALL")), "error"), (b"data: <html>\n\n", "error"), (b'data: {"candidates":"x"}\n\n', "error"),
        (b'data: {"responseId":"\xff"}\n\n', "error"), (b'data: {"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n\n", "error"),
    ],
    ids=range(37),
)  # fmt: skip
def test_each_event_is_classified(raw: bytes, verdict: str) -> None:
    assert classify(raw) == verdict


@CALM
@given(
    st.binary(max_size=60) | st.binary(max_size=30).map(lambda noise: b'data: {"candidates":[{' + noise + b"}]}\n\n")
)
def test_any_bytes_are_classified_and_watched(raw: bytes) -> None:
    assert classify(raw) in ("noise", "useful", "error", "terminal")
    tap = GeminiTap()
    assert tap.feed(raw) + tap.take_rest() == raw
    assert tap.usage is None or tap.usage.input >= 0


WORDS = st.text(max_size=12) | st.sampled_from(
    ['"finishReason":"STOP"', '"error":{"message":"x"}', '"usageMetadata":{"promptTokenCount":9}', "Grüße 👋🏽\u2028"]
)


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, bool, bool, str]:
    """(bytes, tells usage, tells an end, error)"""
    end = draw(st.sampled_from([b"\n\n", b"\r\n\r\n"]))
    events = [event(chunk({"text": text}), end) for text in draw(st.lists(WORDS, max_size=5))]
    has_usage, has_end, kind = draw(st.booleans()), draw(st.booleans()), draw(st.sampled_from(["", "event", "bare"]))
    if has_usage:
        events.append(event(chunk({"text": "y"}, usageMetadata=USAGE), end))
    if draw(st.booleans()):
        events.append(event(chunk({"text": "z"}, usageMetadata={"trafficType": "ON_DEMAND"}), end))
    if has_end:
        events.append(event(chunk({"text": ""}, finish="STOP"), end))
    if kind == "event":
        events.append(event({"error": {"code": 499, "message": "cancelled"}}, end))
    raw = b"".join(events) + (ERROR if kind == "bare" else b"")
    if not kind and draw(st.booleans()):
        raw = raw.removesuffix(end)
    return raw, has_usage, has_end, "cancelled" if kind else ""


def split(stream: bytes, places: list[int]) -> list[bytes]:
    marks = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(marks)]


@CALM
@given(streams(), st.lists(st.integers(0, 10_000), max_size=12))
def test_any_split_gives_the_same_bytes_and_the_same_findings(
    made: tuple[bytes, bool, bool, str], places: list[int]
) -> None:
    stream, has_usage, has_end, error = made
    tap = GeminiTap()
    out = b"".join(tap.feed(piece) for piece in split(stream, places))
    assert (tap.usage, tap.is_complete, tap.error, tap.is_done) == (
        COUNTED if has_usage else None,
        has_end,
        error,
        False,
    )
    assert out + tap.take_rest() == stream


def test_the_last_usage_counts_also_when_read_in_between() -> None:
    tap = GeminiTap()
    tap.feed(event(chunk({"text": "a"}, usageMetadata={"promptTokenCount": 7, "totalTokenCount": 7})))
    assert tap.usage == Usage(input=7)
    tap.feed(event(chunk({"text": "a"}, usageMetadata=USAGE)))
    tap.feed(event(chunk({"text": "a"}, usageMetadata={"trafficType": "ON_DEMAND"})))
    assert tap.usage == COUNTED


def test_an_event_passed_on_in_pieces_still_tells_its_end_and_usage() -> None:
    whole = event(
        chunk({"inlineData": {"mimeType": "image/png", "data": "A" * 5000}}, finish="STOP", usageMetadata=USAGE)
    )
    tap = GeminiTap()
    out = tap.feed(whole[:2000])
    assert tap.held_bytes == 2000
    out += tap.take_rest() + tap.feed(whole[2000:])
    assert out == whole
    assert (tap.is_complete, tap.usage) == (True, COUNTED)


def test_words_of_the_protocol_in_arguments_are_no_end_and_no_error() -> None:
    args = {"finishReason": "STOP", "error": {"message": "x"}, "blockReason": "OTHER"}
    tap = GeminiTap()
    tap.feed(event(chunk({"functionCall": {"name": "f", "args": args}})))
    assert (tap.is_complete, tap.error) == (False, "")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (ERROR, "cancelled"), (b'[{"error":{"message":"first"}}]', "first"), (b'{"error":"plain"}', "plain"), (b'{"message":"top"}', "top"),
        (b'{"error":{"status":"INTERNAL"}}', "INTERNAL"), (b"[]", "no message"), (b"{}", "no message"), (b"<html>", "the provider's error is not JSON"),
    ],
)  # fmt: skip
def test_the_text_of_an_error(raw: bytes, text: str) -> None:
    assert error_text(raw) == text


# -- an array of it ---------------------------------------------------------------------------------------------------------


def array_of(pieces: list[bytes]) -> tuple[bytes, ArrayTap]:
    tap = ArrayTap(GeminiTap())
    return b"".join(tap.feed(piece) for piece in pieces), tap


@CALM
@given(streams(), st.lists(st.integers(0, 10_000), max_size=12))
def test_events_become_the_elements_of_an_array(made: tuple[bytes, bool, bool, str], places: list[int]) -> None:
    stream, has_usage, has_end, error = made
    out, tap = array_of(split(stream, places))
    assert (tap.usage, tap.is_complete, tap.error) == (COUNTED if has_usage else None, has_end, error)
    out += tap.take_rest()
    told = [
        json.loads(block.removeprefix("data: "))
        for block in stream.decode().replace("\r\n", "\n").split("\n\n")
        if block.strip()
    ]
    if has_end or error:
        assert json.loads(out) == told
    else:
        assert not out.endswith(b"]")
        assert json.loads(out + b"]" if out else b"[]") == told


def test_elements_arrive_as_they_come() -> None:
    tap = ArrayTap(GeminiTap())
    first = tap.feed(event(chunk({"text": "a"})))
    assert json.loads(first + b"]") == [chunk({"text": "a"})]
    assert tap.feed(b": a comment\n\n") == b""
    assert tap.feed(event(chunk({"text": "b"}))).startswith(b"\n,\n{")
    assert tap.held_bytes == 0


def test_an_error_of_ours_is_the_last_element() -> None:
    out, tap = array_of([event(chunk({"text": "a"}))])
    out += tap.fail(502, "upstream_cut", "cut")
    assert json.loads(out)[1]["error"]["message"] == "cut"
    assert tap.feed(event(chunk({"text": "late"}))) + tap.take_rest() + tap.fail(500, "x", "y") == b""


def test_an_event_without_end_ends_the_array_with_an_error() -> None:
    tap = ArrayTap(GeminiTap())
    out = b"".join(tap.feed(b"data: {" + b"x" * (4 << 20)) for _ in range(5))
    assert tap.is_done
    assert "16 MiB" in json.loads(out + tap.take_rest())[0]["error"]["message"]


@pytest.mark.parametrize("odd", [b"data: [DONE]\n\n", b"data: half of {\n\n", b"event: x\n\n", b": quiet\n\n"])
def test_what_is_no_json_does_not_spoil_the_array(odd: bytes) -> None:
    first = b'data: {"candidates":[{"content":{"parts":[{"text":"a"}]}}]}\n\n'
    last = b'data: {"candidates":[{"finishReason":"STOP"}]}\n\n'
    out, tap = array_of([odd, first, odd, last, odd])
    elements = json.loads(out + tap.take_rest())
    assert [list(element) for element in elements] == [["candidates"], ["candidates"]]
