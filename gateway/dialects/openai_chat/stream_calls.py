"""Tool calls of a stream put together from their deltas, whatever way the provider numbers them.

A delta belongs to a call by these rules, in this order:

1. Its id is a call's id: that call. Some providers repeat id and name in every delta.
2. Its id is new: the call at its index takes the id if it has none yet and has not started (id and name may come apart);
   else it is a new call. So indexes may begin at 1, have gaps, or all be 0.
3. It has no id: the call at its index, or the last one when it has no index; but a name beside arguments that are whole
   already begins a new call, as whole calls without ids do.

A call starts for the hub when it has a name, and an id or arguments; it gets an id made up if there is none. It is done
when the answer finishes, or when the next one starts and its arguments are a whole object. Arguments that do not begin
with `{` (nothing, `null`, a quoted text) wait until then and are put right.
"""

from typing import Any

from gateway.dialects.calls import MAX_ARGUMENT_CHARS, made_up_id
from gateway.dialects.openai_chat.parts import is_whole_object, whole_arguments
from gateway.dialects.openai_chat.signatures import state_of
from gateway.dialects.surrogates import HalfJoiner
from gateway.domain.chat import Signature, ToolKind
from gateway.domain.events import Event, ToolCallDelta, ToolCallDone, ToolCallStarted

MAX_CALLS = 1024

Json = dict[str, Any]


class TooLarge(Exception):
    """The calls of an answer are more than a worker keeps."""


class _Call:
    __slots__ = (
        "at",
        "given",
        "id",
        "index",
        "is_custom",
        "is_done",
        "is_whole",
        "joiner",
        "kept",
        "name",
        "state",
        "waits",
    )

    def __init__(self, at: int | None) -> None:
        self.at = at
        """The provider's index, None = not told."""
        self.given = ""
        """The provider's id; `id` may be one of ours."""
        self.index = -1
        """In the hub; -1 = not started."""
        self.id = ""
        self.name = ""
        self.is_custom = False
        self.is_done = False
        self.is_whole = False
        """Its arguments came as an object, not as text."""
        self.waits = True
        self.kept: list[str] = []
        self.state = ""
        self.joiner = HalfJoiner()

    @property
    def may_go(self) -> bool:
        text = self.text().strip()
        return self.is_custom or (text[:1] == "{" and text != "{}")

    def text(self) -> str:
        if len(self.kept) > 1:
            self.kept = ["".join(self.kept)]
        return self.kept[0] if self.kept else ""


class StreamCalls:
    """`feed` takes one entry of `delta.tool_calls`. Raises TooLarge beyond 16 Mi characters in all, or 1,024 calls."""

    def __init__(self, provider: str, request_id: str) -> None:
        self._provider = provider
        self._request_id = request_id
        self._calls: list[_Call] = []
        self._by_id: dict[str, _Call] = {}
        self._at: dict[int, _Call] = {}
        self._started = 0
        self._chars = 0
        self.has_broken = False
        """A call is over whose arguments are no object."""

    @property
    def has_started(self) -> bool:
        return self._started > 0

    def feed(self, entry: object, events: list[Event]) -> None:
        if not isinstance(entry, dict):
            return
        custom = entry.get("custom")
        is_custom = isinstance(custom, dict) and (entry.get("type") == "custom" or "function" not in entry)
        inner = custom if is_custom else entry.get("function")
        function: Json = inner if isinstance(inner, dict) else {}
        name = function.get("name")
        value = function.get("input" if is_custom else "arguments")
        call = self._find(entry, name if isinstance(name, str) else "", events)
        if is_custom:
            call.is_custom = True
        if not call.name and isinstance(name, str) and name.strip():
            call.name = name
        if "extra_content" in entry:
            call.state = state_of(entry["extra_content"]) or call.state
        if isinstance(value, dict):
            value = "" if call.is_whole else whole_arguments(value or None)
            call.is_whole = value != "{}"
        elif call.is_whole:
            value = ""
        if isinstance(value, str) and value and not call.is_done:
            self._add(call, value, events)
        elif call.index < 0 and call.name and call.id:
            self._start(call, events)

    def feed_legacy(self, function: object, events: list[Event]) -> None:
        """`delta.function_call`, of which an answer has one at most, and no id."""
        if not isinstance(function, dict) or not (self._at.get(0) or function.get("name")):
            return
        call = self._at.get(0) or self._new(0, events)
        if not call.name and isinstance(function.get("name"), str):
            call.name = function["name"]
        value = function.get("arguments")
        if isinstance(value, str) and value:
            self._add(call, value, events)

    def finish(self, events: list[Event]) -> None:
        """All calls are over. One that never got a name cannot be served and is left out."""
        for call in self._calls:
            if call.index < 0 and call.name:
                self._start(call, events)
            self._end(call, events)

    def _find(self, entry: Json, name: str, events: list[Event]) -> _Call:
        given, index = entry.get("id"), entry.get("index")
        at = index if isinstance(index, int) and not isinstance(index, bool) else None
        here = self._at.get(at) if at is not None else (self._calls[-1] if self._calls else None)
        if isinstance(given, str) and given:
            return self._find_by_id(given, at, here, name, events)
        if here is None or (name and here.name and (here.is_done or is_whole_object(here.text()))):
            return self._new(at, events)
        return here

    def _find_by_id(self, given: str, at: int | None, here: _Call | None, name: str, events: list[Event]) -> _Call:
        known = self._by_id.get(given)
        if known is not None:
            if here is not None and here.given == given and name in {"", here.name}:
                return here
            if (at is None or known.at is None or at == known.at) and name in {"", known.name}:
                return known
            call = self._new(at, events)  # two calls with one id: the second gets one of ours
            call.given = given
            return call
        if here is None or here.given or (here.index >= 0 and name):
            here = self._new(at, events)
        here.given = given
        if here.index < 0:
            here.id = given
        self._by_id[given] = here
        return here

    def _new(self, at: int | None, events: list[Event]) -> _Call:
        if len(self._calls) >= MAX_CALLS:
            raise TooLarge
        for earlier in self._calls:
            if not earlier.is_done and earlier.index >= 0 and is_whole_object(earlier.text()):
                self._end(earlier, events)
        call = _Call(at)
        self._calls.append(call)
        if at is not None:
            self._at[at] = call
        return call

    def _add(self, call: _Call, text: str, events: list[Event]) -> None:
        text = call.joiner.feed(text)
        self._chars += len(text)
        if self._chars > MAX_ARGUMENT_CHARS:
            raise TooLarge
        if call.waits and call.text().strip() == "{}" and text.lstrip()[:1] == "{":
            call.kept = []  # an empty object first, then the real one
        call.kept.append(text)
        if call.index < 0:
            if call.name:
                self._start(call, events)
            return
        if not call.waits:
            events.append(ToolCallDelta(call.index, text))
        elif call.may_go:
            self._release(call, events)

    def _start(self, call: _Call, events: list[Event]) -> None:
        call.index = self._started
        self._started += 1
        if not call.id:
            call.id = made_up_id(self._request_id, call.index)
        kind: ToolKind = "custom" if call.is_custom else "function"
        events.append(ToolCallStarted(call.index, call.id, call.name, kind))
        if call.kept and call.may_go:
            self._release(call, events)

    def _release(self, call: _Call, events: list[Event]) -> None:
        call.waits = False
        events.append(ToolCallDelta(call.index, call.text()))

    def _end(self, call: _Call, events: list[Event]) -> None:
        if call.index < 0 or call.is_done:
            return
        call.is_done = True
        if call.waits and not call.is_custom:
            call.kept = [whole_arguments(call.text())]
            events.append(ToolCallDelta(call.index, call.text()))
        if not call.is_custom and not is_whole_object(call.text()):
            self.has_broken = True
        call.kept = []
        signature = Signature("openai_chat", call.state, self._provider) if call.state else None
        events.append(ToolCallDone(call.index, signature))
