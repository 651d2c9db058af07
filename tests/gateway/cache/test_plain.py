"""A plain request has one core, whether its bytes are read in one pass or through the hub, and one signature in all dialects."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cache.asked import Asked
from gateway.cache.canonical import signature, signature_of
from gateway.cache.plain import core_of_chat
from gateway.dialects.codec import Arrival
from gateway.dialects.envelope import Envelopes
from gateway.dialects.registry import CALLERS
from gateway.domain.dialect import CallerDialect
from gateway.domain.errors import BadRequest

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ODD = st.sampled_from([None, 0, 1, -1, 0.0, 0.5, 1e300, True, "", "x", [], {}, [0], {"a": 1}])
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "developer", "tool"]), "content": TEXT | ODD},
    optional={"name": TEXT},
)
CHATS = st.fixed_dictionaries(
    {"model": TEXT.filter(lambda text: text.isprintable() and bool(text)), "messages": st.lists(MESSAGE, max_size=4)},
    optional={
        "temperature": st.sampled_from([0, 0.0, -0.0, 0.7]) | ODD,
        "max_tokens": st.integers(1, 9) | ODD,
        "max_completion_tokens": st.integers(1, 9) | ODD,
        "top_p": st.floats(0, 1) | ODD,
        "seed": st.integers(-9, 9) | ODD,
        "user": TEXT | ODD,
        "stream": st.booleans() | ODD,
        "stream_options": st.just({"include_usage": True}) | ODD,
        "n": ODD,
        "stop": TEXT,
    },
)


def through_the_hub(dialect: CallerDialect, body: bytes, arrival: Arrival) -> str | None:
    request = CALLERS[dialect].decode_request(body, arrival, Envelopes(b"key"))
    return signature(Asked("key:1", dialect, "", body, (), request))


@settings(max_examples=500, deadline=None)
@given(fields=CHATS)
def test_what_is_read_in_one_pass_is_what_the_hub_reads(fields: dict[str, Any]) -> None:
    body = json.dumps(fields).encode()
    core = core_of_chat(body)
    try:
        known = through_the_hub("openai_chat", body, Arrival())
    except BadRequest:
        return  # the provider says so: nothing of it is ever kept
    if core is not None:
        assert signature_of("key:1", "", "", core) == known


@pytest.mark.parametrize(
    "fields",
    [
        {"logit_bias": {"1": 2}},
        {"stop": "END"},
        {"n": 1},
        {"tools": []},
        {"max_tokens": 1, "max_completion_tokens": 2},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]},
        {"messages": [{"role": "user", "content": "x", "name": "y"}]},
        {"messages": []},
    ],
)
def test_a_request_that_says_more_is_left_to_the_hub(fields: dict[str, Any]) -> None:
    asked = {"model": "m", "messages": [{"role": "user", "content": "x"}], "temperature": 0, **fields}
    assert core_of_chat(json.dumps(asked).encode()) is None


def test_the_same_plain_question_is_one_in_every_dialect() -> None:
    asked: dict[CallerDialect, dict[str, Any]] = {
        "openai_chat": {
            "model": "m", "temperature": 0, "max_tokens": 9,
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
        },
        "anthropic_messages": {
            "model": "m", "temperature": 0.0, "max_tokens": 9, "system": "Be brief.",
            "messages": [{"role": "user", "content": "Hello"}],
        },
        "gemini": {
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
            "generationConfig": {"temperature": 0, "maxOutputTokens": 9},
        },
        "ollama": {
            "model": "m", "options": {"temperature": 0, "num_predict": 9}, "stream": False,
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
        },
    }  # fmt: skip
    chat = json.dumps(asked["openai_chat"]).encode()
    core = core_of_chat(chat)
    assert core is not None
    found = {
        dialect: through_the_hub(
            dialect, json.dumps(fields).encode(), Arrival("m", False) if dialect == "gemini" else Arrival()
        )
        for dialect, fields in asked.items()
    }
    assert set(found.values()) == {signature_of("key:1", "", "", core)}
