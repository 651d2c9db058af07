"""What an Ollama client asks, in the hub."""

import json
from base64 import b64encode
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.codec import Arrival
from gateway.dialects.envelope import Envelopes
from gateway.dialects.ollama.request import decode_request, read_head
from gateway.domain.chat import (
    ChatRequest,
    Image,
    OutputFormat,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from gateway.domain.errors import BadRequest

CALM = settings(deadline=None, database=None, max_examples=200)
PICTURE = b64encode(b"\x89PNG\r\n\x1a\n" + bytes(24)).decode()
USER = {"role": "user", "content": "hi"}
ENVELOPES = Envelopes(b"k" * 32)


def decode(body: dict[str, Any]) -> ChatRequest:
    whole = {"model": "m", "messages": [USER], **body}
    return decode_request(json.dumps(whole).encode(), Arrival(session="s"), ENVELOPES)


def turns(*messages: dict[str, Any]) -> tuple[Turn, ...]:
    return decode({"messages": list(messages)}).turns


def call(name: str, arguments: object = None, **fields: object) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": {} if arguments is None else arguments}, **fields}


@pytest.mark.parametrize(("stream", "expected"), [({}, True), ({"stream": None}, True), ({"stream": False}, False)])
def test_a_stream_is_the_default(stream: dict[str, Any], expected: bool) -> None:
    body = json.dumps({"model": "m", "messages": [USER], **stream}).encode()
    assert read_head(body, Arrival()).is_stream is expected
    assert decode(stream).is_stream is expected


@pytest.mark.parametrize(("think", "expected"), [(True, True), ("high", True), (False, False), (None, False)])
def test_the_head_knows_a_request_that_thinks(think: object, expected: bool) -> None:
    body = json.dumps({"model": "a/b:c", "messages": [USER], "think": think}).encode()
    head = read_head(body, Arrival())
    assert (head.model, head.is_reasoning, head.wants_usage) == ("a/b:c", expected, True)


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"{", "invalid_json", None),
        (b"", "invalid_json", None),
        (b"[]", "invalid_request_body", None),
        (b'{"messages":[]}', "missing_model", "model"),
        (b'{"model":3,"messages":[]}', "invalid_model", "model"),
        (b'{"model":"","messages":[]}', "invalid_model", "model"),
        (b'{"model":"a\\nb","messages":[]}', "invalid_model", "model"),
        (b'{"model":"m"}', "missing_messages", "messages"),
        (b'{"model":"m","messages":"hi"}', "invalid_messages", "messages"),
        (b'{"model":"m","messages":[],"stream":"no"}', "invalid_stream", "stream"),
    ],
)
def test_a_head_that_is_wrong_is_refused_by_its_field(body: bytes, code: str, param: str | None) -> None:
    with pytest.raises(BadRequest) as error:
        read_head(body, Arrival())
    assert (error.value.code, error.value.param) == (code, param)


def test_roles_and_their_texts_stay_in_order() -> None:
    messages = [{"role": role, "content": role} for role in ("system", "user", "assistant", "user", "system")]
    assert turns(*messages) == tuple(
        Turn(role, (Text(text=role),)) for role in ("system", "user", "assistant", "user", "system")
    )


def test_pictures_are_told_by_their_bytes_and_come_before_the_text() -> None:
    message = {"role": "user", "content": "what?", "images": [PICTURE, f"data:image/jpg;base64,{PICTURE}"]}
    picture = Image(media_type="image/png", data=PICTURE)
    assert turns(message) == (Turn("user", (picture, picture, Text(text="what?"))),)


def test_thoughts_of_earlier_turns_are_kept() -> None:
    assert turns(USER, {"role": "assistant", "content": "so", "thinking": "hm"})[1].parts == (
        Thinking(text="hm"),
        Text(text="so"),
    )


def test_calls_without_ids_are_counted_and_results_find_them_by_name() -> None:
    found = turns(
        {"role": "assistant", "content": "", "tool_calls": [call("look", {"at": 1.0}), call("buy", {"n": 2})]},
        {"role": "tool", "tool_name": "buy", "content": "bought"},
        {"role": "tool", "name": "look", "content": "seen"},
        {"role": "assistant", "tool_calls": [call("look")]},
        {"role": "tool", "content": "seen again"},
    )
    assert found == (
        Turn("assistant", (ToolCall(id="call_0", name="look", arguments='{"at": 1.0}'), ToolCall(id="call_1", name="buy", arguments='{"n": 2}'))),
        Turn("user", (ToolResult("call_1", (Text(text="bought"),), "buy"), ToolResult("call_0", (Text(text="seen"),), "look"))),
        Turn("assistant", (ToolCall(id="call_2", name="look"),)),
        Turn("user", (ToolResult("call_2", (Text(text="seen again"),), "look"),)),
    )  # fmt: skip


def test_ids_that_a_client_gives_are_kept_and_never_made_up_again() -> None:
    found = turns(
        {"role": "assistant", "tool_calls": [call("look", id="call_0"), call("look"), call("look", id="x")]},
        {"role": "tool", "tool_call_id": "x", "content": "3"},
        {"role": "tool", "tool_call_id": "call_0", "content": "1"},
        {"role": "tool", "tool_name": "look", "content": "2"},
    )
    assert [part.id for part in found[0].parts if isinstance(part, ToolCall)] == ["call_0", "call_1", "x"]
    assert [part.call_id for part in found[1].parts if isinstance(part, ToolResult)] == ["x", "call_0", "call_1"]


def test_a_picture_of_a_tool_is_part_of_its_result() -> None:
    found = turns(
        {"role": "assistant", "tool_calls": [call("look")]}, {"role": "tool", "content": "", "images": [PICTURE]}
    )
    assert found[1].parts == (
        ToolResult("call_0", (Text(text=""), Image(media_type="image/png", data=PICTURE)), "look"),
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"a":1.0,"b":12345678901234567890}', '{"a":1.0,"b":12345678901234567890}'),
        ("{}", "{}"),
        ("null", "{}"),
        ('""', "{}"),
        ('"{\\"a\\": 1}"', '{"a": 1}'),
    ],
)
def test_arguments_are_kept_as_they_are_spelt(arguments: str, text: str) -> None:
    body = f'{{"model":"m","messages":[{{"role":"assistant","tool_calls":[{{"function":{{"name":"f","arguments":{arguments}}}}}]}}]}}'
    (turn,) = decode_request(body.encode(), Arrival(), ENVELOPES).turns
    assert turn.parts == (ToolCall(id="call_0", name="f", arguments=text),)


def test_options_are_settings_of_the_request() -> None:
    request = decode(
        {
            "options": {
                "temperature": 1,
                "top_p": 0.5,
                "top_k": 40,
                "num_predict": 100,
                "stop": ["a", "b"],
                "seed": 7,
                "presence_penalty": 0.1,
                "frequency_penalty": 0.2,
            }
        }
    )
    assert (request.temperature, request.top_p, request.top_k, request.max_tokens) == (1.0, 0.5, 40, 100)
    assert (request.stop, request.seed) == (("a", "b"), 7)
    assert (request.presence_penalty, request.frequency_penalty) == (0.1, 0.2)
    assert (request.session, request.notes, request.includes_usage) == ("s", (), True)


def test_no_limit_is_no_limit() -> None:
    for number in (0, -1, -2):
        request = decode({"options": {"num_predict": number, "top_k": number}})
        assert (request.max_tokens, request.top_k) == (None, None)


def test_one_stop_text_is_taken() -> None:
    assert decode({"options": {"stop": "END"}}).stop == ("END",)


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [("json", OutputFormat()), (SCHEMA, OutputFormat(schema=SCHEMA)), ("", None), (None, None)],
)
def test_a_format_is_any_object_or_a_schema(wanted: object, expected: OutputFormat | None) -> None:
    assert decode({"format": wanted}).output_format == expected


@pytest.mark.parametrize(
    ("think", "expected"),
    [
        (True, Reasoning(effort="medium", shows=True)),
        (False, Reasoning(effort="none", shows=False)),
        ("low", Reasoning(effort="low", shows=True)),
        ("max", Reasoning(effort="max", shows=True)),
        (None, None),
    ],
)
def test_thinking_is_on_off_or_a_step(think: object, expected: Reasoning | None) -> None:
    assert decode({"think": think}).reasoning == expected


def test_tools_are_functions() -> None:
    tools = [
        {"type": "function", "function": {"name": "look", "description": "Look.", "parameters": SCHEMA}},
        {"function": {"name": "now"}},
    ]
    assert decode({"tools": tools}).tools == (Tool(name="look", description="Look.", schema=SCHEMA), Tool(name="now"))


def test_what_means_nothing_here_is_noted_but_for_keep_alive() -> None:
    request = decode({"keep_alive": "5m", "truncate": True, "options": {"num_ctx": 4096, "seed": 1, "min_p": 0.1}})
    assert request.notes == ("truncate", "options.num_ctx", "options.min_p")


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"messages": []}, "invalid_messages", "messages"),
        ({"messages": [{"role": "robot"}]}, "invalid_messages", "messages[0].role"),
        ({"messages": [USER, {"content": "a"}]}, "invalid_messages", "messages[1]"),
        ({"messages": [USER, {"role": "user", "content": [1]}]}, "invalid_messages", "messages[1].content"),
        ({"messages": [USER, {"role": "user", "images": ["a b!"]}]}, "invalid_image", "messages[1].images[0]"),
        ({"messages": [USER, {"role": "user", "images": ["aGk="]}]}, "invalid_image", "messages[1].images[0]"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [call("f", [1])]}]},
            "invalid_messages",
            "messages[0].tool_calls[0].function.arguments",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [call("f", "rubbish")]}]},
            "invalid_messages",
            "messages[0].tool_calls[0].function.arguments",
        ),
        ({"messages": [USER, {"role": "tool", "content": "a"}]}, "tool_result_without_call", "messages[1]"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [call("f")]}, USER]},
            "tool_call_without_result",
            None,
        ),
        ({"options": {"seed": "x"}}, "invalid_options", "options.seed"),
        ({"options": []}, "invalid_options", "options"),
        ({"format": "yaml"}, "invalid_format", "format"),
        ({"think": "a lot"}, "invalid_think", "think"),
        ({"tools": [{"type": "search", "function": {"name": "a"}}]}, "invalid_tools", "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "invalid_tools", "tools[0]"),
        ({"model": None}, "invalid_model", "model"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_by_its_place(body: dict[str, Any], code: str, param: str | None) -> None:
    with pytest.raises(BadRequest) as error:
        decode(body)
    assert (error.value.code, error.value.param) == (code, param)


@pytest.mark.parametrize("place", ['"format":%s', '"messages":[{"role":"user","content":%s}]', '"more":%s'])
def test_deep_nesting_is_refused(place: str) -> None:
    deep = '{"a":' * 10_000 + "1" + "}" * 10_000
    body = ('{"model":"m","messages":[{"role":"user"}],' + place % deep + "}").encode()
    with pytest.raises(BadRequest):
        decode_request(body, Arrival(), ENVELOPES)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "content", "function", "name", "arguments", "type", "seed"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@CALM
@given(
    st.dictionaries(
        st.sampled_from(["model", "messages", "tools", "format", "options", "stream", "think", "other"]), JSON
    )
)
def test_any_body_is_a_request_or_a_bad_one(body: dict[str, Any]) -> None:
    data = json.dumps(body).encode()
    with suppress(BadRequest):
        read_head(data, Arrival())
    with suppress(BadRequest):
        decode_request(data, Arrival(), ENVELOPES)
