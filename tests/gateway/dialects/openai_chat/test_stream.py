"""Streams are watched and not changed: commit, usage, and the end, for any split of the bytes."""

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.openai_chat.stream import StreamTap, classify
from gateway.dialects.openai_chat.usage import usage_of
from gateway.dialects.provider_errors import error_text
from gateway.domain.usage import Usage

CALM = settings(deadline=None, database=None, max_examples=150)
DONE = b"data: [DONE]\n\n"
DEEP = b"[" * 100_000 + b"]" * 100_000


def event(value: object, end: bytes = b"\n\n") -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + end


def delta(finish: object = None, **fields: object) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "completion_tokens_details": {"reasoning_tokens": 2}}
USAGE_CHUNK = event({"choices": [], "usage": USAGE})


@pytest.mark.parametrize(
    ("raw", "verdict"),
    [
        (b": OPENROUTER PROCESSING\n\n", "noise"),
        (b"event: ping\n\n", "noise"),
        (b"data:\n\n", "noise"),
        (event({}), "noise"),
        (event({"choices": None}), "noise"),
        (event({"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}), "noise"),
        (USAGE_CHUNK, "noise"),
        (event(delta(role="assistant")), "noise"),
        (event(delta(role="assistant", content="", refusal=None, tool_calls=None)), "noise"),
        (event({"choices": [{"index": 0, "delta": None}]}), "noise"),
        (event({"choices": [{"index": 0}], "error": None}), "noise"),
        (event(delta(finish="", content="")), "noise"),
        (event(delta(content="x")), "useful"),
        (event(delta(content=" ")), "useful"),
        (event(delta(content="x"), end=b"\r\n\r\n"), "useful"),
        (event(delta(reasoning_content="hm")), "useful"),
        (event(delta(reasoning="hm")), "useful"),
        (event(delta(refusal="no")), "useful"),
        (event(delta(role="assistant", content=None, tool_calls=[{"index": 0, "id": "c"}])), "useful"),
        (event(delta(function_call={"name": "f"})), "useful"),
        (event(delta(finish="stop", content="last")), "useful"),
        (event({"choices": [{"message": {"role": "assistant", "content": "whole"}}]}), "useful"),
        (event({"choices": [{"text": "completions"}]}), "useful"),
        (event({"choices": [{"delta": {}}, {"delta": {"content": "second"}}]}), "useful"),
        (DONE, "terminal"),
        (b"data:[DONE]\r\n\r\n", "terminal"),
        (event(delta(finish="stop")), "terminal"),
        (event(delta(finish="length", content="")), "terminal"),
        (event({"error": {"message": "overloaded"}}), "error"),
        (event({"error": "overloaded"}), "error"),
        (event({"error": {"code": 502}, **delta(finish="error", content="")}), "error"),
        (b'event: error\ndata: {"message":"x"}\n\n', "error"),
        (b"data: <html>\n\n", "error"),
        (b"data: [1]\n\n", "error"),
        (b'data: {"choices":"x"}\n\n', "error"),
        (b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n', "error"),
        (b'data: {"choices":[{"delta":{"content":' + DEEP + b"}}]}\n\n", "error"),
    ],
    ids=range(37),
)
def test_each_event_is_classified(raw: bytes, verdict: str) -> None:
    assert classify(raw) == verdict


@CALM
@given(st.binary(max_size=60) | st.binary(max_size=30).map(lambda noise: b'data: {"choices":[{' + noise + b"}]}\n\n"))
def test_any_bytes_are_classified(raw: bytes) -> None:
    assert classify(raw) in ("noise", "useful", "error", "terminal")


TEXTS = st.text(max_size=12) | st.sampled_from(
    ['"usage":{"prompt_tokens":9}', "data: [DONE]", '"error":{', "Grüße 👋🏽\u2028"]
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    end = draw(st.sampled_from([b"\n\n", b"\r\n\r\n"]))
    events = [event(delta(role="assistant", content=""), end)]
    events += [event(delta(content=text), end) for text in draw(st.lists(TEXTS, max_size=5))]
    if draw(st.booleans()):
        events.insert(draw(st.integers(0, len(events))), b": keep-alive" + end)
    if draw(st.booleans()):
        events.append(event(delta(finish="stop"), end))
    if draw(st.booleans()):
        events.append(event({"choices": [], "usage": USAGE}, end))
    if draw(st.booleans()):
        events.append(event({"error": {"message": "overloaded"}}, end))
    if draw(st.booleans()):
        events.append(b"data: [DONE]" + end)
    return b"".join(events)


def pass_through(pieces: list[bytes], *, hides: bool) -> tuple[bytes, StreamTap]:
    tap = StreamTap(hides_usage_chunk=hides)
    return b"".join([tap.feed(piece) for piece in pieces]) + tap.take_rest(), tap


@CALM
@given(streams(), st.lists(st.integers(0, 10_000), max_size=12), st.booleans())
def test_any_split_gives_the_same_bytes_and_the_same_findings(stream: bytes, places: list[int], hides: bool) -> None:
    marks = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    pieces = [stream[start:end] for start, end in itertools.pairwise(marks)]
    whole, seen = pass_through([stream], hides=hides)
    out, tap = pass_through(pieces, hides=hides)
    end = b"\r\n\r\n" if b"\r\n" in stream else b"\n\n"
    hidden = event({"choices": [], "usage": USAGE}, end)
    assert out == whole == (stream.replace(hidden, b"") if hides else stream)
    assert (tap.usage, tap.is_complete, tap.is_done, tap.error) == (
        Usage(input=7, output=3, reasoning=2) if hidden in stream else None,
        event(delta(finish="stop"), end) in stream or stream.endswith(b"data: [DONE]" + end),
        stream.endswith(b"data: [DONE]" + end),
        "overloaded" if b'"error": {"message": "overloaded"}' in stream else "",
    )
    assert (tap.usage, tap.is_complete, tap.is_done, tap.error, tap.chunks) == (
        seen.usage, seen.is_complete, seen.is_done, seen.error, seen.chunks,
    )  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 7])
def test_byte_by_byte_is_a_split_too(size: int) -> None:
    stream = event(delta(content="世界")) + USAGE_CHUNK + DONE
    out, tap = pass_through([stream[at : at + size] for at in range(0, len(stream), size)], hides=True)
    assert out == event(delta(content="世界")) + DONE
    assert tap.is_done


@pytest.mark.parametrize(
    "chunk",
    [
        {"choices": [], "usage": USAGE},
        {"usage": USAGE},
        {"choices": None, "usage": USAGE},
        {"id": "x", "usage": {**USAGE, "cost": 0.1}, "choices": [], "x_more": {"usage": {}}},
    ],
)
def test_a_chunk_that_only_tells_usage_is_hidden_from_a_caller_who_did_not_ask(chunk: dict[str, object]) -> None:
    out, tap = pass_through([event(chunk) + DONE], hides=True)
    assert out == DONE
    assert tap.usage is not None
    assert pass_through([event(chunk) + DONE], hides=False)[0] == event(chunk) + DONE


@pytest.mark.parametrize(
    "chunk",
    [
        {**delta(finish="stop"), "usage": USAGE},
        {**delta(content="x"), "usage": None},
        {"choices": [], "usage": None},
        {"choices": [], "usage": {}},
        {"choices": [], "prompt_filter_results": []},
    ],
)
def test_a_chunk_with_more_in_it_is_never_hidden(chunk: dict[str, object]) -> None:
    assert pass_through([event(chunk)], hides=True)[0] == event(chunk)


def test_the_last_usage_counts() -> None:
    stream = event({**delta(content="x"), "usage": {"prompt_tokens": 7, "completion_tokens": 1}}) + USAGE_CHUNK
    assert pass_through([stream], hides=False)[1].usage == Usage(input=7, output=3, reasoning=2)


@pytest.mark.parametrize("spelling", [b'"finish_reason":"stop"', b'"finish_reason": "stop"'])
def test_a_finish_reason_is_an_end(spelling: bytes) -> None:
    tap = pass_through([b'data: {"choices":[{"delta":{},' + spelling + b"}]}\n\n"], hides=False)[1]
    assert (tap.is_complete, tap.is_done) == (True, False)


@pytest.mark.parametrize("reason", [b'""', b"null"])
def test_an_empty_finish_reason_is_no_end(reason: bytes) -> None:
    """A cut after it must not look like a whole answer."""
    chunk = b'data: {"choices":[{"delta":{"content":"x"},"finish_reason":' + reason + b"}]}\n\n"
    assert not pass_through([chunk], hides=False)[1].is_complete


def test_words_of_the_protocol_inside_content_are_content() -> None:
    text = '"usage":{"prompt_tokens":1} "error":{"message":"x"} "finish_reason":"stop" \ndata: [DONE]'
    out, tap = pass_through([event(delta(content=text))], hides=True)
    assert out == event(delta(content=text))
    assert (tap.usage, tap.error, tap.is_complete) == (None, "", False)


@pytest.mark.parametrize(
    "broken",
    [
        b'data: {"usage":{"prompt_tokens":"\xff"}}\n\n',
        b'data: {"usage":{"a":' + DEEP + b"}}\n\n",
        b'data: {"usage":{ cut\n\n',
        b'data: {"error":{"message":"\xff"}}\n\n',
        b'data: {"error":{"message":' + DEEP + b"}}\n\n",
    ],
    ids=range(5),
)
def test_what_cannot_be_read_is_still_passed_on(broken: bytes) -> None:
    out, tap = pass_through([broken, DONE], hides=True)
    assert out == broken + DONE
    assert tap.is_done


def test_an_unfinished_event_is_held_and_given_at_the_end() -> None:
    tap = StreamTap(hides_usage_chunk=True)
    assert tap.feed(b"data: {" + b"x" * 100) == b""
    assert tap.held_bytes == 107
    assert tap.take_rest() == b"data: {" + b"x" * 100
    assert tap.held_bytes == 0


@pytest.mark.parametrize(
    ("raw", "usage"),
    [
        ({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}, Usage(input=7, output=3)),
        (
            {
                "prompt_tokens": 7,
                "completion_tokens": 3,
                "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 1, "audio_tokens": None},
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
            Usage(input=7, output=3, cache_read=5, cache_write=1, reasoning=2),
        ),
        (
            {
                "prompt_tokens": 12,
                "completion_tokens": 2,
                "total_tokens": 354,
                "completion_tokens_details": {"reasoning_tokens": 340},
            },
            Usage(input=12, output=342, reasoning=340),
        ),
        ({"prompt_tokens": 7, "prompt_cache_hit_tokens": 4}, Usage(input=7, cache_read=4)),
        ({"prompt_tokens": 7, "completion_tokens": None, "prompt_tokens_details": None}, Usage(input=7)),
        ({"prompt_tokens": -1, "completion_tokens": 10**30}, Usage()),
        ({}, None),
        ({"total_tokens": 5}, None),
        ({"prompt_tokens": "7"}, None),
        (None, None),
        ([], None),
    ],
)
def test_usage_is_read_and_absurd_figures_are_not_believed(raw: object, usage: Usage | None) -> None:
    assert usage_of(raw) == usage


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b'{"error":{"message":"slow down","code":"x"}}', "slow down"),
        (b'{"error":{"code":"x","type":"y"}}', "x"),
        (b'{"error":"plain"}', "plain"),
        (b'{"message":"top"}', "top"),
        (b'{"error":{}}', "no message"),
        (b"{}", "no message"),
        (b"<html>", "the provider's error is not JSON"),
        (b"\xff", "the provider's error is not JSON"),
        (b'{"error":' + DEEP + b"}", "the provider's error is not JSON"),
    ],
    ids=range(9),
)
def test_the_text_of_an_error(raw: bytes, text: str) -> None:
    assert error_text(raw) == text
    assert len(error_text(json.dumps({"error": "x" * 5000}).encode())) == 300
