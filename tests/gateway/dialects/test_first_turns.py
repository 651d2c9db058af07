"""A conversation is known by its first turns: the same in each of its requests, another in another conversation."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.first_turns import first_turns

SYSTEM, HELLO, ANSWER, MORE = "You are a poet.", "Write a haiku", "Old pond", "Another"


def chat(*said: str, system: str = SYSTEM, **fields: Any) -> bytes:
    roles = ["user", "assistant"]
    turns = [{"role": roles[at % 2], "content": text} for at, text in enumerate(said)]
    return json.dumps({"model": "m", **fields, "messages": [{"role": "system", "content": system}, *turns]}).encode()


def anthropic(*said: str, system: str = SYSTEM) -> bytes:
    """As clients write it that mark the last turn, and the system prompt, for the prompt cache."""
    roles, mark = ["user", "assistant"], {"cache_control": {"type": "ephemeral"}}
    turns: list[dict[str, Any]] = [{"role": roles[at % 2], "content": text} for at, text in enumerate(said)]
    turns[-1]["content"] = [{"type": "text", "text": turns[-1]["content"], **mark}]
    return json.dumps({"system": [{"type": "text", "text": system, **mark}], "messages": turns}).encode()


def gemini(*said: str, system: str = SYSTEM) -> bytes:
    roles = ["user", "model"]
    turns = [{"role": roles[at % 2], "parts": [{"text": text}]} for at, text in enumerate(said)]
    return json.dumps({"contents": turns, "systemInstruction": {"parts": [{"text": system}]}}).encode()


def responses(*said: str, system: str = SYSTEM) -> bytes:
    kinds = [("user", "input_text"), ("assistant", "output_text")]
    turns = [
        {"type": "message", "role": kinds[at % 2][0], "content": [{"type": kinds[at % 2][1], "text": text}]}
        for at, text in enumerate(said)
    ]
    return json.dumps({"instructions": system, "input": turns, "stream": True}).encode()


@pytest.mark.parametrize("write", [chat, anthropic, gemini, responses])
def test_all_turns_of_a_conversation_are_known_by_the_same(write: Any) -> None:
    known = first_turns(write(HELLO))
    assert known
    assert first_turns(write(HELLO, ANSWER, MORE)) == known
    assert first_turns(write(HELLO, ANSWER, MORE, ANSWER, MORE)) == known


@pytest.mark.parametrize("write", [chat, anthropic, gemini, responses])
def test_another_beginning_is_another_conversation(write: Any) -> None:
    known = first_turns(write(HELLO))
    assert first_turns(write(MORE)) != known
    assert first_turns(write(HELLO, system="You are a cook.")) != known


def test_other_fields_and_their_order_do_not_count() -> None:
    assert first_turns(chat(HELLO, temperature=1, stream=True)) == first_turns(chat(HELLO, tools=[]))


def test_pictures_tell_conversations_apart() -> None:
    def shown(url: str) -> bytes:
        parts = [{"type": "text", "text": HELLO}, {"type": "image_url", "image_url": {"url": url, "detail": "low"}}]
        return json.dumps({"messages": [{"role": "user", "content": parts}]}).encode()

    assert first_turns(shown("https://a")) != first_turns(shown("https://b"))


def test_texts_do_not_run_into_each_other() -> None:
    assert first_turns(chat("b", system="a")) != first_turns(chat("", system="ab"))
    assert first_turns(anthropic("x", system="y")) != first_turns(anthropic("y", system="x"))


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[]", b"nonsense", b'{"messages": []}', b'{"messages": 5}', b'{"messages": [1]}', b'{"input": null}',
        b'{"messages": [{"role": "user", "content": null}]}', b'{"input": 7}', b'{"messages": [' + b"[" * 100_000,
        b'{"previous_response_id": "resp_1", "input": "go on"}', b'{"conversation": "conv_1", "input": "go on"}',
        b'{"messages": [{"role": "user", "content": ' + b"[" * 5000 + b"]" * 5000 + b"}]}",
    ],
)  # fmt: skip
def test_a_body_without_its_beginning_is_known_by_nothing(body: bytes) -> None:
    assert first_turns(body) == b""


def test_a_plain_input_is_a_beginning() -> None:
    assert (
        first_turns(b'{"input": "hello"}') == first_turns(b'{"input": [{"role": "user", "content": "hello"}]}') != b""
    )


@given(st.binary())
def test_no_bytes_make_it_fail(body: bytes) -> None:
    first_turns(b'{"messages": ' + body)
    first_turns(body)
