"""What callers send is read whole; what has no home is noted; what is wrong is named with its place."""

import json
from typing import Any

import pytest

from gateway.dialects.anthropic_messages.codec import CALLER, PROVIDER
from gateway.dialects.anthropic_messages.count import decode_count_request
from gateway.dialects.codec import Arrival
from gateway.domain.chat import (
    BuiltInTool,
    ChatRequest,
    File,
    Image,
    Reasoning,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from gateway.domain.errors import BadRequest
from tests.support.traffic import ENVELOPES, EXCHANGES

FOLDER = EXCHANGES / "anthropic_messages"
PLAIN: dict[str, Any] = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]}
DEEP = "[" * 10_000 + "]" * 10_000


def decode(body: object) -> ChatRequest:
    return CALLER.decode_request(json.dumps(body).encode(), Arrival(), ENVELOPES)


def exchange(name: str) -> ChatRequest:
    return CALLER.decode_request((FOLDER / name).read_bytes(), Arrival(), ENVELOPES)


def with_blocks(*blocks: object, role: str = "user") -> dict[str, Any]:
    first = [] if role == "user" else [{"role": "user", "content": "Hi"}]
    return {**PLAIN, "messages": [*first, {"role": role, "content": list(blocks)}]}


def test_an_agents_request_is_read_whole() -> None:
    request = exchange("agent.request.json")
    system, user, aside, assistant, result = request.turns
    assert [(part.text, part.cache) for part in system.parts if isinstance(part, Text)] == [
        ("billing: none", ""),
        ("You help.", "5m"),
        ("Use tools.", "1h"),
    ]
    assert (user.role, aside.role, aside.parts) == ("user", "system", (Text(text="Be quick."),))
    thought, call = assistant.parts
    assert thought == Thinking(signature=Signature("anthropic_messages", "b21pdHRlZA=="))
    assert isinstance(call, ToolCall)
    assert (call.id, call.name, json.loads(call.arguments)) == ("toolu_01A", "shell", {"command": "touch made"})
    assert result.parts == (ToolResult(call_id="toolu_01A", content=(Text(text=""),), cache="5m"),)
    assert request.reasoning == Reasoning(effort="high", is_adaptive=True, shows=False)
    assert [(tool.name, tool.cache) for tool in request.tools] == [("shell", ""), ("later", "5m")]
    assert json.loads(request.user)["device_id"] == "d"
    assert (request.max_tokens, request.is_stream) == (128_000, True)
    assert request.notes == ("context_management", "messages.output_config", "tools.defer_loading")


def test_parts_of_all_kinds_are_read() -> None:
    request = exchange("parts.request.json")
    kinds = [type(part) for part in request.turns[0].parts]
    assert kinds == [Image, Image, File, File, File, Image, Text, Text]
    picture, linked, pages, notes, inner, _, found, _ = request.turns[0].parts
    assert picture.media_type == "image/png", "the bytes say what it is, not the caller"
    assert linked.url == "https://example.org/p.png"
    assert (pages.name, pages.media_type, bool(pages.data)) == ("Pages", "application/pdf", True)
    assert (notes.name, notes.text, inner.text) == ("Notes", "Plain notes.", "Inner text.")
    assert found.text == "Found\nhttps://example.org/s\nFound words."
    assert (request.top_k, request.temperature, request.stop) == (3, 0.5, ("END",))
    assert request.notes == ("document.context", "document.citations", "search_result")


def test_what_servers_did_becomes_text_with_a_note() -> None:
    request = exchange("server-tools.request.json")
    assert request.built_in_tools == (BuiltInTool("web_search_20250305", "anthropic_messages"),)
    found, said = request.turns[1].parts
    assert isinstance(found, Text)
    assert isinstance(said, Text)
    assert found.text == "A - https://example.org/a"
    assert said.citations[0].url == "https://example.org/a"
    assert request.notes == ("server_tool_use", "web_search_tool_result")


@pytest.mark.parametrize(
    ("block", "text"),
    [
        ({"type": "code_execution_tool_result", "content": {"type": "code_execution_result", "stdout": "3", "stderr": ""}}, "3"),
        ({"type": "web_fetch_tool_result", "content": {"type": "web_fetch_result", "url": "https://e.org", "content": {"type": "document", "title": "T", "source": {"type": "text", "data": "page"}}}}, "https://e.org\nT\npage"),
        ({"type": "web_search_tool_result", "content": {"type": "web_search_tool_result_error", "error_code": "too_many"}}, "error: too_many"),
        ({"type": "mcp_tool_result", "content": [{"type": "text", "text": "from afar"}]}, "from afar"),
        ({"type": "compaction", "content": "So far."}, "So far."),
        ({"type": "tool_search_tool_result", "content": {"type": "x", "tool_references": []}}, None),
        ({"type": "server_tool_use", "id": "s", "name": "n", "input": {}}, None),
    ],
)  # fmt: skip
def test_results_of_servers_become_text_where_there_is_some(block: dict[str, Any], text: str | None) -> None:
    request = decode(with_blocks({"type": "text", "text": "x"}, block, role="assistant"))
    assert [part.text for part in request.turns[1].parts[1:] if isinstance(part, Text)] == (
        [] if text is None else [text]
    )
    assert block["type"] in request.notes


def test_results_come_before_text_and_keep_their_order() -> None:
    calls = [{"type": "tool_use", "id": name, "name": "f", "input": {}} for name in ("a", "b")]
    results = [{"type": "tool_result", "tool_use_id": name, "content": name} for name in ("b", "a")]
    messages = [{"role": "user", "content": "x"}, {"role": "assistant", "content": calls}]
    content = [{"type": "text", "text": "and"}, *results]
    request = decode({**PLAIN, "messages": [*messages, {"role": "user", "content": content}]})
    assert [type(part) for part in request.turns[2].parts] == [ToolResult, ToolResult, Text]
    assert [part.call_id for part in request.turns[2].parts[:2]] == ["b", "a"]  # type: ignore[union-attr]


def test_arguments_stay_as_they_were_written() -> None:
    text = '{"n": 1.0, "big": 123456789012345678901234567890, "n": 2, "u": "\\u00fc"}'
    body = json.dumps(with_blocks({"type": "tool_use", "id": "a", "name": "f", "input": "HERE"}, role="assistant"))
    request = CALLER.decode_request(body.replace('"HERE"', text).encode(), Arrival(), ENVELOPES)
    assert request.turns[1].parts == (ToolCall(id="a", name="f", arguments=text),)


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({}, None),
        ({"thinking": {"type": "enabled", "budget_tokens": 5000}}, Reasoning(budget=5000, shows=True)),
        ({"thinking": {"type": "enabled", "budget_tokens": 5000, "display": "omitted"}}, Reasoning(budget=5000, shows=False)),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "max"}}, Reasoning(budget=0)),
        ({"thinking": {"type": "adaptive"}}, Reasoning(is_adaptive=True)),
        ({"thinking": {"type": "between_tools"}}, Reasoning(is_adaptive=True)),
        ({"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "low"}}, Reasoning(effort="low", is_adaptive=True, shows=False)),
        ({"output_config": {"effort": "xhigh"}}, Reasoning(effort="xhigh", shows=False)),
    ],
)  # fmt: skip
def test_how_much_to_think(fields: dict[str, Any], reasoning: Reasoning | None) -> None:
    assert decode({**PLAIN, **fields}).reasoning == reasoning


@pytest.mark.parametrize("place", ["output_config", "output_format"])
def test_a_schema_of_the_answer_is_read_from_both_places(place: str) -> None:
    form = {"type": "json_schema", "schema": {"type": "object"}}
    found = decode({**PLAIN, place: {"format": form} if place == "output_config" else form}).output_format
    assert found is not None
    assert (found.schema, found.strict) == ({"type": "object"}, True)


@pytest.mark.parametrize(
    ("choice", "read", "is_parallel"),
    [
        ({"type": "auto"}, ToolChoice("auto"), None),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice("required"), False),
        ({"type": "none"}, ToolChoice("none"), None),
        ({"type": "tool", "name": "f", "disable_parallel_tool_use": False}, ToolChoice("tool", ("f",)), True),
    ],
)
def test_the_choice_of_tools(choice: dict[str, Any], read: ToolChoice, is_parallel: bool | None) -> None:
    request = decode({**PLAIN, "tool_choice": choice})
    assert (request.tool_choice, request.is_parallel) == (read, is_parallel)


def test_a_mark_on_the_whole_request_is_one_on_its_last_part() -> None:
    assert decode({**PLAIN, "cache_control": {"type": "ephemeral", "ttl": "1h"}}).turns[-1].parts[-1].cache == "1h"


def test_claude_codes_line_for_the_bill_is_no_instruction() -> None:
    """It stands first and may change with every request, which no prompt cache of another provider survives."""
    line = {"type": "text", "text": "x-anthropic-billing-header: cc_version=1.2.3; cch=01234;"}
    request = decode(
        with_blocks({"type": "text", "text": "hi"}) | {"system": [line, {"type": "text", "text": "Be brief."}]}
    )
    assert (request.turns[0].role, request.turns[0].parts) == ("system", (Text("Be brief."),))
    assert "system: x-anthropic-billing-header" in request.notes


def test_a_tool_with_a_blank_name_is_left_out_with_a_note() -> None:
    request = decode({**PLAIN, "tools": [{"name": " ", "input_schema": {}}, {"name": "f", "input_schema": {}}]})
    assert [tool.name for tool in request.tools] == ["f"]
    assert request.notes == ("tools[0]: its name is blank",)


@pytest.mark.parametrize("name", ["container", "mcp_servers", "inference_geo", "context_management", "speed"])
def test_a_field_without_a_home_is_noted(name: str) -> None:
    assert decode({**PLAIN, name: {"a": 1}}).notes == (name,)


def test_tool_choice_without_a_name_and_the_like_name_their_place() -> None:
    with pytest.raises(BadRequest) as caught:
        decode({**PLAIN, "tool_choice": {"type": "tool"}})
    assert caught.value.param == "tool_choice.name"


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({**PLAIN, "max_tokens": None}, "missing_max_tokens", "max_tokens"),
        ({**PLAIN, "max_tokens": 0}, "invalid_max_tokens", "max_tokens"),
        ({**PLAIN, "max_tokens": "9"}, "invalid_max_tokens", "max_tokens"),
        ({**PLAIN, "temperature": "hot"}, "invalid_temperature", "temperature"),
        ({**PLAIN, "thinking": {"type": "enabled"}}, "invalid_thinking", "thinking.budget_tokens"),
        ({**PLAIN, "thinking": {"type": "loud"}}, "invalid_thinking", "thinking.type"),
        ({**PLAIN, "system": 5}, "invalid_system", "system"),
        ({**PLAIN, "system": [{"type": "image"}]}, "unknown_block", "system[0].type"),
        ({**PLAIN, "messages": []}, "invalid_messages", "messages"),
        ({**PLAIN, "messages": [{"role": "tool", "content": "x"}]}, "invalid_messages", "messages[0].role"),
        ({**PLAIN, "messages": [{"role": "user"}]}, "invalid_messages", "messages[0]"),
        ({**PLAIN, "messages": [{"role": "user", "content": 5}]}, "invalid_messages", "messages[0].content"),
        (with_blocks({"type": "text", "text": "x"}, {"type": "hologram"}), "unknown_block", "messages[0].content[1].type"),
        (with_blocks({"type": "text", "text": 5}), "invalid_messages", "messages[0].content[0].text"),
        (with_blocks({"type": "text"}), "invalid_messages", "messages[0].content[0].text"),
        (with_blocks({"type": "tool_use", "id": "a", "name": "f", "input": {}}), "unknown_block", "messages[0].content[0].type"),
        (with_blocks({"type": "tool_use", "id": "a", "name": "f", "input": []}, role="assistant"), "invalid_messages", "messages[1].content[0].input"),
        (with_blocks({"type": "tool_use", "name": "f", "input": {}}, role="assistant"), "invalid_messages", "messages[1].content[0].id"),
        (with_blocks({"type": "image", "source": {"type": "base64", "data": "%"}}), "invalid_messages", "messages[0].content[0].source.data"),
        (with_blocks({"type": "image", "source": {"type": "smell"}}), "invalid_messages", "messages[0].content[0].source.type"),
        (with_blocks({"type": "image"}), "invalid_messages", "messages[0].content[0].source"),
        (with_blocks({"type": "tool_result", "content": "x"}), "invalid_messages", "messages[0].content[0].tool_use_id"),
        (with_blocks({"type": "tool_result", "tool_use_id": "a", "content": [{"type": "x"}]}), "unknown_block", "messages[0].content[0].content[0].type"),
        (with_blocks({"type": "tool_result", "tool_use_id": "a", "content": "x"}), "tool_result_without_call", None),
        ({**PLAIN, "tools": [{"input_schema": {}}]}, "invalid_tools", "tools[0].name"),
        ({**PLAIN, "tools": {}}, "invalid_tools", "tools"),
        ({**PLAIN, "tool_choice": {"type": "maybe"}}, "invalid_tool_choice", "tool_choice.type"),
        ({**PLAIN, "metadata": {"user_id": 5}}, "invalid_metadata", "metadata.user_id"),
        ({**PLAIN, "output_config": {"effort": "huge"}}, "invalid_output_config", "output_config.effort"),
        ([], "invalid_request_body", None),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(body: object, code: str, param: str | None) -> None:
    with pytest.raises(BadRequest) as caught:
        decode(body)
    assert (caught.value.code, caught.value.param) == (code, param)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        json.dumps(PLAIN).replace('"Hi"', DEEP).encode(),
        json.dumps(with_blocks({"type": "tool_result", "tool_use_id": "a", "content": 9})).replace("9", DEEP).encode(),
        json.dumps({**PLAIN, "tools": 9}).replace("9", DEEP).encode(),
        json.dumps({**PLAIN, "metadata": 9}).replace("9", DEEP).encode(),
    ],
    ids=range(6),
)
def test_what_cannot_be_read_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(BadRequest):
        CALLER.decode_request(body, Arrival(), ENVELOPES)


def test_an_envelope_of_another_key_is_left_out_with_a_note() -> None:
    for block in ({"type": "thinking", "thinking": "t", "signature": "OMROMROMROMR1.abc.def"}, {"type": "redacted_thinking", "data": "OMROMROMROMR1.abc.def"}):  # fmt: skip
        request = decode(with_blocks(block, {"type": "text", "text": "x"}, role="assistant"))
        assert request.turns[1].parts == (Text(text="x"),)
        assert request.notes == ("thinking: its envelope is not of this gateway",)


def test_a_count_needs_no_limit() -> None:
    body = json.dumps({"model": "m", "messages": PLAIN["messages"]}).encode()
    assert decode_count_request(body, Arrival(), ENVELOPES).max_tokens is None


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": []}, "model"),
        ({"model": 5, "messages": []}, "model"),
        ({"model": "", "messages": []}, "model"),
        ({"model": "a\nb", "messages": []}, "model"),
        ({"model": "m"}, "messages"),
        ({"model": "m", "messages": {}}, "messages"),
        ({"model": "m", "messages": [], "stream": "yes"}, "stream"),
    ],
)
def test_the_head_names_the_field_that_is_wrong(body: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        CALLER.read_head(json.dumps(body).encode(), Arrival())
    assert caught.value.param == param


def test_the_head_tells_of_thinking_and_streams() -> None:
    body = json.dumps({**PLAIN, "stream": True, "thinking": {"type": "adaptive"}}).encode()
    head = CALLER.read_head(body, Arrival())
    assert (head.model, head.is_stream, head.is_reasoning) == ("m", True, True)
    assert not CALLER.read_head(json.dumps(PLAIN).encode(), Arrival()).is_reasoning


def test_passed_on_a_body_loses_only_what_a_quirk_names() -> None:
    body = b'{"model" : "a", "max_tokens":1.0, "x":[1 ],"messages":[]}'
    head = CALLER.read_head(body, Arrival())
    assert PROVIDER.pass_on(body, head, "b", asks_usage=True) == body.replace(b'"a"', b'"b"')
    assert json.loads(PROVIDER.pass_on(body, head, "b", asks_usage=True, drop_fields=("x",))) == {
        "model": "b",
        "max_tokens": 1.0,
        "messages": [],
    }
