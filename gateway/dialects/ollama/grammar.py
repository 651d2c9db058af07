"""What a stream of `/api/chat` must look like for its clients: lines of JSON, the last of them done."""

import re
from typing import Any

import msgspec

from gateway.dialects.codec import UNREADABLE

_MOST_VIOLATIONS = 20
_WHEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_COUNTS = (
    "prompt_eval_count",
    "eval_count",
    "total_duration",
    "load_duration",
    "prompt_eval_duration",
    "eval_duration",
)


class Grammar:
    """Feed it every line. The official clients decode each line, also an empty one, and raise on `error`."""

    def __init__(self) -> None:
        self.violations: list[str] = []
        self._is_over = False

    def feed(self, event: bytes) -> None:
        if self._is_over:
            self._note("a line after the last one")
        if not event.endswith(b"\n") or event.count(b"\n") != 1:
            self._note("an event is not one line")
        try:
            line = msgspec.json.decode(event)
        except UNREADABLE:
            self._note("a line is not JSON")
            return
        if not isinstance(line, dict):
            self._note("a line is not an object")
        elif "error" in line:
            self._check(isinstance(line["error"], str) and len(line) == 1, "error is not a text alone")
            self._is_over = True
        else:
            self._check_chunk(line)

    def end(self) -> None:
        self._check(self._is_over, "the stream ended without done")

    def _check_chunk(self, line: dict[str, Any]) -> None:
        self._check(isinstance(line.get("model"), str), "model is missing")
        created_at = line.get("created_at")
        self._check(
            isinstance(created_at, str) and _WHEN.fullmatch(created_at) is not None, "created_at is no RFC 3339"
        )
        self._check_message(line.get("message"))
        done = line.get("done")
        self._check(isinstance(done, bool), "done is missing")
        if done:
            self._is_over = True
            self._check(isinstance(line.get("done_reason"), str), "done_reason is missing")
            self._check(all(_is_count(line[name]) for name in _COUNTS if name in line), "a count is no whole number")

    def _check_message(self, message: object) -> None:
        if not isinstance(message, dict):
            self._note("message is missing")
            return
        self._check(message.get("role") == "assistant", "role is not assistant")
        self._check(isinstance(message.get("content"), str), "content is missing")
        self._check(isinstance(message.get("thinking", ""), str), "thinking is no text")
        images = message.get("images", [])
        self._check(isinstance(images, list) and all(isinstance(image, str) for image in images), "images are no texts")
        calls = message.get("tool_calls", [])
        self._check(isinstance(calls, list) and all(map(_is_call, calls)), "a tool call has no name or no object")

    def _check(self, is_good: bool, violation: str) -> None:
        if not is_good:
            self._note(violation)

    def _note(self, violation: str) -> None:
        if len(self.violations) < _MOST_VIOLATIONS:
            self.violations.append(violation)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_call(call: object) -> bool:
    function = call.get("function") if isinstance(call, dict) else None
    return (
        isinstance(function, dict)
        and isinstance(function.get("name"), str)
        and bool(function["name"])
        and isinstance(function.get("arguments"), dict)
    )
