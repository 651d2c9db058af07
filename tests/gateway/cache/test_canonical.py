"""Signatures: equal for requests that may share an answer, different for all others."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from gateway.cache.canonical import Asked, signature
from gateway.dialects.codec import Arrival
from gateway.dialects.envelope import Envelopes
from gateway.dialects.registry import CALLERS
from gateway.domain.dialect import CallerDialect
from gateway.domain.errors import BadRequest
from tests.support.many import check_each

SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "enum": ["a", "b"]}, "n": {"type": "integer"}}}
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
RICH: dict[CallerDialect, dict[str, Any]] = {
    "openai_chat": {
        "model": "m", "temperature": 0, "top_p": 0.5, "max_tokens": 50, "seed": 7, "stop": ["END"], "n": 1,
        "presence_penalty": 0.5, "frequency_penalty": 0.25, "parallel_tool_calls": True, "user": "u",
        "reasoning_effort": "low", "logit_bias": {"50256": -100}, "logprobs": True, "top_logprobs": 2, "verbosity": "low",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}", "detail": "low"}},
            ]},
            {"role": "assistant", "content": "Wait.", "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"city":"a"}'}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
        ],
        "tools": [{"type": "function", "function": {
            "name": "look", "description": "Look.", "parameters": SCHEMA, "strict": True}}],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "response_format": {"type": "json_schema", "json_schema": {
            "name": "shape", "description": "d", "schema": SCHEMA, "strict": True}},
    },
    "openai_responses": {
        "model": "m", "temperature": 0, "top_p": 0.5, "max_output_tokens": 50, "instructions": "Be brief.",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "What is this?"}]}],
        "tools": [{"type": "function", "name": "look", "description": "Look.", "parameters": SCHEMA, "strict": True}],
        "parallel_tool_calls": False, "user": "u", "reasoning": {"effort": "low"}, "truncation": "auto",
        "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "shape", "schema": SCHEMA, "strict": True}},
    },
    "anthropic_messages": {
        "model": "m", "temperature": 0, "top_p": 0.5, "top_k": 5, "max_tokens": 50, "stop_sequences": ["END"],
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [
            {"role": "user", "content": "What is this?"},
            {"role": "assistant", "content": [
                {"type": "text", "text": "Wait."},
                {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"city": "a"}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny", "is_error": False}]},
        ],
        "tools": [{"name": "look", "description": "Look.", "input_schema": SCHEMA}],
        "tool_choice": {"type": "tool", "name": "look"}, "metadata": {"user_id": "u"}, "inference_geo": "us",
    },
    "gemini": {
        "contents": [{"role": "user", "parts": [{"text": "What is this?"},
                                                  {"inlineData": {"mimeType": "image/png", "data": PICTURE}}]}],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "tools": [{"functionDeclarations": [{"name": "look", "description": "Look.", "parameters": SCHEMA}]}],
        "generationConfig": {"temperature": 0, "topP": 0.5, "topK": 5, "maxOutputTokens": 50, "seed": 7,
                             "stopSequences": ["END"], "responseMimeType": "application/json", "responseSchema": SCHEMA},
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    },
    "ollama": {
        "model": "m", "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is this?"}],
        "options": {"temperature": 0, "top_p": 0.5, "seed": 7, "num_predict": 50, "mirostat": 1, "stop": ["END"]},
        "format": SCHEMA, "keep_alive": "5m",
    },
}  # fmt: skip
DIALECTS = list(RICH)
_ONLY_THERE = {"inference_geo", "logit_bias", "logprobs", "top_logprobs", "verbosity", "truncation", "safetySettings", "mirostat",
               "format", "keep_alive", "responseMimeType", "responseSchema"}  # fmt: skip


def is_picture(value: Any) -> bool:
    return isinstance(value, dict) and bool({"image_url", "inlineData"} & value.keys())


def shared(value: Any) -> Any:
    """Without what only this dialect can say."""
    if isinstance(value, list):
        return [shared(inner) for inner in value if not is_picture(inner)]
    if not isinstance(value, dict):
        return value
    kept = {name: inner for name, inner in value.items() if name not in _ONLY_THERE}
    if "functionDeclarations" in kept:
        tools = kept["functionDeclarations"]
        tools = [{("parametersJsonSchema" if n == "parameters" else n): v for n, v in tool.items()} for tool in tools]
        return {**kept, "functionDeclarations": tools}
    return {name: inner if name in ("parameters", "schema", "input_schema") else shared(inner)
            for name, inner in kept.items()}  # fmt: skip


HALF: dict[CallerDialect, dict[str, Any]] = {dialect: shared(body) for dialect, body in RICH.items()}
HALF["openai_responses"]["text"] = {"format": RICH["openai_responses"]["text"]["format"]}
BODIES = {f"{dialect}-all": (dialect, RICH[dialect]) for dialect in DIALECTS}
BODIES |= {f"{dialect}-shared": (dialect, HALF[dialect]) for dialect in DIALECTS}
"""`shared`: known by what the hub holds alone; `all`: by all that they say."""


def sign(
    dialect: CallerDialect, body: dict[str, Any] | bytes, *, tenant: str = "key:1", pinned: str = "",
    headers: tuple[tuple[bytes, bytes], ...] = (), model: str = "m", streams: bool = False,
) -> str | None:  # fmt: skip
    """The signature of a request; None for one that is refused."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    arrival = Arrival(model, streams) if dialect == "gemini" else Arrival()
    try:
        request = CALLERS[dialect].decode_request(raw, arrival, Envelopes(b"key"))
    except BadRequest:
        return None
    return signature(Asked(tenant, dialect, pinned, raw, headers, request))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, name))
    else:
        yield path


def objects(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        yield path
    if isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from objects(inner, (*path, name))


def at(body: Any, path: tuple[Any, ...]) -> Any:
    for name in path:
        body = body[name]
    return body


def other(value: Any) -> Any:
    """Near, and not equal."""
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int | float) else f"{value}x"


MEANT_ANYWAY = {"n", "is_error", "type", "role"}
"""Said as here or not at all, these mean the same, or the request is refused."""
Place = tuple[str, tuple[Any, ...]]
CHANGES: list[Place] = [(name, path) for name, (_, body) in BODIES.items() for path in leaves(body)]
ADDITIONS: list[Place] = [(name, path) for name, (_, body) in BODIES.items() for path in objects(body)]


@pytest.mark.parametrize("name", BODIES)
def test_a_rich_request_has_a_signature_and_only_the_shared_kind_is_one_for_whole_and_stream(name: str) -> None:
    dialect, body = BODIES[name]
    assert sign(dialect, body)
    if dialect != "gemini":
        is_one = sign(dialect, {**body, "stream": True}) == sign(dialect, {**body, "stream": False})
        assert is_one == name.endswith("-shared")


def test_a_change_of_any_value_makes_another_signature() -> None:
    def check(change: Place) -> None:
        name, path = change
        dialect, original = BODIES[name]
        body = copy.deepcopy(original)
        at(body, path[:-1])[path[-1]] = other(at(body, path))
        assert sign(dialect, body) != sign(dialect, original)

    check_each(CHANGES, check)


def test_leaving_out_any_value_makes_another_signature() -> None:
    def check(change: Place) -> None:
        name, path = change
        dialect, original = BODIES[name]
        body = copy.deepcopy(original)
        del at(body, path[:-1])[path[-1]]
        assert path[-1] in MEANT_ANYWAY or sign(dialect, body) != sign(dialect, original)

    check_each(CHANGES, check)


@settings(max_examples=15, deadline=None)
@given(unknown=st.text(min_size=1, max_size=8), value=st.one_of(st.booleans(), st.integers(-9, 9), st.text(max_size=5)))
def test_a_member_that_nobody_knows_makes_another_signature(unknown: str, value: Any) -> None:
    def check(addition: Place) -> None:
        name, path = addition
        dialect, original = BODIES[name]
        body = copy.deepcopy(original)
        at(body, path)[f"x{unknown}"] = value
        assert sign(dialect, body) != sign(dialect, original)

    check_each(ADDITIONS, check)


@settings(max_examples=200, deadline=None)
@given(one=st.text(max_size=10), two=st.text(max_size=10))
def test_two_tenants_never_share_a_signature(one: str, two: str) -> None:
    assert (sign("openai_chat", RICH["openai_chat"], tenant=one) == sign("openai_chat", RICH["openai_chat"], tenant=two)) == (
        one == two
    )  # fmt: skip


PLAIN = {
    "openai_chat": {"model": "m", "temperature": 0, "max_tokens": 9, "messages": [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]},
    "openai_responses": {"model": "m", "temperature": 0.0, "max_output_tokens": 9, "instructions": "Be brief.",
                         "input": "Hello"},
    "anthropic_messages": {"model": "m", "temperature": 0, "max_tokens": 9, "system": "Be brief.",
                           "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
               "systemInstruction": {"parts": [{"text": "Be brief."}]},
               "generationConfig": {"temperature": 0, "maxOutputTokens": 9}},
    "ollama": {"model": "m", "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
               "options": {"temperature": 0, "num_predict": 9}},
}  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_plain_request_has_one_signature_in_all_dialects(dialect: CallerDialect) -> None:
    assert sign(dialect, PLAIN[dialect]) == sign("openai_chat", PLAIN["openai_chat"])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_streamed_or_whole_is_one_signature_of_a_plain_request(dialect: CallerDialect) -> None:
    body = PLAIN[dialect] if dialect == "gemini" else {**PLAIN[dialect], "stream": True}
    assert sign(dialect, body, streams=True) == sign(dialect, PLAIN[dialect])


def test_how_the_json_is_written_and_how_usage_is_told_make_no_difference() -> None:
    body = PLAIN["openai_chat"]
    spaced = json.dumps({**dict(reversed(body.items())), "temperature": 0.0}, indent=3).encode()
    assert sign("openai_chat", spaced) == sign("openai_chat", body)
    told = {**body, "stream": True, "stream_options": {"include_usage": True}}
    assert sign("openai_chat", told) == sign("openai_chat", body)


def test_what_only_one_dialect_can_say_is_not_shared_between_whole_and_stream() -> None:
    body = {**PLAIN["openai_chat"], "logit_bias": {"1": 2}}
    assert sign("openai_chat", {**body, "stream": True}) != sign("openai_chat", body)


def test_a_pinned_provider_a_beta_header_and_two_limits_make_another_signature() -> None:
    body = PLAIN["anthropic_messages"]
    plain = sign("anthropic_messages", body)
    assert sign("anthropic_messages", body, pinned="local") != plain
    assert sign("anthropic_messages", body, headers=((b"anthropic-beta", b"x-1"),)) != plain
    chat = {**PLAIN["openai_chat"], "max_completion_tokens": 9}
    assert sign("openai_chat", chat) != sign("openai_chat", {**chat, "max_tokens": 10})


def test_the_order_of_a_schemas_properties_counts() -> None:
    """Models write structured answers in that order."""
    tools = copy.deepcopy(RICH["openai_chat"]["tools"])
    properties = tools[0]["function"]["parameters"]["properties"]
    tools[0]["function"]["parameters"]["properties"] = dict(reversed(properties.items()))
    assert sign("openai_chat", {**RICH["openai_chat"], "tools": tools}) != sign("openai_chat", RICH["openai_chat"])


def test_half_a_character_has_no_signature() -> None:
    assert sign("openai_chat", b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}],"temperature":0}') in (
        None,
        sign("openai_chat", b'{"model":"m","messages":[{"role":"user","content":"\\ufffd"}],"temperature":0}'),
    )


def test_a_session_is_no_part_of_it() -> None:
    raw = json.dumps(PLAIN["openai_chat"]).encode()
    request = CALLERS["openai_chat"].decode_request(raw, Arrival(), Envelopes(b"key"))
    named = structs.replace(request, session="s", cache_key="k")
    asked = Asked("t", "openai_chat", "", raw, (), request)
    assert signature(asked) == signature(structs.replace(asked, request=named))
