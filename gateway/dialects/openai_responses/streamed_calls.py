"""The calls of a streamed answer as far as they have come: ids of their own, and arguments that join to an object."""

from typing import Any

import msgspec

from gateway.dialects.calls import MAX_ARGUMENT_CHARS
from gateway.dialects.codec import Origin
from gateway.dialects.openai_responses.answer_items import CallIds, call_id_of, is_object, ordinary_arguments
from gateway.domain.events import Event, ToolCallDelta, ToolCallDone, ToolCallStarted


class StreamedCall:
    """One call. It has no `index` until it starts."""

    __slots__ = ("arguments", "id", "index", "is_custom", "is_held", "name", "namespace", "pieces")

    def __init__(self) -> None:
        self.index = -1
        self.id = ""
        self.name = ""
        self.namespace = ""
        self.is_custom = False
        self.pieces: list[str] = []
        self.arguments = ""
        """The whole, once the provider has said it."""
        self.is_held = False
        """Arguments that begin as a JSON string are perhaps an object encoded twice; only the whole can tell."""

    def learn(self, item: dict[str, Any], *, is_custom: bool) -> None:
        """What an item says of it; providers tell the rest only when it is done."""
        self.is_custom = is_custom
        self.id = self.id or call_id_of(item)
        self.name = self.name or str(item.get("name") or "").strip()
        self.namespace = self.namespace or str(item.get("namespace") or "")
        arguments = item.get("input" if is_custom else "arguments")
        if isinstance(arguments, dict):
            arguments = msgspec.json.encode(arguments).decode()
        if isinstance(arguments, str) and arguments:
            self.arguments = arguments


class StreamedCalls:
    """All calls of an answer. `is_broken`: arguments of one that is done are no JSON object."""

    def __init__(self, origin: Origin) -> None:
        self._ids = CallIds(origin)
        self._chars = 0
        self.count = 0
        self.is_broken = False

    def begin(self, call: StreamedCall, events: list[Event], *, is_last_chance: bool) -> None:
        """A call starts when its name and id are known; a call that never gets a name is none."""
        if call.index >= 0 or not call.name or not (call.id or is_last_chance):
            return
        call.index = self.count
        self.count += 1
        call.id = self._ids.take(call.id)
        events.append(
            ToolCallStarted(
                index=call.index,
                id=call.id,
                name=call.name,
                kind="custom" if call.is_custom else "function",
                namespace=call.namespace,
            )
        )
        waiting, call.pieces = call.pieces, []
        for piece in waiting:
            self._pass(call, piece, events)

    def add(self, call: StreamedCall, text: str, events: list[Event]) -> bool:
        """A piece of the arguments; False when there are more than may be held."""
        self._chars += len(text)
        if call.index < 0:
            call.pieces.append(text)
        elif text:
            self._pass(call, text, events)
        return self._chars <= MAX_ARGUMENT_CHARS

    def close(self, call: StreamedCall, events: list[Event]) -> None:
        """What of the arguments has not been passed on, and the end."""
        self.begin(call, events, is_last_chance=True)
        if call.index < 0:
            return
        passed = "".join(call.pieces)
        whole = call.arguments if call.arguments.startswith(passed) else passed
        if call.is_custom:
            rest = whole[len(passed) :]
        elif call.is_held or not passed:
            rest = ordinary_arguments(whole)
        else:
            rest = whole[len(passed) :] if whole.strip() else "{}"
        if rest:
            events.append(ToolCallDelta(call.index, rest))
        if not call.is_custom and not is_object(rest if call.is_held else passed + rest):
            self.is_broken = True
        events.append(ToolCallDone(call.index))
        call.pieces, call.arguments = [], ""

    def _pass(self, call: StreamedCall, text: str, events: list[Event]) -> None:
        if not call.pieces and not call.is_custom and text.lstrip().startswith('"'):
            call.is_held = True
        call.pieces.append(text)
        if not call.is_held:
            events.append(ToolCallDelta(call.index, text))
