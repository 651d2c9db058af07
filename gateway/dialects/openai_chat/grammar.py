"""What a stream of Chat Completions must be so that the official SDKs read it (seen by running them).

Every chunk has `choices`; `tool_calls[].index` is a whole number and counts from 0 without gaps; strings of a delta are
joined, so id and name of a call come once; nothing follows a finish reason but the usage chunk, and nothing `[DONE]`.
"""

from typing import Any

import msgspec

from gateway.dialects.codec import UNREADABLE
from gateway.dialects.sse import data_of

MAX_VIOLATIONS = 20
FINISHES = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
_SAME = ("id", "created", "model")

Json = dict[str, Any]


class _Choice:
    __slots__ = ("calls", "finish", "has_role")

    def __init__(self) -> None:
        self.has_role = False
        self.finish = ""
        self.calls = 0


class Grammar:
    """`feed` one whole event at a time, then `end`. `violations` are short texts, 20 at most."""

    def __init__(self) -> None:
        self.violations: list[str] = []
        self._choices: dict[int, _Choice] = {}
        self._head: dict[str, object] = {}
        self._has_usage = False
        self._has_failed = False
        self._is_done = False

    def feed(self, event: bytes) -> None:
        stripped = event.strip()
        if not stripped or stripped.startswith(b":"):
            return
        self._check(event.endswith(b"\n\n"), "an event without a blank line at its end")
        data = data_of(event).strip()
        self._check(not self._is_done, "an event after [DONE]")
        self._check(not self._has_failed, "an event after an error")
        if data == b"[DONE]":
            self._is_done = True
            self._check(all(choice.finish for choice in self._choices.values()), "[DONE] before a finish reason")
            return
        try:
            chunk = msgspec.json.decode(data)
        except UNREADABLE:
            chunk = None
        if not isinstance(chunk, dict):
            self._check(False, "data that is no JSON object")
            return
        if chunk.get("error"):
            self._has_failed = True
            error = chunk["error"]
            self._check(isinstance(error, dict) and isinstance(error.get("message"), str), "an error without a message")
            return
        self._check_chunk(chunk)

    def end(self) -> None:
        if self._has_failed:
            return
        self._check(self._is_done, "no [DONE]")
        self._check(bool(self._choices), "no choice at all")
        self._check(all(choice.finish for choice in self._choices.values()), "no finish reason")

    def _check(self, is_right: bool, violation: str) -> None:
        if not is_right and len(self.violations) < MAX_VIOLATIONS:
            self.violations.append(violation)

    def _check_chunk(self, chunk: Json) -> None:
        self._check(chunk.get("object") == "chat.completion.chunk", "object is not chat.completion.chunk")
        self._check(isinstance(chunk.get("created"), int), "created is no whole number")
        for name in _SAME:
            value = chunk.get(name)
            self._check(value == self._head.setdefault(name, value), f"{name} changed")
            self._check(value is not None and value != "", f"{name} is missing")
        choices = chunk.get("choices")
        self._check(isinstance(choices, list), "choices is no list")
        for choice in choices if isinstance(choices, list) else ():
            self._check_choice(choice)
        if chunk.get("usage") is not None:
            self._check_usage(chunk["usage"])
        else:
            self._check(bool(choices) or not self._choices, "an empty chunk")

    def _check_choice(self, choice: object) -> None:
        delta = choice.get("delta") if isinstance(choice, dict) else None
        index = choice.get("index") if isinstance(choice, dict) else None
        if not isinstance(choice, dict) or not isinstance(delta, dict) or not isinstance(index, int):
            self._check(False, "a choice without index or delta")
            return
        self._check(not self._has_usage, "a choice after the usage")
        state = self._choices.setdefault(index, _Choice())
        self._check(not state.finish, "a delta after the finish reason")
        self._check(("role" in delta) is not state.has_role, "the role is not in the first delta alone")
        self._check(delta.get("role", "assistant") == "assistant", "the role is not assistant")
        state.has_role = True
        for name in ("content", "refusal", "reasoning_content"):
            self._check(delta.get(name) is None or isinstance(delta[name], str), f"{name} is no text")
        for call in delta.get("tool_calls") or ():
            self._check_call(call, state)
        finish = choice.get("finish_reason")
        if finish is not None:
            self._check(finish in FINISHES, "an unknown finish reason")
            self._check(finish != "stop" or not state.calls, "finish stop though there are calls")
            state.finish = str(finish)

    def _check_call(self, call: object, state: _Choice) -> None:
        index = call.get("index") if isinstance(call, dict) else None
        if not isinstance(call, dict) or not isinstance(index, int):
            self._check(False, "a call without index")
            return
        function = call.get("function") or call.get("custom")
        self._check(isinstance(function, dict), "a call's delta without function or custom")
        function = function if isinstance(function, dict) else {}
        text = function.get("arguments", function.get("input", ""))
        self._check(isinstance(text, str), "arguments are no text")
        if index == state.calls:
            state.calls += 1
            self._check(bool(call.get("id")), "a call without an id")
            self._check(bool(function.get("name")), "a call without a name")
            self._check(call.get("type") in {"function", "custom"}, "a call without its type")
        else:
            self._check(0 <= index < state.calls, "indexes of calls have a gap")
            self._check(not call.get("id") and not function.get("name"), "id or name of a call sent twice")

    def _check_usage(self, usage: object) -> None:
        names = ("prompt_tokens", "completion_tokens", "total_tokens")
        is_right = isinstance(usage, dict) and all(isinstance(usage.get(name), int) for name in names)
        self._check(is_right, "usage without its three counts")
        self._check(not self._has_usage, "usage told twice")
        self._check(all(choice.finish for choice in self._choices.values()), "usage before the finish reason")
        self._has_usage = True
