"""What a stream to a Gemini caller must look like, by what google-genai needs (Python 3.4, seen running).

`feed` takes one whole event, or one element of an array stream with `is_array`. Violations are kept, not raised.
"""

from typing import Any

import msgspec

from gateway.dialects.codec import UNREADABLE
from gateway.dialects.gemini.wire import finish_word

_MOST = 20
_FIELDS = (
    "text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode", "codeExecutionResult",
    "toolCall", "toolResponse",
)  # fmt: skip
_COUNTS = (
    "promptTokenCount",
    "candidatesTokenCount",
    "totalTokenCount",
    "thoughtsTokenCount",
    "cachedContentTokenCount",
)


class Grammar:
    """`is_strict`: of our own making, so nothing follows a finish and every chunk tells model and id."""

    def __init__(self, *, is_array: bool = False, is_strict: bool = True) -> None:
        self.violations: list[str] = []
        self._is_array = is_array
        self._is_strict = is_strict
        self._has_finished = False
        self._has_failed = False
        self._ids: set[str] = set()

    def feed(self, event: bytes) -> None:
        data = event if self._is_array else self._data(event)
        if data is None:
            return
        if self._has_failed or (self._has_finished and self._is_strict):
            self._note("something follows the end")
        try:
            chunk = msgspec.json.decode(data)
        except UNREADABLE:
            self._note("a chunk is not JSON")
            return
        if not isinstance(chunk, dict):
            self._note("a chunk is not an object")
        elif "error" in chunk:
            self._check_error(chunk)
        else:
            self._check_chunk(chunk)

    def end(self) -> None:
        if not self._has_finished and not self._has_failed:
            self._note("neither a finish reason nor an error")

    def _data(self, event: bytes) -> bytes | None:
        if not event.endswith((b"\r\n\r\n", b"\n\n")):
            self._note("an event does not end in a blank line")
        lines = event.splitlines()
        while lines and not lines[-1]:
            lines.pop()
        if len(lines) != 1:
            self._note("an event is not one line")
            return None
        if not lines[0].startswith(b"data: {"):
            self._note("a line does not begin with `data: ` and an object")
            return None
        return lines[0][6:]

    def _check_error(self, chunk: dict[str, Any]) -> None:
        self._has_failed = True
        if next(iter(chunk)) != "error":
            self._note("`error` is not the first key")
        error = chunk["error"]
        if not isinstance(error, dict) or not isinstance(error.get("code"), int) or not error.get("message"):
            self._note("an error without code or message")

    def _check_chunk(self, chunk: dict[str, Any]) -> None:
        candidates = chunk.get("candidates")
        if self._is_strict and not (isinstance(chunk.get("modelVersion"), str) and chunk.get("responseId")):
            self._note("a chunk without modelVersion or responseId")
        usage = chunk.get("usageMetadata")
        if usage is not None:
            self._check_usage(usage)
        if not isinstance(candidates, list) or not candidates:
            if "promptFeedback" in chunk:
                self._has_finished = True
            elif self._is_strict:
                self._note("a chunk without candidates")
            return
        for candidate in candidates:
            self._check_candidate(candidate)

    def _check_candidate(self, candidate: object) -> None:
        if not isinstance(candidate, dict):
            self._note("a candidate is not an object")
            return
        if finish_word(candidate.get("finishReason")):
            self._has_finished = True
        content = candidate.get("content")
        if not isinstance(content, dict):
            if self._is_strict:
                self._note("a candidate without content")
            return
        if self._is_strict and content.get("role") != "model":
            self._note("the role is not `model`")
        parts = content.get("parts", [] if not self._is_strict else None)
        if not isinstance(parts, list):
            self._note("parts are not a list")
            return
        for part in parts:
            self._check_part(part)

    def _check_part(self, part: object) -> None:
        if not isinstance(part, dict) or (self._is_strict and sum(name in part for name in _FIELDS) != 1):
            self._note("a part does not hold exactly one thing")
            return
        if "text" in part and not isinstance(part["text"], str):
            self._note("a text is no string")
        call = part.get("functionCall")
        if call is not None and self._is_strict:
            self._check_call(call)

    def _check_call(self, call: object) -> None:
        if not isinstance(call, dict) or not call.get("name") or not isinstance(call.get("args"), dict):
            self._note("a function call without name or args")
        elif "partialArgs" in call or "willContinue" in call:
            self._note("a function call in pieces")
        elif call.get("id") in self._ids:
            self._note("two function calls with one id")
        else:
            self._ids.add(call.get("id", ""))

    def _check_usage(self, usage: object) -> None:
        if not isinstance(usage, dict) or any(
            not isinstance(usage[name], int) or usage[name] < 0 for name in _COUNTS if name in usage
        ):
            self._note("usage that is no counts")

    def _note(self, violation: str) -> None:
        if len(self.violations) < _MOST:
            self.violations.append(violation)
