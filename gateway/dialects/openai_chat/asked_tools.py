"""What a caller says about tools: declarations, the choice among them, and the legacy `functions`."""

from typing import Any

from gateway.dialects.fields import boolean, wrong_type
from gateway.dialects.openai_chat.fields import Json, a_list, an_object, optional_text, text_in, wrong
from gateway.domain.chat import BuiltInTool, CacheTtl, Tool, ToolChoice

LEGACY_NOTE = "functions: answered as function_call"
"""The note by which the encoders of an answer know that the caller speaks the shape before `tools`."""

_BUILT_IN = ("web_search", "code_interpreter", "openrouter:", "plugin:")
"""Beginnings of what providers of this dialect call the tools that they run themselves."""


def cache_of(fields: Json) -> CacheTtl:
    """`cache_control` as OpenRouter's and LiteLLM's clients write it on parts, messages and tools."""
    mark = fields.get("cache_control")
    if not isinstance(mark, dict):
        return ""
    return "1h" if mark.get("ttl") == "1h" else "5m"


def read_tools(fields: Json, notes: list[str]) -> tuple[tuple[Tool, ...], tuple[BuiltInTool, ...]]:
    """The declared tools. One without a name is left out with a note; an unknown type is a tool of the provider's own."""
    tools: list[Tool] = []
    built_in: list[BuiltInTool] = []
    for index, item in enumerate(a_list(fields.get("tools") or [], "tools")):
        where = f"tools[{index}]"
        entry = an_object(item, where)
        kind = optional_text(entry, "type", where) or "function"
        if kind == "custom" and "input_schema" not in entry:
            tool = _custom_tool(entry, where)
        elif kind in {"function", "custom"}:
            tool = _function(entry, where)
        elif kind.startswith(_BUILT_IN):
            built_in.append(BuiltInTool(kind, "openai_chat"))
            continue
        else:
            raise wrong(f"{where}.type", "must be function or custom")
        if tool.name.strip():
            tools.append(tool)
        else:
            notes.append(f"{where}: a tool without a name")
    if isinstance(fields.get("web_search_options"), dict):
        built_in.append(BuiltInTool("web_search_options", "openai_chat"))
    functions = a_list(fields.get("functions") or [], "functions")
    if functions and not tools:
        notes.append(LEGACY_NOTE)
        tools = [_function({"function": item}, f"functions[{index}]") for index, item in enumerate(functions)]
    return tuple(tools), tuple(built_in)


def read_choice(fields: Json) -> ToolChoice | None:
    """`tool_choice`, or the legacy `function_call`."""
    choice = fields.get("tool_choice")
    if choice is None:
        legacy = fields.get("function_call")
        if isinstance(legacy, dict):
            return ToolChoice("tool", (text_in(legacy, "name", "function_call"),))
        choice = legacy
    if choice is None:
        return None
    if isinstance(choice, str):
        return _choice_word(choice)
    entry = an_object(choice, "tool_choice")
    kind = text_in(entry, "type", "tool_choice")
    if kind == "allowed_tools":
        return _allowed(entry)
    if kind in {"function", "custom", "tool"}:
        inner = entry.get(kind)
        named = inner if isinstance(inner, dict) else entry
        place = f"tool_choice.{kind}" if named is inner else "tool_choice"
        return ToolChoice("tool", (text_in(named, "name", place),))
    return _choice_word(kind)


def _function(entry: Json, where: str) -> Tool:
    """`{type, function: {…}}`; the flat form of Responses and Anthropic's `input_schema` occur too."""
    nested = entry.get("function")
    if nested is None and not where.startswith("functions") and "name" not in entry:
        raise wrong_type(f"{where}.function", "an object")
    if nested is None:
        function, place = entry, where
    else:
        place = f"{where}.function" if where.startswith("tools") else where
        function = an_object(nested, place)
    schema = function.get("parameters", function.get("input_schema"))
    if schema is not None:
        an_object(schema, f"{place}.parameters")
    strict = function.get("strict")
    return Tool(
        name=text_in(function, "name", place),
        description=_description(function),
        schema=schema,
        strict=strict if isinstance(strict, bool) else None,
        cache=cache_of(entry) or cache_of(function),
    )


def _custom_tool(entry: Json, where: str) -> Tool:
    nested = entry.get("custom")
    custom, place = (entry, where) if nested is None else (an_object(nested, f"{where}.custom"), f"{where}.custom")
    shape = custom.get("format")
    return Tool(
        name=text_in(custom, "name", place),
        description=_description(custom),
        kind="custom",
        format=None if shape is None else an_object(shape, f"{place}.format"),
    )


def _description(function: Json) -> str:
    """A description that is no text, as some generators write it, is taken as its text."""
    value: Any = function.get("description")
    return "" if value is None else str(value)


def _choice_word(word: str) -> ToolChoice:
    """`any` is Mistral's and Anthropic's word for `required`."""
    if word == "auto":
        return ToolChoice("auto")
    if word == "none":
        return ToolChoice("none")
    if word in {"required", "any"}:
        return ToolChoice("required")
    raise wrong("tool_choice", "must be none, auto, required, or an object that names a tool")


def _allowed(entry: Json) -> ToolChoice:
    nested = entry.get("allowed_tools")
    allowed = nested if isinstance(nested, dict) else entry
    where = "tool_choice.allowed_tools" if allowed is nested else "tool_choice"
    names: list[str] = []
    for index, item in enumerate(a_list(allowed.get("tools"), f"{where}.tools")):
        place = f"{where}.tools[{index}]"
        tool = an_object(item, place)
        inner = tool.get("function") or tool.get("custom")
        names.append(text_in(inner if isinstance(inner, dict) else tool, "name", place))
    return ToolChoice("allowed", tuple(names), is_required=allowed.get("mode") == "required")


def is_parallel(fields: Json, notes: list[str]) -> bool | None:
    """The legacy answer has room for one call only."""
    return False if LEGACY_NOTE in notes else boolean(fields, "parallel_tool_calls")
