"""The grammar names what would break the official SDKs, and takes what they take."""

import json
from typing import Any

import pytest

from gateway.dialects.openai_chat.grammar import MAX_VIOLATIONS, Grammar

DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


def chunk(delta: object = None, finish: object = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {} if delta is None else delta, "finish_reason": finish}
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: " + json.dumps({**head, "choices": [choice], **more}).encode() + b"\n\n"


ROLE = chunk({"role": "assistant", "content": ""})
STOP = chunk(finish="stop")


def call(index: object, **fields: Any) -> bytes:
    return chunk({"tool_calls": [{"index": index, **fields}]})


CALL = call(0, id="a", type="function", function={"name": "f", "arguments": ""})


def violations(*events: bytes) -> list[str]:
    grammar = Grammar()
    for event in events:
        grammar.feed(event)
    grammar.end()
    return grammar.violations


@pytest.mark.parametrize(
    "events",
    [
        [ROLE, chunk({"content": "a"}), STOP, DONE],
        [b": hi\n\n", ROLE, STOP, chunk(choices=[], usage=USAGE), DONE],
        [ROLE, CALL, call(0, function={"arguments": "{}"}), chunk(finish="tool_calls"), DONE],
        [ROLE, b'data: {"error":{"message":"m"}}\n\n'],
    ],
    ids=["text", "usage", "call", "error"],
)
def test_a_good_stream_breaks_nothing(events: list[bytes]) -> None:
    assert violations(*events) == []


@pytest.mark.parametrize(
    ("events", "violation"),
    [
        ([ROLE, STOP], "no [DONE]"),
        ([ROLE, DONE], "no finish reason"),
        ([ROLE, STOP, DONE, DONE], "an event after [DONE]"),
        ([ROLE, b'data: {"error":{"message":"m"}}\n\n', DONE], "an event after an error"),
        ([chunk({"content": "a"}), STOP, DONE], "the role is not in the first delta alone"),
        ([ROLE, ROLE, STOP, DONE], "the role is not in the first delta alone"),
        ([ROLE, STOP, chunk({"content": "a"}), DONE], "a delta after the finish reason"),
        ([ROLE, chunk(finish="eos"), DONE], "an unknown finish reason"),
        ([ROLE, CALL, STOP, DONE], "finish stop though there are calls"),
        ([ROLE, call(1, id="a", type="function", function={"name": "f"})], "indexes of calls have a gap"),
        ([ROLE, call(None, id="a")], "a call without index"),
        ([ROLE, call(0, type="function", function={"name": "f"})], "a call without an id"),
        ([ROLE, call(0, id="a", type="function", function={"arguments": ""})], "a call without a name"),
        ([ROLE, CALL, CALL], "id or name of a call sent twice"),
        ([ROLE, call(0, id="a", type="function", function={"name": "f", "arguments": {}})], "arguments are no text"),
        ([ROLE, CALL, call(0, extra_content={})], "a call's delta without function or custom"),
        ([ROLE, chunk(choices=None)], "choices is no list"),
        ([ROLE, chunk(id="d")], "id changed"),
        ([ROLE, chunk(object="x")], "object is not chat.completion.chunk"),
        ([ROLE, chunk({"content": 5})], "content is no text"),
        ([ROLE, chunk(choices=[], usage=USAGE)], "usage before the finish reason"),
        ([ROLE, STOP, chunk(choices=[], usage={})], "usage without its three counts"),
        ([ROLE, STOP, *[chunk(choices=[], usage=USAGE)] * 2], "usage told twice"),
        ([ROLE, chunk(choices=[])], "an empty chunk"),
        ([b"data: x\n\n"], "data that is no JSON object"),
        ([ROLE[:-1]], "an event without a blank line at its end"),
        ([b'data: {"error":"m"}\n\n'], "an error without a message"),
    ],
    ids=range(27),
)
def test_what_breaks_is_named(events: list[bytes], violation: str) -> None:
    assert violation in violations(*events)


def test_violations_are_bounded() -> None:
    assert len(violations(*[b"data: x\n\n"] * 100)) == MAX_VIOLATIONS
