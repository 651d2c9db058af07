"""Tools, namespaces and the choice among them, as callers write them and as providers get them."""

from typing import Any

import pytest

from gateway.dialects.codec import Unsupported
from gateway.dialects.openai_responses.tools import (
    echoed_tools,
    is_strict,
    read_tool_choice,
    read_tools,
    tool_choice_object,
    write_tools,
)
from gateway.dialects.tool_names import OPENAI_NAMES, WireNames
from gateway.domain.chat import BuiltInTool, ChatRequest, Tool, ToolChoice
from gateway.domain.errors import BadRequest

CLOSED = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
OPEN = {"type": "object", "properties": {"a": {"type": "string"}}}


def read(*tools: Any) -> tuple[tuple[Tool, ...], tuple[BuiltInTool, ...]]:
    return read_tools(list(tools), (), [])


@pytest.mark.parametrize(
    ("fields", "strict"),
    [
        ({"parameters": CLOSED}, True),
        ({"parameters": OPEN}, None),
        ({"parameters": CLOSED, "strict": False}, False),
        ({"parameters": OPEN, "strict": True}, True),
        ({"parameters": CLOSED, "strict": None}, True),
        ({}, None),
    ],
)
def test_a_function_is_strict_unless_it_says_otherwise_or_its_schema_does(fields: dict[str, Any], strict: Any) -> None:
    ((tool,), _) = read({"type": "function", "name": "f"} | fields)
    assert tool.strict is strict


@pytest.mark.parametrize(
    "schema",
    [
        OPEN,
        {"type": "object", "properties": {"a": OPEN}, "required": ["a"], "additionalProperties": False},
        {"type": "array", "items": OPEN},
        {"anyOf": [CLOSED, OPEN]},
        {**CLOSED, "$defs": {"x": OPEN}},
        {**CLOSED, "required": [["a"]]},
        None,
    ],
)
def test_an_open_object_at_any_depth_is_not_strict(schema: Any) -> None:
    assert not is_strict(schema)


def test_a_namespace_is_a_group_of_tools() -> None:
    tools, built_in = read(
        {
            "type": "namespace",
            "name": "calendar",
            "description": "d",
            "tools": [
                {"type": "function", "name": "list", "parameters": OPEN, "strict": False},
                {"type": "custom", "name": "say"},
            ],
        },
        {"type": "web_search"},
        {"type": "mcp", "server_label": "x"},
    )
    assert tools == (
        Tool(name="list", schema=OPEN, strict=False, namespace="calendar"),
        Tool(name="say", kind="custom", namespace="calendar"),
    )
    assert built_in == (BuiltInTool("web_search", "openai_responses"), BuiltInTool("mcp", "openai_responses"))


def test_tools_that_came_later_are_added_once() -> None:
    f = {"type": "function", "name": "f"}
    tools, _ = read_tools([f], [(f, "input[0].tools[0]"), ({"type": "function", "name": "g"}, "input[0].tools[1]")], [])
    assert [tool.name for tool in tools] == ["f", "g"]


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        ([{"type": "function"}], "tools[0].name"),
        ([{"name": "f"}], "tools[0].type"),
        ([{"type": "namespace", "name": "n", "tools": [{"type": "mcp"}]}], "tools[0].tools[0].type"),
        ([{"type": "namespace", "name": "n"}], "tools[0].tools"),
    ],
)
def test_a_wrong_tool_is_named(raw: Any, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(*raw)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (None, None),
        ("auto", ToolChoice("auto")),
        ("required", ToolChoice("required")),
        ("none", ToolChoice("none")),
        ({"type": "function", "name": "f"}, ToolChoice("tool", ("f",))),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice("tool", ("f",))),
        ({"type": "custom", "name": "p"}, ToolChoice("tool", ("p",))),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}, ToolChoice("allowed", ("f",))),
        ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "custom", "name": "p"}]}, ToolChoice("allowed", ("p",), is_required=True)),
        ({"type": "web_search"}, ToolChoice("required")),
        ({"type": "mcp", "server_label": "x"}, ToolChoice("required")),
    ],
)  # fmt: skip
def test_every_form_of_choice_is_read(raw: Any, expected: ToolChoice | None) -> None:
    assert read_tool_choice(raw, []) == expected


def asked(*tools: Tool, choice: ToolChoice | None = None, built_in: tuple[BuiltInTool, ...] = ()) -> ChatRequest:
    return ChatRequest(model="m", turns=(), tools=tools, tool_choice=choice, built_in_tools=built_in)


def written(request: ChatRequest, *, keeps_namespaces: bool = False) -> list[dict[str, Any]]:
    names = WireNames(request, OPENAI_NAMES, keeps_namespaces=keeps_namespaces, keeps_custom=True)
    return write_tools(request, names, [], keeps_namespaces=keeps_namespaces, keeps_custom=True)


def test_strict_is_always_said() -> None:
    f, g = written(asked(Tool(name="f", schema=OPEN), Tool(name="g", schema=CLOSED, strict=True, description="d")))
    assert f == {"type": "function", "name": "f", "parameters": OPEN, "strict": False}
    assert g == {"type": "function", "name": "g", "description": "d", "parameters": CLOSED, "strict": True}


def test_a_tool_without_schema_takes_an_empty_object() -> None:
    assert written(asked(Tool(name="f")))[0]["parameters"] == {"type": "object", "properties": {}}


def test_custom_tools_go_on_with_their_grammar() -> None:
    form = {"type": "grammar", "syntax": "lark", "definition": "start: x"}
    assert written(asked(Tool(name="p", kind="custom", format=form))) == [
        {"type": "custom", "name": "p", "format": form}
    ]


def test_namespaces_become_part_of_the_name_unless_the_provider_has_them() -> None:
    request = asked(Tool(name="list", namespace="calendar"), Tool(name="f"), Tool(name="add", namespace="calendar"))
    assert [tool["name"] for tool in written(request)] == ["calendar__list", "f", "calendar__add"]
    group, f = written(request, keeps_namespaces=True)
    assert (group["type"], group["name"], f["name"]) == ("namespace", "calendar", "f")
    assert [tool["name"] for tool in group["tools"]] == ["list", "add"]
    assert [tool["type"] for tool in echoed_tools(request)] == ["namespace", "function"]


def test_illegal_names_are_made_legal_in_tools_and_in_the_choice() -> None:
    request = asked(Tool(name="a.b"), choice=ToolChoice("tool", ("a.b",)))
    names = WireNames(request, OPENAI_NAMES, keeps_custom=True)
    (tool,) = write_tools(request, names, [], keeps_namespaces=False, keeps_custom=True)
    assert tool["name"] != "a.b"
    assert tool_choice_object(request.tool_choice, request, names) == {"type": "function", "name": tool["name"]}  # type: ignore[arg-type]
    assert names.restore[tool["name"]].name == "a.b"


@pytest.mark.parametrize(
    "tool", [BuiltInTool("web_search_20250305", "anthropic_messages"), BuiltInTool("file_search", "openai_responses")]
)
def test_a_built_in_tool_that_the_provider_cannot_have_is_named(tool: BuiltInTool) -> None:
    with pytest.raises(Unsupported, match=tool.type):
        written(asked(Tool(name="f"), built_in=(tool,)))


def test_a_built_in_tool_of_this_dialect_without_settings_goes_on() -> None:
    assert written(asked(built_in=(BuiltInTool("web_search", "openai_responses"),))) == [{"type": "web_search"}]


def test_a_custom_tool_is_chosen_as_such_and_a_list_keeps_its_mode() -> None:
    request = asked(Tool(name="p", kind="custom"), Tool(name="f"))
    one = tool_choice_object(ToolChoice("tool", ("p",)), request, None)
    some = tool_choice_object(ToolChoice("allowed", ("p", "f"), is_required=True), request, None)
    assert one == {"type": "custom", "name": "p"}
    assert some == {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "custom", "name": "p"}, {"type": "function", "name": "f"}],
    }
