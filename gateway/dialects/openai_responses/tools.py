"""Tools and the choice among them, both ways. A namespace is a group of tools whose names are unique within it.

A built-in tool keeps its name only: nobody but a provider of this dialect can run it, and to those a request passes
unchanged.
"""

from collections.abc import Iterable
from typing import Any

from gateway.dialects.built_in import own_tools
from gateway.dialects.codec import Unsupported
from gateway.dialects.fields import boolean, mapping, needed_text, text, wrong_type
from gateway.dialects.tool_names import WRAPPED_SCHEMA, WireNames
from gateway.domain.chat import BuiltInTool, ChatRequest, Tool, ToolChoice, ToolKind
from gateway.domain.errors import BadRequest

_OWN_KINDS = frozenset({"function", "custom", "namespace"})
_BARE_BUILT_IN: dict[str, dict[str, Any]] = {
    "web_search": {},
    "web_search_preview": {},
    "image_generation": {},
    "local_shell": {},
    "code_interpreter": {"container": {"type": "auto"}},
}
"""Built-in tools that work without settings of their own, and what they need at least."""

Read = tuple[tuple[Tool, ...], tuple[BuiltInTool, ...]]


def read_tools(raw: object, loaded: Iterable[tuple[object, str]], notes: list[str]) -> Read:
    """The tools of a request. `loaded` are those that came later, in items, each with its place."""
    if raw is not None and not isinstance(raw, list):
        raise wrong_type("tools", "an array")
    tools: list[Tool] = []
    built_in: list[BuiltInTool] = []
    for index, tool in enumerate(raw or ()):
        _read(tool, f"tools[{index}]", tools, built_in, notes)
    known = {(tool.namespace, tool.name) for tool in tools}
    later: list[Tool] = []
    for tool, at in loaded:
        _read(tool, at, later, built_in, notes)
    for tool in later:
        if (tool.namespace, tool.name) not in known:
            known.add((tool.namespace, tool.name))
            tools.append(tool)
    return tuple(tools), tuple(built_in)


def _read(raw: object, at: str, tools: list[Tool], built_in: list[BuiltInTool], notes: list[str]) -> None:
    if not isinstance(raw, dict):
        raise wrong_type(at, "an object")
    kind = needed_text(raw, "type", f"{at}.")
    if kind not in _OWN_KINDS:
        built_in.append(BuiltInTool(type=kind, dialect="openai_responses"))
    elif kind != "namespace":
        tools.append(_own_tool(raw, at, ""))
    else:
        namespace = needed_text(raw, "name", f"{at}.")
        if raw.get("description"):
            notes.append(f"description of the tool namespace {namespace}")
        inner = raw.get("tools")
        if not isinstance(inner, list):
            raise wrong_type(f"{at}.tools", "an array")
        for index, tool in enumerate(inner):
            if not isinstance(tool, dict) or tool.get("type") not in ("function", "custom"):
                raise BadRequest(
                    f"{at}.tools[{index}].type must be function or custom",
                    code="invalid_value",
                    param=f"{at}.tools[{index}].type",
                )
            tools.append(_own_tool(tool, f"{at}.tools[{index}]", namespace))


def _own_tool(raw: dict[str, Any], at: str, namespace: str) -> Tool:
    nested = raw.get("function")  # some clients send the shape of Chat Completions
    fields = nested if isinstance(nested, dict) else raw
    name = needed_text(fields, "name", f"{at}.")
    description = text(fields, "description", f"{at}.")
    if raw["type"] == "custom":
        form = mapping(raw, "format", f"{at}.") or None
        return Tool(name=name, description=description, kind="custom", namespace=namespace, format=form)
    schema = mapping(fields, "parameters", f"{at}.") or None
    strict = boolean(fields, "strict", f"{at}.")
    if "strict" not in fields or strict is None:
        strict = True if is_strict(schema) else None
    return Tool(name=name, description=description, schema=schema, strict=strict, namespace=namespace)


def is_strict(schema: object) -> bool:
    """Whether strict mode would take this schema: closed objects with every property required.

    A tool that does not say is strict where its schema allows it, and not otherwise (OpenAI's reference of `strict`).
    """
    if schema is None:
        return False
    if isinstance(schema, list):
        return all(map(is_strict, schema))
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or isinstance(properties, dict):
        required = schema.get("required")
        if schema.get("additionalProperties") is not False or not isinstance(required, list):
            return False
        if isinstance(properties, dict) and not all(name in required for name in properties):
            return False
    inner: list[Any] = [schema.get("items"), *(schema.get(name) for name in ("anyOf", "allOf", "oneOf"))]
    for name in ("properties", "$defs", "definitions"):
        if isinstance(schema.get(name), dict):
            inner += schema[name].values()
    return all(is_strict(value) for value in inner if value is not None)


def read_tool_choice(raw: object, notes: list[str]) -> ToolChoice | None:
    """Every form of `tool_choice`. To force a built-in tool is to force any: none but its provider has it."""
    if raw is None:
        return None
    if isinstance(raw, str):
        if raw in ("auto", "required", "none"):
            return ToolChoice(mode=raw)  # type: ignore[arg-type]  # the words of both are the same
        raise BadRequest(
            "tool_choice must be auto, required, none or an object", code="invalid_value", param="tool_choice"
        )
    if not isinstance(raw, dict):
        raise wrong_type("tool_choice", "a string or an object")
    kind = needed_text(raw, "type", "tool_choice.")
    if kind in ("function", "custom"):
        return ToolChoice(mode="tool", names=(_chosen(raw, "tool_choice."),))
    if kind == "allowed_tools":
        allowed = raw.get("tools")
        if not isinstance(allowed, list) or not all(isinstance(tool, dict) for tool in allowed):
            raise wrong_type("tool_choice.tools", "an array of objects")
        own = [tool for tool in allowed if tool.get("type") in ("function", "custom")]
        names = tuple(_chosen(tool, f"tool_choice.tools[{index}].") for index, tool in enumerate(own))
        if len(own) < len(allowed):
            notes.append("tool_choice of a built-in tool")
        return ToolChoice(mode="allowed", names=names, is_required=text(raw, "mode", "tool_choice.") == "required")
    if kind in ("auto", "none", "required"):
        return ToolChoice(mode=kind)  # type: ignore[arg-type]  # as above
    notes.append("tool_choice of a built-in tool")
    return ToolChoice(mode="required")


def _chosen(raw: dict[str, Any], at: str) -> str:
    nested = raw.get("function")
    return needed_text(nested if isinstance(nested, dict) else raw, "name", at)


def write_tools(
    request: ChatRequest, names: WireNames, notes: list[str], *, keeps_namespaces: bool, keeps_custom: bool
) -> list[dict[str, Any]]:
    """The tools for a provider, in their order. Raises Unsupported for a built-in tool that it cannot have."""
    written: list[dict[str, Any]] = []
    groups: dict[str, list[dict[str, Any]]] = {}
    for tool in request.tools:
        name = names.of(tool.name, tool.namespace)
        value = tool_object(tool, name) if keeps_custom or tool.kind == "function" else _wrapped_tool(tool, name)
        if not (tool.namespace and keeps_namespaces):
            written.append(value)
        elif tool.namespace in groups:
            groups[tool.namespace].append(value)
        else:
            groups[tool.namespace] = [value]
            written.append(_group(tool.namespace, groups[tool.namespace]))
    for index, built_in in enumerate(own_tools(request, "openai_responses", notes)):
        if built_in.type not in _BARE_BUILT_IN:
            raise Unsupported(
                f"the built-in tool {built_in.type} runs at its own provider and cannot be asked of this one",
                f"tools[{len(request.tools) + index}].type",
            )
        written.append({"type": built_in.type} | _BARE_BUILT_IN[built_in.type])
    return written


def tool_object(tool: Tool, name: str) -> dict[str, Any]:
    """One tool on the wire. `strict` is always said: left out it would mean yes where the schema allows it."""
    described = {"description": tool.description} if tool.description else {}
    if tool.kind == "custom":
        return {"type": "custom", "name": name} | described | ({"format": tool.format} if tool.format else {})
    schema = tool.schema or {"type": "object", "properties": {}}
    return {"type": "function", "name": name} | described | {"parameters": schema, "strict": tool.strict is True}


def _wrapped_tool(tool: Tool, name: str) -> dict[str, Any]:
    """A custom tool for a provider that knows functions only. The grammar of its text becomes words."""
    form = tool.format or {}
    grammar = form.get("grammar") or form.get("definition")
    told = f"The input is text of this grammar:\n{grammar}" if isinstance(grammar, str) else ""
    description = "\n\n".join(text for text in (tool.description, told) if text)
    return tool_object(Tool(name=name, description=description, schema=WRAPPED_SCHEMA), name)


def _group(namespace: str, tools: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "namespace", "name": namespace, "description": f"Tools of {namespace}", "tools": tools}


def echoed_tools(request: ChatRequest) -> list[dict[str, Any]]:
    """The tools as the caller knows them, for the answer that repeats them."""
    written: list[dict[str, Any]] = []
    groups: dict[str, list[dict[str, Any]]] = {}
    for tool in request.tools:
        value = tool_object(tool, tool.name)
        if not tool.namespace:
            written.append(value)
            continue
        if tool.namespace not in groups:
            groups[tool.namespace] = []
            written.append(_group(tool.namespace, groups[tool.namespace]))
        groups[tool.namespace].append(value)
    return written + [{"type": built_in.type} for built_in in request.built_in_tools]


def tool_choice_object(
    choice: ToolChoice, request: ChatRequest, names: WireNames | None, *, keeps_custom: bool = True
) -> Any:
    """The choice on the wire; the caller's own names without `names`."""
    kinds: dict[str, ToolKind] = {tool.name: tool.kind for tool in request.tools} if keeps_custom else {}
    chosen = [{"type": kinds.get(name, "function"), "name": names.of(name) if names else name} for name in choice.names]
    if choice.mode == "tool":
        return chosen[0]
    if choice.mode == "allowed":
        return {"type": "allowed_tools", "mode": "required" if choice.is_required else "auto", "tools": chosen}
    return choice.mode
