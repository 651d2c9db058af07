"""Tool names and call ids made legal for a wire format, and the names restored in the answer.

Both are functions of what the caller sent, so a conversation gives the same bytes turn after turn and prompt caches stay
warm. Two tools never get one name: what had to be changed carries a hash of what it was.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping

import msgspec
from msgspec import structs

from gateway.dialects.codec import ToolName
from gateway.domain.chat import Answer, ChatRequest, ToolCall, ToolKind
from gateway.domain.events import Event, ToolCallDelta, ToolCallDone, ToolCallStarted

_HASH_CHARS = 8


class NameRule(msgspec.Struct, frozen=True):
    """What a wire format takes as a tool's name. `illegal` matches a character that it does not, `start` a legal first one."""

    illegal: re.Pattern[str]
    start: re.Pattern[str]
    max_chars: int


OPENAI_NAMES = NameRule(re.compile(r"[^a-zA-Z0-9_-]"), re.compile(r"[a-zA-Z0-9_-]"), 64)
ANTHROPIC_NAMES = NameRule(re.compile(r"[^a-zA-Z0-9_-]"), re.compile(r"[a-zA-Z0-9_-]"), 128)
GEMINI_NAMES = NameRule(re.compile(r"[^a-zA-Z0-9_.:-]"), re.compile(r"[a-zA-Z_]"), 64)


class WireNames:
    """The names on the wire of all tools of a request: those it declares, those its history calls, those it chooses.

    `keeps_namespaces` and `keeps_custom`: the wire format has them itself.
    """

    def __init__(
        self, request: ChatRequest, rule: NameRule, *, keeps_namespaces: bool = False, keeps_custom: bool = False
    ) -> None:
        self._rule = rule
        self._keeps_namespaces = keeps_namespaces
        self._keeps_custom = keeps_custom
        self._wire: dict[tuple[str, str], str] = {}
        self._taken: set[tuple[str, str]] = set()
        self.restore: dict[str, ToolName] = {}
        """Name on the wire → the caller's, of all that differ."""
        for tool in request.tools:
            self._add(tool.name, tool.namespace, tool.kind)
        for turn in request.turns:
            for part in turn.parts:
                if isinstance(part, ToolCall):
                    self._add(part.name, part.namespace, part.kind)
        for name in request.tool_choice.names if request.tool_choice else ():
            if not any(known == name for _, known in self._wire):
                self._add(name, "", "function")

    def of(self, name: str, namespace: str = "") -> str:
        """The name on the wire. A chosen name without its namespace is found by the name alone."""
        found = self._wire.get((namespace, name))
        if found is None and not namespace:
            found = next((wire for (_, known), wire in self._wire.items() if known == name), None)
        return name if found is None else found

    def _add(self, name: str, namespace: str, kind: ToolKind) -> None:
        if (namespace, name) in self._wire:
            return
        joined = name if self._keeps_namespaces or not namespace else f"{namespace}__{name}"
        wire = _legal(joined, self._rule)
        place = namespace if self._keeps_namespaces else ""
        salt = f"{namespace}\0{name}"
        while (place, wire) in self._taken:
            wire = _with_hash(wire, salt, self._rule)
            salt += "\0"
        self._wire[namespace, name] = wire
        self._taken.add((place, wire))
        is_wrapped = kind == "custom" and not self._keeps_custom
        if wire != name or is_wrapped or (namespace and not self._keeps_namespaces):
            self.restore[wire] = ToolName(name, "" if self._keeps_namespaces else namespace, is_wrapped)


def legal_id(call_id: str, *, max_chars: int = 64) -> str:
    """A call id of letters, digits, `_` and `-`. Equal ids stay equal, different ones stay different."""
    clean = re.sub(r"[^a-zA-Z0-9_-]", "_", call_id)
    if clean == call_id and 0 < len(clean) <= max_chars:
        return call_id
    return f"{clean[: max_chars - _HASH_CHARS - 1]}_{_hash(call_id)}"


def restored_answer(answer: Answer, names: Mapping[str, ToolName]) -> Answer:
    """The answer with the caller's own tool names."""
    if not names or not any(isinstance(part, ToolCall) and part.name in names for part in answer.parts):
        return answer
    return structs.replace(
        answer,
        parts=tuple(_restored(part, names) if isinstance(part, ToolCall) else part for part in answer.parts),
    )


class NameRestorer:
    """The same for a stream. The text of a wrapped custom tool comes in one piece when its call is whole."""

    def __init__(self, names: Mapping[str, ToolName]) -> None:
        self._names = names
        self._wrapped: dict[int, list[str]] = {}

    def feed(self, events: Iterable[Event]) -> list[Event]:
        restored: list[Event] = []
        for event in events:
            if isinstance(event, ToolCallStarted) and event.name in self._names:
                name = self._names[event.name]
                kind: ToolKind = "custom" if name.is_wrapped else event.kind
                if name.is_wrapped:
                    self._wrapped[event.index] = []
                namespace = name.namespace or event.namespace
                restored.append(structs.replace(event, name=name.name, namespace=namespace, kind=kind))
            elif isinstance(event, ToolCallDelta) and event.index in self._wrapped:
                self._wrapped[event.index].append(event.arguments)
            elif isinstance(event, ToolCallDone) and event.index in self._wrapped:
                text = unwrapped("".join(self._wrapped.pop(event.index)))
                restored += [ToolCallDelta(event.index, text), event]
            else:
                restored.append(event)
        return restored


def wrapped(text: str) -> str:
    """A custom tool's free text as arguments of a function with the one string `input`."""
    try:
        return msgspec.json.encode({"input": text}).decode()
    except UnicodeEncodeError:  # half a character
        return wrapped(text.encode("utf-8", "replace").decode())


def unwrapped(arguments: str) -> str:
    """The free text again; what is no such object is the text itself, an empty object no text."""
    try:
        value = msgspec.json.decode(arguments)
    except (ValueError, RecursionError):
        return arguments
    if value == {}:
        return ""
    found = value.get("input") if isinstance(value, dict) else None
    return found if isinstance(found, str) else arguments


WRAPPED_SCHEMA = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
"""The arguments of a wrapped custom tool."""


def _restored(call: ToolCall, names: Mapping[str, ToolName]) -> ToolCall:
    name = names.get(call.name)
    if name is None:
        return call
    namespace = name.namespace or call.namespace
    if not name.is_wrapped:
        return structs.replace(call, name=name.name, namespace=namespace)
    return structs.replace(
        call, name=name.name, namespace=namespace, kind="custom", arguments=unwrapped(call.arguments)
    )


def _legal(name: str, rule: NameRule) -> str:
    clean = rule.illegal.sub("_", name)
    if not clean or not rule.start.match(clean):
        clean = f"_{clean}"
    return clean if clean == name and len(clean) <= rule.max_chars else _with_hash(clean, name, rule)


def _with_hash(clean: str, original: str, rule: NameRule) -> str:
    return f"{clean[: rule.max_chars - _HASH_CHARS - 1]}_{_hash(original)}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_CHARS]
