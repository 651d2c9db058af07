"""A whole answer in Ollama's shape."""

import json
from typing import Any

import pytest

from gateway.dialects.codec import Stamp
from gateway.dialects.envelope import Envelopes
from gateway.dialects.ollama.response import encode_response
from gateway.domain.chat import (
    Answer,
    ChatRequest,
    Finish,
    Image,
    Part,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from gateway.domain.usage import Usage

ENVELOPES = Envelopes(b"k" * 32)
STAMP = Stamp(
    request_id="0190c0de-0000-7000-8000-000000000000", created_at=1_700_000_000, model="fast", envelopes=ENVELOPES
)


def encode(*parts: Part, finish: Finish = "stop", usage: Usage | None = None, stamp: Stamp = STAMP) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(encode_response(Answer(parts, finish, model="real", usage=usage), stamp))
    return answer


def test_an_answer_is_one_object_that_is_done() -> None:
    assert encode(Text(text="Hel"), Text(text="lo"), usage=Usage(input=5, output=2, cache_read=1)) == {
        "model": "fast",
        "created_at": "2023-11-14T22:13:20Z",
        "message": {"role": "assistant", "content": "Hello"},
        "done": True,
        "done_reason": "stop",
        "total_duration": 0,
        "load_duration": 0,
        "prompt_eval_duration": 0,
        "eval_duration": 0,
        "prompt_eval_count": 5,
        "eval_count": 2,
    }


def test_counts_that_nobody_told_are_left_out() -> None:
    answer = encode(Text(text="a"))
    assert not {"prompt_eval_count", "eval_count"} & answer.keys()


def test_thoughts_pictures_and_a_refusal_have_their_places() -> None:
    message = encode(Thinking(text="h"), Thinking(text="m"), Image(data="aGk="), Refusal(text="no"))["message"]
    assert message == {"role": "assistant", "content": "no", "thinking": "hm", "images": ["aGk="]}


def test_who_wants_no_thoughts_gets_none() -> None:
    request = ChatRequest(model="m", turns=(), reasoning=Reasoning(effort="none", shows=False))
    stamp = Stamp(request_id="r", created_at=0, model="m", envelopes=ENVELOPES, request=request)
    assert encode(Thinking(text="hm"), Text(text="a"), stamp=stamp)["message"] == {"role": "assistant", "content": "a"}


def test_calls_have_their_arguments_as_objects() -> None:
    message = encode(
        ToolCall(id="c1", name="look", arguments='{"at":"here"}'),
        ToolCall(id="c2", name="now"),
        ToolCall(id="c3", name="now", arguments=""),
        ToolCall(id="c4", name="patch", arguments="*** Begin", kind="custom"),
        ToolCall(id="c5", name="broken", arguments='{"a":'),
        finish="tool_calls",
    )["message"]
    assert message["content"] == ""
    assert message["tool_calls"] == [
        {"id": "c1", "function": {"index": 0, "name": "look", "arguments": {"at": "here"}}},
        {"id": "c2", "function": {"index": 1, "name": "now", "arguments": {}}},
        {"id": "c3", "function": {"index": 2, "name": "now", "arguments": {}}},
        {"id": "c4", "function": {"index": 3, "name": "patch", "arguments": {"input": "*** Begin"}}},
        {"id": "c5", "function": {"index": 4, "name": "broken", "arguments": {"input": '{"a":'}}},
    ]


def test_numbers_in_arguments_keep_their_spelling() -> None:
    call = ToolCall(id="c", name="f", arguments='{\n "a": 1.0,\n "b": 12345678901234567890123\n}')
    body = encode_response(Answer((call,), "tool_calls"), STAMP)
    assert b'"arguments":{"a":1.0,"b":12345678901234567890123}' in body


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", "stop"),
        ("stop_sequence", "stop"),
        ("tool_calls", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("pause", "pause"),
    ],
)
def test_why_it_ended_is_said(finish: Finish, reason: str) -> None:
    assert encode(finish=finish)["done_reason"] == reason
