"""A provider's whole answer as the hub has it."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.codec import BrokenAnswer, Origin
from gateway.dialects.openai_chat.answer import decode_response
from gateway.domain.chat import Answer, Citation, Image, Part, Refusal, Signature, Text, Thinking, ToolCall
from gateway.domain.usage import Usage

ORIGIN = Origin("acme", "01234567-89ab-cdef-0123-456789abcdef")
MADE_UP = "call_0123456789abcdef0123_"


def decode(message: dict[str, Any], finish: object = "stop", **more: Any) -> Answer:
    body = {"id": "c", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": finish}], **more}
    return decode_response(json.dumps(body).encode(), ORIGIN)


def call(name: str, call_id: str | None, arguments: object) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        ({"content": "a"}, (Text("a"),)),
        ({"content": "a", "reasoning_content": "hm"}, (Thinking("hm"), Text("a"))),
        ({"content": "a", "reasoning": "hm"}, (Thinking("hm"), Text("a"))),
        ({"content": None, "refusal": "no"}, (Refusal("no"),)),
        ({"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}]}, (Thinking("hm"), Text("a"))),
        (
            {"content": "a", "images": [{"type": "image_url", "image_url": {"url": "https://x"}}]},
            (Text("a"), Image(url="https://x")),
        ),
        ({"content": "", "tool_calls": [call("f", "a", "")]}, (ToolCall("a", "f"),)),
        ({"tool_calls": [call("f", "a", {"x": 1}), call("g", "a", "null")]}, (ToolCall("a", "f", '{"x":1}'), ToolCall(MADE_UP + "1", "g"))),
        ({"tool_calls": [call("f", None, '"{\\"x\\":1}"'), call("", "b", "{}")]}, (ToolCall(MADE_UP + "0", "f", '{"x":1}'),)),
        ({"content": None, "function_call": {"name": "f", "arguments": "{}"}}, (ToolCall(MADE_UP + "0", "f"),)),
        ({"content": "a", "function_call": {"name": "", "arguments": ""}, "audio": {}, "tool_calls": None}, (Text("a"),)),
        ({"content": "a", "extra_content": {"google": {"thought_signature": "s"}}}, (Text("a", signature=Signature("openai_chat", "s", "acme")),)),
    ],
    ids=range(12),
)  # fmt: skip
def test_every_part_is_read(message: dict[str, Any], parts: tuple[Part, ...]) -> None:
    assert decode(message).parts == parts


def test_citations_are_of_the_text() -> None:
    cited = [
        {"type": "url_citation", "url_citation": {"url": "https://x", "title": "X", "start_index": 0, "end_index": 1}}
    ]
    assert decode({"content": "a", "annotations": cited}).parts == (
        Text("a", citations=(Citation(url="https://x", title="X", start=0, end=1),)),
    )
    assert decode({"content": "a"}, citations=["https://x"]).parts == (
        Text("a", citations=(Citation(url="https://x"),)),
    )


@pytest.mark.parametrize(
    ("word", "finish"),
    [
        ("stop", "stop"),
        ("", "stop"),
        (None, "stop"),
        ("eos", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
    ],
)
def test_the_end_is_understood(word: object, finish: str) -> None:
    assert decode({"content": "a"}, word).finish == finish


def test_calls_decide_the_end() -> None:
    assert decode({"tool_calls": [call("f", "a", "{}")]}, "stop").finish == "tool_calls"


def test_what_the_provider_told_is_kept() -> None:
    answer = decode({"content": "a"}, "eos", usage={"prompt_tokens": 3, "completion_tokens": 2}, service_tier="flex")
    assert (answer.id, answer.model, answer.native_finish, answer.service_tier) == ("c", "m", "eos", "flex")
    assert answer.usage == Usage(input=3, output=2)


def test_broken_arguments_break_the_answer_unless_the_tokens_ran_out() -> None:
    cut = {"tool_calls": [call("f", "a", '{"x":')]}
    assert decode(cut, "length").parts == (ToolCall("a", "f", '{"x":'),)
    with pytest.raises(BrokenAnswer, match="arguments"):
        decode(cut, "tool_calls")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>", b"[]", b"{}", b'{"choices":[]}', b'{"choices":["x"]}', b'{"error":{"message":"m"},"choices":[{}]}',
        b'{"choices":[{"message":"x"}]}', b'{"choices":[{"message":{"content":"a"},"finish_reason":"error"}]}',
        b'{"choices":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=range(10),
)  # fmt: skip
def test_what_is_no_answer_is_broken(body: bytes) -> None:
    with pytest.raises(BrokenAnswer):
        decode_response(body, ORIGIN)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=4), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=6)  # fmt: skip
FIELDS = ["content", "reasoning", "reasoning_details", "tool_calls", "function_call", "refusal", "annotations", "images", "extra_content"]  # fmt: skip


@settings(deadline=None, database=None, max_examples=200)
@given(st.dictionaries(st.sampled_from(FIELDS), JSON), JSON)
def test_any_message_is_read(message: dict[str, Any], finish: object) -> None:
    assert isinstance(decode(message | {"role": "assistant"}, finish), Answer)
