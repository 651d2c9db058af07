"""What a Messages stream must look like so that Anthropic's SDKs read it (Python 2.12 run), checked event by event."""

from typing import Any

import msgspec

from gateway.dialects.anthropic_messages.wire import json_object
from gateway.dialects.codec import UNREADABLE
from gateway.dialects.sse import name_and_data

MAX_VIOLATIONS = 20

_DELTAS = {
    "text": {"text_delta": "text", "citations_delta": "citation"},
    "thinking": {"thinking_delta": "thinking", "signature_delta": "signature"},
    "tool_use": {"input_json_delta": "partial_json"},
    "redacted_thinking": {},
}
"""Block → its deltas → the member that holds what a delta adds."""

_MEMBERS: dict[str, tuple[str, ...]] = {
    "text": ("text",),
    "thinking": ("thinking", "signature"),
    "tool_use": ("id", "name", "input"),
    "redacted_thinking": ("data",),
}
_STOP_REASONS = frozenset(
    {"end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded"}
)


class Grammar:
    """Feed it whole events. `violations` are short texts, twenty at most."""

    def __init__(self) -> None:
        self.violations: list[str] = []
        self._state = "new"  # new, open, ending, over
        self._index = -1
        self._block = ""
        self._arguments: list[str] = []
        self._broken_calls: list[int] = []
        self._call_ids: set[str] = set()

    def feed(self, event: bytes) -> None:
        name, data = name_and_data(event)
        if not data:
            if not event.startswith(b":"):
                self._say("an event without data")
            return
        try:
            value = msgspec.json.decode(data)
        except UNREADABLE:
            self._say("data that is not JSON")
            return
        if not isinstance(value, dict):
            self._say("data that is no object")
            return
        kind = value.get("type")
        if kind != name:
            self._say(f"event `{name}` has data of type `{kind}`")
        if kind == "ping":
            return
        if self._state == "over":
            self._say(f"{kind} after the end")
            return
        check = _CHECKS.get(kind) if isinstance(kind, str) else None
        if check is None:
            self._say(f"unknown event `{kind}`")
        else:
            check(self, value)

    def end(self) -> None:
        if self._state != "over":
            self._say("the stream has no end")

    def _is_object(self) -> bool:
        """No arguments at all are an empty object to the SDKs."""
        text = "".join(self._arguments)
        return not text or json_object(text) is not None

    def _say(self, text: str) -> None:
        if len(self.violations) < MAX_VIOLATIONS:
            self.violations.append(text[:200])

    def _message_start(self, value: dict[str, Any]) -> None:
        if self._state != "new":
            self._say("a second message_start")
        self._state = "open"
        message = value.get("message")
        if not isinstance(message, dict):
            self._say("message_start without a message")
            return
        for member, expected in (("type", "message"), ("role", "assistant"), ("content", [])):
            if message.get(member) != expected:
                self._say(f"message_start: {member} is not {expected!r}")
        for member in ("id", "model"):
            if not isinstance(message.get(member), str) or not message[member]:
                self._say(f"message_start without {member}")
        self._check_usage(message.get("usage"), ("input_tokens", "output_tokens"), "message_start")

    def _content_block_start(self, value: dict[str, Any]) -> None:
        self._expect_open("content_block_start")
        if self._block:
            self._say(f"block {self._index} is still open")
        self._index += 1
        if value.get("index") != self._index:
            self._say(f"block index {value.get('index')} in the place of {self._index}")
        block = value.get("content_block")
        kind = block.get("type") if isinstance(block, dict) else None
        if not isinstance(block, dict) or kind not in _MEMBERS:
            self._say(f"a block of type `{kind}`")
            self._block = "text"
            return
        self._block = kind
        self._arguments = []
        for member in _MEMBERS[kind]:
            if member not in block:
                self._say(f"a block `{kind}` without {member}")
        if kind == "tool_use":
            if block.get("id") in self._call_ids or not block.get("id") or not block.get("name"):
                self._say("a call without a name or an id of its own")
            self._call_ids.add(str(block.get("id")))

    def _content_block_delta(self, value: dict[str, Any]) -> None:
        self._expect_block("content_block_delta", value)
        delta = value.get("delta")
        kind = delta.get("type") if isinstance(delta, dict) else None
        member = _DELTAS.get(self._block, {}).get(str(kind))
        if member is None or not isinstance(delta, dict) or member not in delta:
            self._say(f"a delta `{kind}` in a block `{self._block}`")
        elif kind == "input_json_delta":
            self._arguments.append(str(delta[member]))

    def _content_block_stop(self, value: dict[str, Any]) -> None:
        self._expect_block("content_block_stop", value)
        if self._block == "tool_use" and not self._is_object():
            self._broken_calls.append(self._index)
        self._block = ""

    def _message_delta(self, value: dict[str, Any]) -> None:
        self._expect_open("message_delta")
        if self._block:
            self._say(f"block {self._index} is still open")
        self._state = "ending"
        delta = value.get("delta")
        reason = delta.get("stop_reason") if isinstance(delta, dict) else None
        if reason not in _STOP_REASONS:
            self._say(f"stop_reason `{reason}`")
        if self._broken_calls and reason not in ("max_tokens", "model_context_window_exceeded", "refusal"):
            self._say(f"the arguments of block {self._broken_calls[0]} are no JSON object")
        if (reason == "tool_use") is not bool(self._call_ids) and reason in ("tool_use", "end_turn"):
            self._say(f"stop_reason `{reason}` with {len(self._call_ids)} calls")
        self._check_usage(value.get("usage"), ("output_tokens",), "message_delta")

    def _message_stop(self, _: dict[str, Any]) -> None:
        if self._state != "ending":
            self._say("message_stop before message_delta")
        self._state = "over"

    def _error(self, value: dict[str, Any]) -> None:
        error = value.get("error")
        if not isinstance(error, dict) or not all(isinstance(error.get(name), str) for name in ("type", "message")):
            self._say("an error without type and message")
        self._state = "over"

    def _expect_open(self, kind: str) -> None:
        if self._state != "open":
            self._say(f"{kind} before message_start" if self._state == "new" else f"{kind} after message_delta")

    def _expect_block(self, kind: str, value: dict[str, Any]) -> None:
        self._expect_open(kind)
        if not self._block:
            self._say(f"{kind} without a block")
        elif value.get("index") != self._index:
            self._say(f"{kind} of block {value.get('index')} in block {self._index}")

    def _check_usage(self, usage: object, members: tuple[str, ...], kind: str) -> None:
        for member in members:
            count = usage.get(member) if isinstance(usage, dict) else None
            if not isinstance(count, int) or isinstance(count, bool) or count < 0:
                self._say(f"{kind}: usage without {member}")


_CHECKS = {
    "message_start": Grammar._message_start,
    "content_block_start": Grammar._content_block_start,
    "content_block_delta": Grammar._content_block_delta,
    "content_block_stop": Grammar._content_block_stop,
    "message_delta": Grammar._message_delta,
    "message_stop": Grammar._message_stop,
    "error": Grammar._error,
}
