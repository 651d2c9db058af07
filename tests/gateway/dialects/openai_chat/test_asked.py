"""A caller's request as the hub has it: nothing is lost, nothing is dropped in silence, and faults are named by place."""

import json
from typing import Any

import pytest

from gateway.dialects.codec import Arrival
from gateway.dialects.envelope import Envelopes
from gateway.dialects.openai_chat.asked import decode_request
from gateway.dialects.openai_chat.asked_tools import LEGACY_NOTE
from gateway.domain.chat import (
    BuiltInTool,
    ChatRequest,
    Effort,
    File,
    Image,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Signature,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from gateway.domain.errors import BadRequest

ENVELOPES = Envelopes(b"k" * 32)
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
HI = {"role": "user", "content": "hi"}


def decode(*messages: dict[str, Any], **fields: Any) -> ChatRequest:
    body = {"model": "m", "messages": list(messages or (HI,)), **fields}
    return decode_request(json.dumps(body).encode(), Arrival(session="s1"), ENVELOPES)


def call(name: str, call_id: str | None = "c1", arguments: object = "{}", **more: Any) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def user_parts(content: object) -> tuple[Part, ...]:
    return decode({"role": "user", "content": content}).turns[0].parts


# -- turns ------------------------------------------------------------------------------------------------------------


def test_system_and_developer_turns_stay_where_they_are() -> None:
    roles = ("system", "user", "developer", "assistant", "system")
    request = decode(*({"role": role, "content": role} for role in roles))
    assert [(turn.role, turn.parts) for turn in request.turns] == [
        ("system", (Text("system"),)),
        ("user", (Text("user"),)),
        ("system", (Text("developer"),)),
        ("assistant", (Text("assistant"),)),
        ("system", (Text("system"),)),
    ]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "text", "text": "a"}, Text("a")),
        ({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, Text("a", cache="5m")),
        ({"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}, Text("a", cache="1h")),
        (
            {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
            Image(url="https://x/y.png", detail="low"),
        ),
        ({"type": "image_url", "image_url": "https://x/y.png"}, Image(url="https://x/y.png")),
        (
            {"type": "image_url", "image_url": {"url": f"data:image/jpg;base64,{PNG}", "detail": "high"}},
            Image(media_type="image/png", data=PNG, detail="high"),
        ),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}, File(media_type="audio/mpeg", data="AAAA")),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
            File(media_type="application/pdf", data="AAAA", name="a.pdf"),
        ),
        ({"type": "file", "file": {"filename": "a.txt", "file_data": "AA-_"}}, File(media_type="text/plain", data="AA+/", name="a.txt")),
        ({"type": "file", "file": {"file_id": "file-1"}}, File(file_id="file-1")),
        ({"type": "video_url", "video_url": {"url": "https://x/y.mp4"}}, File(media_type="video/mp4", url="https://x/y.mp4")),
    ],
    ids=range(11),
)  # fmt: skip
def test_every_part_is_read(part: dict[str, Any], expected: Part) -> None:
    assert user_parts([part]) == (expected,)


def test_parts_keep_their_order() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://x"}}
    assert user_parts([image, {"type": "text", "text": "what is it?"}]) == (Image(url="https://x"), Text("what is it?"))


def test_consecutive_results_are_one_turn_and_what_follows_another() -> None:
    request = decode(
        HI,
        {"role": "assistant", "content": None, "tool_calls": [call("f", "a"), call("g", "b", {"x": 1})]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "2"}]},
        {"role": "user", "content": "go on"},
    )
    assert request.turns[1:] == (
        Turn("assistant", (ToolCall("a", "f"), ToolCall("b", "g", '{"x":1}'))),
        Turn("user", (ToolResult(call_id="a", content=(Text("1"),)), ToolResult(call_id="b", content=(Text("2"),)))),
        Turn("user", (Text("go on"),)),
    )


def test_a_blank_id_is_made_up_and_the_result_finds_its_call_by_order() -> None:
    request = decode(
        HI,
        {"role": "assistant", "tool_calls": [call("f", ""), call("g", None)]},
        {"role": "tool", "tool_call_id": "", "content": "1"},
        {"role": "tool", "tool_call_id": "", "content": "2"},
    )
    ids = [part.id for part in request.turns[1].parts if isinstance(part, ToolCall)]
    assert len(set(ids)) == 2
    assert [part.call_id for part in request.turns[2].parts if isinstance(part, ToolResult)] == ids


def test_made_up_ids_are_the_same_in_every_turn() -> None:
    history = (
        HI,
        {"role": "assistant", "tool_calls": [call("f", "")]},
        {"role": "tool", "tool_call_id": "", "content": "1"},
    )
    assert decode(*history).turns == decode(*history, HI).turns[:3]


def test_a_blank_tool_and_a_blank_call_are_left_out_with_a_note() -> None:
    request = decode(
        HI,
        {"role": "assistant", "content": "x", "tool_calls": [call(" ", "a"), call("f", "b")]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": "2"},
        tools=[{"type": "function", "function": {"name": ""}}, {"type": "function", "function": {"name": "f"}}],
    )
    assert [tool.name for tool in request.tools] == ["f"]
    assert request.turns[1].parts == (Text("x"), ToolCall("b", "f"))
    assert request.turns[2].parts == (ToolResult(call_id="b", content=(Text("2"),)),)
    assert len(request.notes) == 3


def test_the_legacy_shape_becomes_tools_with_made_up_ids() -> None:
    request = decode(
        HI,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"a":1}'}},
        {"role": "function", "name": "f", "content": "7"},
        functions=[{"name": "f", "parameters": {"type": "object"}}],
        function_call={"name": "f"},
    )
    assert request.tools == (Tool("f", schema={"type": "object"}),)
    assert request.tool_choice == ToolChoice("tool", ("f",))
    assert request.turns[1].parts == (ToolCall("call_1_0", "f", '{"a":1}'),)
    assert request.turns[2].parts == (ToolResult(call_id="call_1_0", content=(Text("7"),), name="f"),)
    assert request.is_parallel is False
    assert LEGACY_NOTE in request.notes


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        ({"content": "a", "reasoning_content": "hm"}, (Thinking("hm"), Text("a"))),
        ({"content": "a", "reasoning": "hm"}, (Thinking("hm"), Text("a"))),
        ({"content": None, "refusal": "no"}, (Refusal("no"),)),
        ({"content": [{"type": "refusal", "refusal": "no"}]}, (Refusal("no"),)),
        (
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "a"}]},
            (Thinking("hm"), Text("a")),
        ),
        ({"content": "", "tool_calls": [call("f")]}, (ToolCall("c1", "f"),)),
        ({"content": "a", "tool_calls": [call("f", arguments="")]}, (Text("a"), ToolCall("c1", "f"))),
        (
            {"tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "patch", "input": "*** x"}}]},
            (ToolCall("c1", "patch", "*** x", kind="custom"),),
        ),
    ],
    ids=range(8),
)  # fmt: skip
def test_what_the_assistant_said_is_read(message: dict[str, Any], parts: tuple[Part, ...]) -> None:
    assert decode(HI, {"role": "assistant", **message}).turns[1].parts == parts


def test_an_assistant_turn_that_says_nothing_is_left_out() -> None:
    assert len(decode(HI, {"role": "assistant", "content": ""}, HI).turns) == 2


# -- state ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["omniroute", "google"])
def test_an_envelope_on_a_call_is_opened(place: str) -> None:
    signature = Signature("gemini", "c2lnbmVk", "acme")
    name = "state" if place == "omniroute" else "thought_signature"
    kept = call("f", extra_content={place: {name: ENVELOPES.seal(signature)}})
    assert decode(HI, {"role": "assistant", "tool_calls": [kept]}).turns[1].parts == (
        ToolCall("c1", "f", signature=signature),
    )


def test_a_native_signature_on_a_call_is_this_dialects_own() -> None:
    kept = call("f", extra_content={"google": {"thought_signature": "abc"}})
    found = decode(HI, {"role": "assistant", "tool_calls": [kept]}).turns[1].parts[0]
    assert isinstance(found, ToolCall)
    assert found.signature == Signature("openai_chat", "abc")


def test_a_broken_envelope_is_left_out_with_a_note() -> None:
    kept = call("f", extra_content={"omniroute": {"state": "OMROMROMROMR1.forged.forged"}})
    request = decode(HI, {"role": "assistant", "tool_calls": [kept]})
    assert request.turns[1].parts == (ToolCall("c1", "f"),)
    assert request.notes == ("state that was not sealed here",)


def test_sealed_blocks_of_reasoning_come_back_one_by_one() -> None:
    signed = [Signature("anthropic_messages", f"sig{number}", "acme") for number in range(3)]
    details = [
        {"type": "reasoning.text", "text": "one", "signature": ENVELOPES.seal(signed[0]), "format": "omniroute-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": ENVELOPES.seal(signed[1]), "format": "omniroute-v1", "index": 1},
        {"type": "reasoning.text", "text": "", "signature": ENVELOPES.seal(signed[2]), "format": "omniroute-v1", "index": 2},
    ]  # fmt: skip
    said = {"role": "assistant", "content": "a", "reasoning_content": "one", "reasoning_details": details}
    assert decode(HI, said).turns[1].parts == (
        Thinking("one", signed[0]),
        Thinking("", signed[1], is_redacted=True),
        Thinking("", signed[2]),
        Text("a"),
    )


# -- fields -----------------------------------------------------------------------------------------------------------


def test_every_plain_field_is_read() -> None:
    request = decode(
        stream=True, stream_options={"include_usage": True}, max_tokens=5, max_completion_tokens=9, temperature=0.5,
        top_p=0.9, top_k=3, stop=["a", "b"], n=2, seed=7, presence_penalty=1, frequency_penalty=-1, logprobs=True,
        top_logprobs=4, verbosity="low", service_tier="flex", prompt_cache_key="k", user="u", metadata={"a": "b"},
        parallel_tool_calls=False,
    )  # fmt: skip
    assert (request.model, request.is_stream, request.includes_usage, request.max_tokens) == ("m", True, True, 9)
    assert (request.temperature, request.top_p, request.top_k, request.stop) == (0.5, 0.9, 3, ("a", "b"))
    assert (request.n, request.seed, request.presence_penalty, request.frequency_penalty) == (2, 7, 1, -1)
    assert (request.logprobs, request.verbosity, request.service_tier) == (4, "low", "flex")
    assert (request.cache_key, request.user, request.metadata, request.session) == ("k", "u", {"a": "b"}, "s1")
    assert request.is_parallel is False
    assert request.notes == ()


def test_usage_is_told_only_to_who_asks() -> None:
    assert decode(stream=True).includes_usage is False


@pytest.mark.parametrize("field", ["logit_bias", "prediction", "store", "provider", "a_new_field"])
def test_a_field_that_the_hub_cannot_hold_is_noted(field: str) -> None:
    assert decode(**{field: {"x": 1}}).notes == (field,)
    assert decode(**{field: None}).notes == ()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"reasoning_effort": "HIGH"}, Reasoning(effort="high")),
        ({"reasoning_effort": "none"}, Reasoning(effort="none")),
        ({"reasoning_effort": "default"}, None),
        ({"reasoning": {"effort": "low", "exclude": True}}, Reasoning(effort="low", shows=False)),
        ({"reasoning": {"max_tokens": 2000}}, Reasoning(budget=2000)),
        ({"reasoning": {"enabled": True}}, Reasoning(budget=-1)),
        ({"reasoning": {"enabled": False}}, Reasoning(effort="none")),
        ({"thinking": {"type": "enabled", "budget_tokens": 4096}}, Reasoning(budget=4096)),
        ({"thinking": {"type": "disabled"}}, Reasoning(budget=0)),
        ({"enable_thinking": False}, Reasoning(budget=0)),
        ({"enable_thinking": True, "thinking_budget": 100}, Reasoning(budget=100)),
        ({}, None),
    ],
    ids=range(12),
)
def test_how_much_to_think_is_read_in_every_spelling(fields: dict[str, Any], expected: Reasoning | None) -> None:
    assert decode(**fields).reasoning == expected


@pytest.mark.parametrize("effort", ["none", "minimal", "low", "medium", "high", "xhigh", "max"])
def test_every_effort_is_known(effort: Effort) -> None:
    assert decode(reasoning_effort=effort).reasoning == Reasoning(effort=effort)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, OutputFormat()),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "description": "d", "schema": {"type": "object"}, "strict": True}},
            OutputFormat({"type": "object"}, "n", "d", strict=True),
        ),
    ],
)  # fmt: skip
def test_structured_output_is_read(value: dict[str, Any], expected: OutputFormat | None) -> None:
    assert decode(response_format=value).output_format == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        ("any", ToolChoice("required")),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice("tool", ("f",))),
        ({"type": "custom", "custom": {"name": "f"}}, ToolChoice("tool", ("f",))),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]}},
            ToolChoice("allowed", ("f",), is_required=True),
        ),
        (None, None),
    ],
    ids=range(8),
)  # fmt: skip
def test_the_choice_of_a_tool_is_read(value: object, expected: ToolChoice | None) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    assert decode(tools=tools, tool_choice=value).tool_choice == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"a": 1}, "strict": True}},
            Tool("f", "d", {"a": 1}, strict=True),
        ),
        ({"type": "function", "function": {"name": "f", "description": None, "parameters": None}}, Tool("f")),
        ({"type": "function", "function": {"name": "f", "description": 5}}, Tool("f", "5")),
        ({"type": "function", "name": "f", "parameters": {"a": 1}}, Tool("f", schema={"a": 1})),
        ({"name": "f", "input_schema": {"a": 1}}, Tool("f", schema={"a": 1})),
        ({"type": "function", "function": {"name": "f"}, "cache_control": {"type": "ephemeral"}}, Tool("f", cache="5m")),
        (
            {"type": "custom", "custom": {"name": "f", "format": {"type": "text"}}},
            Tool("f", kind="custom", format={"type": "text"}),
        ),
    ],
    ids=range(7),
)  # fmt: skip
def test_a_tool_is_read_in_every_shape(value: dict[str, Any], expected: Tool) -> None:
    assert decode(tools=[value]).tools == (expected,)


def test_a_providers_own_tools_are_told_by_their_type() -> None:
    request = decode(tools=[{"type": "web_search"}], web_search_options={})
    assert [tool.type for tool in request.built_in_tools] == ["web_search", "web_search_options"]
    assert {tool.dialect for tool in request.built_in_tools} == {"openai_chat"}
    assert isinstance(request.built_in_tools[0], BuiltInTool)


def test_half_a_character_is_no_json_and_a_whole_one_is_kept() -> None:
    body = rb'{"model":"m","messages":[{"role":"user","content":"\ud83d\ude00"}]}'
    assert decode_request(body, Arrival(), ENVELOPES).turns[0].parts == (Text("😀"),)
    with pytest.raises(BadRequest) as caught:
        decode_request(body.replace(rb"\ude00", b""), Arrival(), ENVELOPES)
    assert caught.value.code == "invalid_json"


def test_deep_nesting_is_refused() -> None:
    body = (
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"metadata":'
        + b'{"a":' * 10_000
        + b"1"
        + b"}" * 10_001
    )
    with pytest.raises(BadRequest):
        decode_request(body, Arrival(), ENVELOPES)


def test_an_answer_in_sound_is_refused() -> None:
    with pytest.raises(BadRequest) as caught:
        decode(modalities=["text", "audio"])
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "modalities")


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([HI, {"role": "tool", "tool_call_id": "x", "content": "1"}], "tool_result_without_call"),
        ([HI, {"role": "assistant", "tool_calls": [call("f")]}, HI], "tool_call_without_result"),
        ([HI, {"role": "assistant", "tool_calls": [call("f"), call("g")]}], "duplicate_tool_call_id"),
        ([HI, {"role": "tool", "tool_call_id": "", "content": "1"}], "missing_tool_call_id"),
    ],
)
def test_calls_and_results_must_match(messages: list[dict[str, Any]], code: str) -> None:
    with pytest.raises(BadRequest) as caught:
        decode(*messages)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "magic"}]}, "messages[0].content[1].type"),
        ({"role": "user", "content": [{"type": "text", "text": 5}]}, "messages[0].content[0].text"),
        ({"role": "user", "content": None}, "messages[0].content"),
        ({"role": "system", "content": [{"type": "image_url", "image_url": {"url": "https://x"}}]}, "messages[0].content"),
        ({"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "!", "format": "wav"}}]}, "messages[0].content[0].input_audio.data"),
        ({"role": "user", "content": [{"type": "file", "file": {}}]}, "messages[0].content[0].file"),
        ({"role": "wizard", "content": ""}, "messages[0].role"),
        ({"role": "assistant", "tool_calls": [call("f", arguments=5)]}, "messages[0].tool_calls[0].function.arguments"),
    ],
    ids=range(8),
)  # fmt: skip
def test_a_fault_is_named_by_its_place(message: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        decode(message)
    assert caught.value.param == param
