"""The order of events that clients of this dialect need, checked on what we write ourselves.

Each rule is one that the official Python SDK (3.52) was seen to raise for, or that a typed client reads by: life cycle,
items opened before their inside and closed with the same identity, parts without gaps, dones that say what the deltas
said, and an end that holds the whole output.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from gateway.dialects.sse import name_and_data

MOST_VIOLATIONS = 20

_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
_ITEM_FIELDS: Mapping[str, tuple[str, ...]] = {
    "message": ("id", "role", "status", "content"),
    "function_call": ("id", "call_id", "name", "arguments", "status"),
    "custom_tool_call": ("id", "call_id", "name", "input"),
    "reasoning": ("id", "summary"),
    "image_generation_call": ("id", "status"),
}
_RESPONSE_FIELDS = (
    "id", "object", "created_at", "status", "model", "output", "error", "incomplete_details", "instructions", "tools",
    "tool_choice", "parallel_tool_calls", "temperature", "top_p", "text", "reasoning", "metadata", "store",
    "truncation", "previous_response_id", "usage",
)  # fmt: skip
_PART_TEXT = {"output_text": "text", "refusal": "refusal", "reasoning_text": "text"}

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class _Item:
    def __init__(self, item: dict[str, Any]) -> None:
        self.kind = item.get("type")
        self.id = item.get("id")
        self.call_id = item.get("call_id")
        self.is_done = False
        self.parts = 0
        self.open_part = ""
        """The kind of the part that is open."""
        self.text = ""
        """What the deltas of the open part, or of the arguments, have said."""
        self.is_told = False
        """Whether the whole of the arguments or the open part was told."""


class Grammar:
    """Takes a stream event by event; `violations` says what is wrong with it, at most twenty things."""

    def __init__(self) -> None:
        self.violations: list[str] = []
        self._sequence = 0
        self._response_id: object = None
        self._items: list[_Item] = []
        self._done: list[Any] = []
        self._ended_by = ""

    def feed(self, event: bytes) -> None:
        name, data = name_and_data(event)
        if not data:
            return
        try:
            fields = _decode(data)
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError):
            self._wrong("an event is no JSON object")
            return
        kind = fields.get("type")
        if kind != name:
            self._wrong(f"the event {name!r} says that it is {kind!r}")
        if self._ended_by and not (self._ended_by == "error" and kind == "response.failed"):
            self._wrong(f"{kind} after {self._ended_by}")
        if fields.get("sequence_number") != self._sequence:
            self._wrong(f"{kind} has the number {fields.get('sequence_number')} instead of {self._sequence}")
        self._sequence += 1
        if kind == "error":
            self._error(fields)
        elif kind in ("response.created", "response.in_progress", "response.queued") or kind in _ENDS:
            self._life_cycle(str(kind), fields)
        elif self._response_id is None:
            self._wrong(f"{kind} before response.created")
        else:
            check = _CHECKS.get(str(kind))
            if check is not None:
                check(self, str(kind), fields)

    def end(self) -> None:
        """The stream is over."""
        if not self._ended_by:
            self._wrong("the stream has no end")

    def _wrong(self, text: str) -> None:
        if len(self.violations) < MOST_VIOLATIONS:
            self.violations.append(text)

    def _need(self, what: str, fields: object, names: tuple[str, ...]) -> None:
        missing = [name for name in names if not isinstance(fields, dict) or name not in fields]
        if missing:
            self._wrong(f"{what} lacks {', '.join(missing)}")

    def _error(self, fields: dict[str, Any]) -> None:
        self._ended_by = "error"
        self._need("error", fields, ("code", "message", "param"))
        if "error" in fields:
            self._wrong("error is not flat")

    def _life_cycle(self, kind: str, fields: dict[str, Any]) -> None:
        response = fields.get("response")
        self._need(kind, response, _RESPONSE_FIELDS)
        if not isinstance(response, dict):
            return
        if kind == "response.created":
            if self._response_id is not None:
                self._wrong("response.created twice")
            self._response_id = response.get("id")
        elif self._response_id is None:
            self._wrong(f"{kind} before response.created")
        if response.get("id") != self._response_id or not self._response_id:
            self._wrong(f"{kind} has another response id")
        if kind in _ENDS:
            self._ended_by = kind
            self._end(kind, response)
        elif self._items:
            self._wrong(f"{kind} after output")

    def _end(self, kind: str, response: dict[str, Any]) -> None:
        if response.get("status") != kind.removeprefix("response."):
            self._wrong(f"{kind} has the status {response.get('status')!r}")
        if kind == "response.failed":
            self._need("error", response.get("error"), ("code", "message"))
            return
        if not all(item.is_done for item in self._items):
            self._wrong(f"{kind} while an item is open")
        if response.get("output") != self._done:
            self._wrong(f"{kind} has another output than its items")
        usage = response.get("usage")
        self._need("usage", usage, ("input_tokens", "output_tokens", "total_tokens"))
        if isinstance(usage, dict):
            self._need("usage", usage.get("input_tokens_details"), ("cached_tokens",))
            self._need("usage", usage.get("output_tokens_details"), ("reasoning_tokens",))
        if kind == "response.incomplete":
            self._need("incomplete_details", response.get("incomplete_details"), ("reason",))

    def _added(self, kind: str, fields: dict[str, Any]) -> None:
        item = fields.get("item")
        if fields.get("output_index") != len(self._items):
            self._wrong(f"the item {len(self._items)} has the index {fields.get('output_index')}")
        if not isinstance(item, dict):
            self._wrong(f"{kind} without an item")
            item = {}
        self._need(f"the item {item.get('type')}", item, _ITEM_FIELDS.get(str(item.get("type")), ("id",)))
        if any(one.kind in ("message", "reasoning") and not one.is_done for one in self._items):
            self._wrong("an item opens inside a message or reasoning")
        if item.get("id") in [one.id for one in self._items]:
            self._wrong("two items have one id")
        self._items.append(_Item(item))
        self._done.append(None)

    def _item_done(self, kind: str, fields: dict[str, Any]) -> None:
        found = self._open(kind, fields, needs_id=False)
        item = fields.get("item")
        if found is None or not isinstance(item, dict):
            return
        self._need(f"the item {found.kind}", item, _ITEM_FIELDS.get(str(found.kind), ("id",)))
        if (item.get("type"), item.get("id"), item.get("call_id")) != (found.kind, found.id, found.call_id):
            self._wrong("an item changed its identity")
        if found.open_part:
            self._wrong("an item is done while its part is open")
        content = item.get("content", item.get("summary") if found.kind == "reasoning" else None)
        if isinstance(content, list) and len(content) != found.parts and found.kind in ("message", "reasoning"):
            self._wrong(f"an item of {found.parts} parts is done with {len(content)}")
        if found.kind == "function_call" and (not found.is_told or item.get("arguments") != found.text):
            self._wrong("a call is done with other arguments than were told")
        if found.kind == "custom_tool_call" and (not found.is_told or item.get("input") != found.text):
            self._wrong("a call is done with another input than was told")
        found.is_done = True
        self._done[self._items.index(found)] = item

    def _open(self, kind: str, fields: dict[str, Any], *, needs_id: bool = True) -> _Item | None:
        index = fields.get("output_index")
        if not isinstance(index, int) or not 0 <= index < len(self._items) or self._items[index].is_done:
            self._wrong(f"{kind} of an item that is not open")
            return None
        item = self._items[index]
        if needs_id and fields.get("item_id") != item.id:
            self._wrong(f"{kind} has another item id")
        return item

    def _part_added(self, kind: str, fields: dict[str, Any]) -> None:
        item = self._open(kind, fields)
        if item is None:
            return
        part = fields.get("part")
        index = fields.get("summary_index", fields.get("content_index"))
        if item.open_part or index != item.parts or item.kind not in ("message", "reasoning"):
            self._wrong(f"{kind} out of order")
        item.open_part = str(part.get("type")) if isinstance(part, dict) else "?"
        if item.open_part == "output_text":
            self._need("output_text", part, ("text", "annotations"))
        item.text, item.is_told = "", False

    def _part_delta(self, kind: str, fields: dict[str, Any]) -> None:
        item = self._part(kind, fields)
        if item is None:
            return
        if kind == "response.output_text.delta":
            self._need(kind, fields, ("logprobs",))
        delta = fields.get("delta")
        if not isinstance(delta, str) or not delta:
            self._wrong(f"{kind} says nothing")
        else:
            item.text += delta

    def _text_done(self, kind: str, fields: dict[str, Any]) -> None:
        item = self._part(kind, fields)
        if item is None:
            return
        item.is_told = True
        if fields.get("refusal", fields.get("text")) != item.text:
            self._wrong(f"{kind} says something else than its deltas")

    def _part_done(self, kind: str, fields: dict[str, Any]) -> None:
        item = self._part(kind, fields)
        part = fields.get("part")
        if item is None:
            return
        name = _PART_TEXT.get(item.open_part, "text")
        if not isinstance(part, dict) or part.get("type") != item.open_part or part.get(name) != item.text:
            self._wrong(f"{kind} has another part than its deltas made")
        if not item.is_told:
            self._wrong(f"{kind} before the whole was told")
        item.open_part = ""
        item.parts += 1

    def _part(self, kind: str, fields: dict[str, Any]) -> _Item | None:
        item = self._open(kind, fields)
        if item is None:
            return None
        expected = next((part for word, part in _PARTS if word in kind), item.open_part)
        index = fields.get("summary_index", fields.get("content_index"))
        if not item.open_part or item.open_part != expected or index != item.parts:
            self._wrong(f"{kind} without its part open")
            return None
        return item

    def _arguments_delta(self, kind: str, fields: dict[str, Any]) -> None:
        item = self._call(kind, fields)
        if item is not None:
            item.text += str(fields.get("delta") or "")

    def _arguments_done(self, kind: str, fields: dict[str, Any]) -> None:
        item = self._call(kind, fields)
        if item is not None:
            item.is_told = True
            if fields.get("input", fields.get("arguments")) != item.text:
                self._wrong(f"{kind} says something else than its deltas")

    def _call(self, kind: str, fields: dict[str, Any]) -> _Item | None:
        item = self._open(kind, fields)
        expected = "custom_tool_call" if "custom" in kind else "function_call"
        if item is not None and (item.kind != expected or item.is_told):
            self._wrong(f"{kind} of an item that is no open {expected}")
            return None
        return item


_PARTS = (("summary", "summary_text"), ("reasoning_text", "reasoning_text"), ("output_text", "output_text"),
          ("refusal", "refusal"))  # fmt: skip

_CHECKS: Mapping[str, Callable[[Grammar, str, dict[str, Any]], None]] = {
    "response.output_item.added": Grammar._added,
    "response.output_item.done": Grammar._item_done,
    "response.content_part.added": Grammar._part_added,
    "response.content_part.done": Grammar._part_done,
    "response.reasoning_summary_part.added": Grammar._part_added,
    "response.reasoning_summary_part.done": Grammar._part_done,
    "response.output_text.delta": Grammar._part_delta,
    "response.output_text.done": Grammar._text_done,
    "response.output_text.annotation.added": lambda grammar, kind, fields: _ignore(grammar._part(kind, fields)),
    "response.refusal.delta": Grammar._part_delta,
    "response.refusal.done": Grammar._text_done,
    "response.reasoning_summary_text.delta": Grammar._part_delta,
    "response.reasoning_summary_text.done": Grammar._text_done,
    "response.reasoning_text.delta": Grammar._part_delta,
    "response.reasoning_text.done": Grammar._text_done,
    "response.function_call_arguments.delta": Grammar._arguments_delta,
    "response.function_call_arguments.done": Grammar._arguments_done,
    "response.custom_tool_call_input.delta": Grammar._arguments_delta,
    "response.custom_tool_call_input.done": Grammar._arguments_done,
}


def _ignore(_found: _Item | None) -> None:
    """A check whose finding is the violation alone."""
