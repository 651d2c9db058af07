"""Tools, the choice among them and structured output as a provider of this dialect is told."""

from typing import Any

from gateway.dialects.built_in import own_tools
from gateway.dialects.codec import Unsupported
from gateway.dialects.tool_names import WRAPPED_SCHEMA, WireNames
from gateway.domain.chat import ChatRequest, OutputFormat, Tool

Json = dict[str, Any]


def write_tools(body: Json, request: ChatRequest, names: WireNames, quirks: frozenset[str], notes: list[str]) -> None:
    """Puts `tools`, `tool_choice` and `parallel_tool_calls` into the body. Raises Unsupported for a tool of others."""
    for tool in own_tools(request, "openai_chat", notes):
        raise Unsupported(f"the tool {tool.type} is run by another kind of provider", "tools")
    choice = request.tool_choice
    tools = request.tools
    if choice is not None and choice.mode == "allowed" and "openai_fields" not in quirks:
        tools = tuple(tool for tool in tools if tool.name in choice.names)
    if tools:
        body["tools"] = [_tool(tool, names, quirks, notes) for tool in tools]
        if choice is not None:
            body["tool_choice"] = _choice(request, names, quirks)
        if request.is_parallel is not None:
            body["parallel_tool_calls"] = request.is_parallel
    elif choice is not None and choice.mode in {"required", "tool"}:
        raise Unsupported("tool_choice asks for a tool and there are none", "tool_choice")


def output_format(shape: OutputFormat) -> Json:
    """`response_format`. The name is required on this wire."""
    if shape.schema is None:
        return {"type": "json_object"}
    inner: Json = {"name": shape.name or "answer"}
    if shape.description:
        inner["description"] = shape.description
    inner["schema"] = shape.schema
    if shape.strict is not None:
        inner["strict"] = shape.strict
    return {"type": "json_schema", "json_schema": inner}


def _tool(tool: Tool, names: WireNames, quirks: frozenset[str], notes: list[str]) -> Json:
    wire: Json
    if tool.kind == "custom" and "custom_tools" in quirks:
        custom: Json = {"name": names.of(tool.name, tool.namespace), "description": tool.description}
        if tool.format is not None:
            custom["format"] = tool.format
        return {"type": "custom", "custom": custom}
    if tool.kind == "custom":
        wire = {"description": _told_format(tool), "parameters": WRAPPED_SCHEMA}
    else:
        wire = {"description": tool.description, "parameters": _object_schema(tool.schema)}
        if tool.strict is not None:
            wire["strict"] = tool.strict
    if not wire["description"]:
        del wire["description"]
    found: Json = {"type": "function", "function": {"name": names.of(tool.name, tool.namespace), **wire}}
    if tool.cache and "cache_control" in quirks:
        found["cache_control"] = cache_mark(tool.cache)
    elif tool.cache:
        notes.append("cache_control")
    return found


def cache_mark(ttl: str) -> Json:
    return {"type": "ephemeral", "ttl": ttl} if ttl == "1h" else {"type": "ephemeral"}


def _object_schema(schema: Json | None) -> Json:
    """OpenAI refuses an object without `properties`."""
    if not schema:
        return {"type": "object", "properties": {}}
    if (
        schema.get("type") == "object"
        and "properties" not in schema
        and not schema.keys() & {"$ref", "anyOf", "allOf", "oneOf"}
    ):
        return schema | {"properties": {}}
    return schema


def _told_format(tool: Tool) -> str:
    """The grammar of a free text, in words for a model that cannot be held to it."""
    grammar = (tool.format or {}).get("grammar")
    inner = grammar if isinstance(grammar, dict) else tool.format or {}
    definition = inner.get("definition")
    if not isinstance(definition, str):
        return tool.description
    return f"{tool.description}\n\nThe text of `input` follows this grammar:\n{definition}".strip()


def _choice(request: ChatRequest, names: WireNames, quirks: frozenset[str]) -> object:
    choice = request.tool_choice
    assert choice is not None
    if choice.mode == "tool":
        return _named(request, choice.names[0], names, quirks)
    if choice.mode != "allowed":
        return choice.mode
    mode = "required" if choice.is_required else "auto"
    if "openai_fields" not in quirks:
        return mode
    tools = [_named(request, name, names, quirks) for name in choice.names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


def _named(request: ChatRequest, name: str, names: WireNames, quirks: frozenset[str]) -> Json:
    is_custom = "custom_tools" in quirks and any(tool.name == name and tool.kind == "custom" for tool in request.tools)
    kind = "custom" if is_custom else "function"
    return {"type": kind, kind: {"name": names.of(name)}}
