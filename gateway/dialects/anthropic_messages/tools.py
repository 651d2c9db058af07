"""Tools and the choice among them, both ways."""

from typing import Any, Protocol

import msgspec

from gateway.dialects.anthropic_messages.history import decode_member
from gateway.dialects.anthropic_messages.schemas import input_schema
from gateway.dialects.anthropic_messages.wire import CacheControl, cache_ttl
from gateway.dialects.built_in import own_tools
from gateway.dialects.tool_names import WRAPPED_SCHEMA, WireNames
from gateway.domain.chat import BuiltInTool, CacheTtl, ChatRequest, Tool, ToolCall, ToolChoice
from gateway.domain.errors import BadRequest


class WrittenChoice(Protocol):
    @property
    def type(self) -> str: ...
    @property
    def name(self) -> str | None: ...
    @property
    def disable_parallel_tool_use(self) -> bool | None: ...


class _Tool(msgspec.Struct, frozen=True):
    type: str | None = None
    name: str | None = None
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    strict: bool | None = None
    cache_control: CacheControl | None = None
    defer_loading: Any = None
    allowed_callers: Any = None
    eager_input_streaming: Any = None
    input_examples: Any = None


_decode_tools = msgspec.json.Decoder(list[_Tool]).decode
_WITHOUT_A_HOME = ("defer_loading", "allowed_callers", "eager_input_streaming", "input_examples")


# -- from a caller -------------------------------------------------------------------------------------------------------


def decode_tools(raw: msgspec.Raw) -> tuple[tuple[Tool, ...], tuple[BuiltInTool, ...], list[str]]:
    """Tools of the caller, tools that Anthropic knows or runs itself, and notes. A tool with a blank name is left out."""
    tools: list[Tool] = []
    built_in: list[BuiltInTool] = []
    notes: list[str] = []
    written: list[_Tool] = decode_member(_decode_tools, raw, "tools")
    for at, tool in enumerate(written):
        if tool.type not in (None, "custom"):
            built_in.append(BuiltInTool(tool.type, "anthropic_messages"))
            continue
        if tool.name is None:
            place = f"tools[{at}].name"
            raise BadRequest(f"{place}: Field required", code="invalid_tools", param=place)
        if not tool.name.strip():
            notes.append(f"tools[{at}]: its name is blank")
            continue
        notes += [f"tools.{name}" for name in _WITHOUT_A_HOME if getattr(tool, name)]
        tools.append(
            Tool(
                name=tool.name,
                description=tool.description or "",
                schema=tool.input_schema,
                strict=tool.strict,
                cache=cache_ttl(tool.cache_control),
            )
        )
    return tuple(tools), tuple(built_in), notes


def decode_choice(choice: WrittenChoice | None) -> tuple[ToolChoice | None, bool | None]:
    """The choice, and whether several calls at once are fine (None = not said)."""
    if choice is None:
        return None, None
    is_parallel = None if choice.disable_parallel_tool_use is None else not choice.disable_parallel_tool_use
    match choice.type:
        case "auto":
            return ToolChoice("auto"), is_parallel
        case "any":
            return ToolChoice("required"), is_parallel
        case "none":
            return ToolChoice("none"), is_parallel
        case "tool" if choice.name:
            return ToolChoice("tool", (choice.name,)), is_parallel
        case "tool":
            raise BadRequest("tool_choice.name: Field required", code="invalid_tool_choice", param="tool_choice.name")
        case _:
            raise BadRequest(
                f"tool_choice.type: `{choice.type[:64]}` is not one of auto, any, tool, none",
                code="invalid_tool_choice",
                param="tool_choice.type",
            )


# -- for a provider ------------------------------------------------------------------------------------------------------


def encode_tools(
    request: ChatRequest, names: WireNames, notes: list[str]
) -> tuple[list[dict[str, Any]], list[CacheTtl]]:
    """Tools and the cache marks on them. Tools that only the history calls are declared too: Anthropic wants them all."""
    written: list[dict[str, Any]] = []
    marks: list[CacheTtl] = []
    allowed = request.tool_choice.names if request.tool_choice and request.tool_choice.mode == "allowed" else ()
    for tool in request.tools:
        if not tool.name.strip() or (allowed and tool.name not in allowed):
            continue
        written.append(_written(tool, names, notes))
        marks.append(tool.cache)
    for built_in in own_tools(request, "anthropic_messages", notes):
        written.append({"type": built_in.type, "name": built_in.type.rpartition("_")[0]})
        marks.append("")
    if not written:
        for name in sorted(_called(request, names)):
            notes.append("tools: declared by the calls of the history")
            written.append({"name": name, "input_schema": {"type": "object"}})
            marks.append("")
    return written, marks


def encode_choice(
    request: ChatRequest, names: WireNames, *, has_tools: bool, notes: list[str]
) -> dict[str, Any] | None:
    """`tool_choice`; whether calls may be parallel can be said only there."""
    if not has_tools:
        if request.tool_choice is not None and request.tool_choice.mode != "none":
            notes.append("tool_choice: there are no tools")
        return None
    if not request.tools and all(tool.dialect != "anthropic_messages" for tool in request.built_in_tools):
        return {"type": "none"}  # the tools are those of the history
    choice = request.tool_choice
    written: dict[str, Any] = {"type": "auto"}
    if choice is None:
        if request.is_parallel is not False:
            return None
    elif choice.mode == "none":
        return {"type": "none"}
    elif choice.mode == "tool":
        written = {"type": "tool", "name": names.of(choice.names[0])}
    elif choice.mode == "required" or (choice.mode == "allowed" and choice.is_required):
        written = {"type": "any"}
    if request.is_parallel is False:
        written["disable_parallel_tool_use"] = True
    return written


def is_forced(choice: dict[str, Any] | None) -> bool:
    return choice is not None and choice["type"] in ("any", "tool")


def _written(tool: Tool, names: WireNames, notes: list[str]) -> dict[str, Any]:
    written: dict[str, Any] = {"name": names.of(tool.name, tool.namespace)}
    if tool.description:
        written["description"] = tool.description
    if tool.kind == "custom":
        if tool.format:
            notes.append("tools.format")
        return written | {"input_schema": WRAPPED_SCHEMA}
    is_strict = tool.strict is True
    schema, is_exact = input_schema(tool.schema, is_strict=is_strict)
    if not is_exact:
        notes.append("tools: keywords of a schema that Anthropic does not take")
    written["input_schema"] = schema
    if is_strict:
        written["strict"] = True
    return written


def _called(request: ChatRequest, names: WireNames) -> set[str]:
    parts = (part for turn in request.turns for part in turn.parts)
    return {names.of(part.name, part.namespace) for part in parts if isinstance(part, ToolCall)}
