"""What a body is built like, with nothing in it that somebody wrote: for an operator who watches requests pass. Pure.

Of JSON the structure stays, with the names of fields, switches and null; text is `<n>` (its characters), a number `<#>`. Only
values of fields that the dialects themselves give words for stay (`role`, `type`, `stop_reason` …). What a caller may fill as
it likes (arguments and schemas of tools, metadata) is `{<n>}`. Of a stream the first and the last events are shown.
"""

import re
from typing import Any

import msgspec

MAX_BYTES = 512 * 1024
"""Of a body that is read at all: the worker's loop waits meanwhile, some ms."""
MAX_VALUES = 250
"""Of one outline; what comes later is `<…>`."""
_HEAD, _TAIL = 5, 3
"""Entries of a list, or events of a stream, that are shown of its begin and its end."""
_MAX_FIELDS = 40
_MAX_DEPTH = 16

_WORDS = frozenset((
    "role", "type", "model", "object", "finish_reason", "stop_reason", "finishReason", "done_reason", "status", "event", "media_type",
    "mime_type", "mimeType", "effort", "reasoning_effort", "tool_choice", "mode", "service_tier", "detail", "verbosity", "truncation",
    "thinkingLevel", "modelVersion",
))  # fmt: skip
_NUMBERS = frozenset((
    "max_tokens", "max_output_tokens", "max_completion_tokens", "maxOutputTokens", "num_predict", "temperature", "top_p", "topP",
    "top_k", "topK", "n", "index", "output_index", "content_index", "sequence_number", "presence_penalty", "frequency_penalty",
    "thinkingBudget",
))  # fmt: skip
_COUNTS = ("_tokens", "TokenCount", "_count")
_FREE = frozenset((
    "input", "arguments", "args", "parameters", "input_schema", "schema", "properties", "parametersJsonSchema", "metadata",
    "logit_bias", "labels",
))  # fmt: skip
_NAMED = frozenset((
    "tool_use", "function", "function_call", "tool", "custom", "tools", "functionDeclarations", "functionCall", "functionResponse",
))  # fmt: skip
"""Types of things, or the fields that have them, whose `name` is a tool's."""
_PLAIN = re.compile(r"[A-Za-z0-9_.:/@+-]{1,64}\Z")
_FIELD = re.compile(r"[A-Za-z_$][A-Za-z0-9_$.-]{0,39}\Z")


def outline(body: bytes) -> str:
    """JSON, some kB at most; of a body that is none of it, its size."""
    if not body:
        return ""
    if len(body) > MAX_BYTES:
        return f"<{len(body)}>"
    found = _Outline()
    try:
        return _encoded(found.value(msgspec.json.decode(body), "", ""))
    except (msgspec.DecodeError, RecursionError):
        events = [event for line in body.split(b"\n") if (event := _event(line)) is not None]
        return _encoded(found.entries(events, "", "")) if events else f"<{len(body)}>"


def _event(line: bytes) -> Any:
    """What a line of a stream holds: one of `data:`, or one that is JSON by itself."""
    text = line.strip().removeprefix(b"data:").strip()
    if not text.startswith(b"{"):
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None  # the last one of a stream that was cut


class _Outline:
    def __init__(self) -> None:
        self._values = 0
        self._depth = 0

    def value(self, value: Any, name: str, inside: str) -> Any:
        """`name` is the field that has it, `inside` the type of the thing that has the field, or the field that has that."""
        self._values += 1
        if self._values > MAX_VALUES or self._depth > _MAX_DEPTH:
            return "<…>"
        if isinstance(value, dict):
            is_free = name in _FREE or (name == "response" and inside == "functionResponse")
            return f"{{<{len(value)}>}}" if is_free else self._deeper(self._fields, value, name)
        if isinstance(value, list):
            return self._deeper(self.entries, value, name)
        if isinstance(value, str):
            is_word = name in _WORDS or (name == "name" and inside in _NAMED)
            return value if is_word and _PLAIN.match(value) else f"<{len(value)}>"
        if value is None or isinstance(value, bool) or name in _NUMBERS or name.endswith(_COUNTS):
            return value
        return "<#>"

    def entries(self, values: list[Any], name: str, inside: str = "") -> list[Any]:
        if len(values) <= _HEAD + _TAIL:
            return [self.value(value, name, inside) for value in values]
        left_out = f"<+{len(values) - _HEAD - _TAIL}>"
        head = [self.value(value, name, inside) for value in values[:_HEAD]]
        return [*head, left_out, *(self.value(value, name, inside) for value in values[-_TAIL:])]

    def _fields(self, fields: dict[str, Any], name: str, _inside: str = "") -> dict[str, Any]:
        kind = fields.get("type")
        inside = kind if isinstance(kind, str) and kind else name
        shown: dict[str, Any] = {}
        for field, value in list(fields.items())[:_MAX_FIELDS]:
            shown[field if _FIELD.match(field) else f"<{len(field)}>"] = self.value(value, field, inside)
        if len(fields) > _MAX_FIELDS:
            shown[f"<+{len(fields) - _MAX_FIELDS}>"] = None
        return shown

    def _deeper(self, look: Any, value: Any, name: str) -> Any:
        self._depth += 1
        try:
            return look(value, name, "")
        finally:
            self._depth -= 1


def _encoded(value: Any) -> str:
    return msgspec.json.encode(value).decode()
