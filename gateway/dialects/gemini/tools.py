"""Tools and the choice among them, both ways."""

from typing import Any

import msgspec

from gateway.dialects.built_in import own_tools
from gateway.dialects.codec import Destination
from gateway.dialects.gemini.fields import Place, camel
from gateway.dialects.gemini.openapi import to_json_schema
from gateway.dialects.gemini.schema import level_down
from gateway.dialects.tool_names import WRAPPED_SCHEMA, WireNames
from gateway.domain.chat import BuiltInTool, ChatRequest, Tool, ToolChoice
from gateway.domain.errors import BadRequest

_MODES = {"AUTO": 1, "ANY": 2, "NONE": 3, "VALIDATED": 4, "MODE_UNSPECIFIED": 1}
_PARALLEL_BEHAVIOUR = ("behavior", "response", "responseJsonSchema")


class Toolbox(msgspec.Struct):
    """What a request says of tools. `notes` are what was left out."""

    tools: list[Tool] = []
    built_in: list[BuiltInTool] = []
    choice: ToolChoice | None = None
    notes: list[str] = []


def read_tools(request: Place) -> Toolbox:
    box = Toolbox()
    for entry in request.objects("tools"):
        for declared in entry.objects("functionDeclarations"):
            _read_function(declared, box)
        for name in entry.names():
            if name != "functionDeclarations":
                box.built_in.append(BuiltInTool(type=name, dialect="gemini"))
    config = request.object("toolConfig")
    if config is not None:
        calling = config.object("functionCallingConfig")
        box.choice = _read_choice(calling, box) if calling is not None else None
        box.notes += [f"toolConfig.{name}" for name in config.names() if name != "functionCallingConfig"]
    return box


def write_tools(request: ChatRequest, names: WireNames, destination: Destination) -> tuple[list[Any], list[str]]:
    """The `tools` entries: all functions in one. Raises Unsupported for a tool that another provider would run itself."""
    notes: list[str] = []
    declared = [_function(tool, names, destination, notes) for tool in request.tools if tool.name.strip()]
    entries: list[Any] = [{"functionDeclarations": declared}] if declared else []
    entries += [{camel(tool.type): {}} for tool in own_tools(request, "gemini", notes)]
    if any(tool.strict for tool in request.tools):
        notes.append("strict")
    return entries, notes


def write_choice(request: ChatRequest, names: WireNames) -> dict[str, Any] | None:
    """`toolConfig`. A choice among no tools is none. "One of these or none" is `VALIDATED`: only there may names stand."""
    choice = request.tool_choice
    if choice is None or not request.tools:
        return None
    wire = [names.of(name) for name in choice.names]
    match choice.mode:
        case "tool":
            config: dict[str, Any] = {"mode": "ANY", "allowedFunctionNames": wire[:1]}
        case "allowed":
            config = {"mode": "ANY" if choice.is_required else "VALIDATED", "allowedFunctionNames": wire}
        case "required":
            config = {"mode": "ANY"}
        case "none":
            config = {"mode": "NONE"}
        case _:
            config = {"mode": "AUTO"}
    return {"functionCallingConfig": config}


def _read_function(declared: Place, box: Toolbox) -> None:
    if declared.get("name") is None:
        raise BadRequest(f"{declared.at} has no name", code="missing_name", param=declared.path("name"))
    name = declared.text("name").strip()
    if not name:
        box.notes.append("a tool without a name")
        return
    schema = declared.object("parametersJsonSchema") or declared.object("parameters")
    box.tools.append(
        Tool(
            name=name,
            description=_description(declared),
            schema=to_json_schema(schema.value) if schema is not None else None,
        )
    )
    box.notes += [
        f"tools.{key}"
        for key in _PARALLEL_BEHAVIOUR
        if declared.get(key) is not None and f"tools.{key}" not in box.notes
    ]


def _description(declared: Place) -> str:
    found = declared.get("description")
    return found if isinstance(found, str) else "" if found is None else str(found)


def _read_choice(calling: Place, box: Toolbox) -> ToolChoice | None:
    mode = calling.get("mode")
    number = mode if isinstance(mode, int) and not isinstance(mode, bool) else _MODES.get(str(mode or "AUTO").upper())
    if number not in (0, 1, 2, 3, 4):
        raise BadRequest(
            f"{calling.path('mode')} must be AUTO, ANY, NONE or VALIDATED",
            code="invalid_tool_choice", param=calling.path("mode"),
        )  # fmt: skip
    if calling.get("streamFunctionCallArguments"):
        box.notes.append("streamFunctionCallArguments")
    names = calling.texts("allowedFunctionNames")
    if number == 3:
        return ToolChoice("none")
    if number == 2 and len(names) == 1:
        return ToolChoice("tool", names)
    if names:
        return ToolChoice("allowed", names, is_required=number == 2)
    if number == 4:
        box.notes.append("toolConfig VALIDATED")
    if number == 2:
        return ToolChoice("required")
    return ToolChoice("auto") if calling.get("mode") is not None else None


def _function(tool: Tool, names: WireNames, destination: Destination, notes: list[str]) -> dict[str, Any]:
    wire = names.of(tool.name, tool.namespace)
    written: dict[str, Any] = {"name": wire, "description": tool.description}
    schema = WRAPPED_SCHEMA if tool.kind == "custom" else tool.schema
    if schema is None:
        return written
    if "openapi_schemas" in destination.quirks:
        levelled, dropped = level_down(schema)
        notes += [f"tools.{wire}.{what}" for what in dropped]
        if levelled.get("properties") or levelled.get("type") != "OBJECT":
            written["parameters"] = levelled
    else:
        written["parametersJsonSchema"] = with_object_root(schema)
    return written


def with_object_root(schema: dict[str, Any]) -> dict[str, Any]:
    """Arguments are an object, whatever a generator wrote at the root."""
    if schema.get("type") is None or schema.get("type") == "null":
        has_alternatives = any(key in schema for key in ("$ref", "anyOf", "oneOf", "allOf"))
        return schema if has_alternatives and "type" not in schema else {**schema, "type": "object"}
    return schema
