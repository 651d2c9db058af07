"""A provider's stream of this dialect → events.

Items are told apart by `output_index`, never by id: github-copilot gives an item a new id in every event. Types are
taken from the data, as some providers send no event names. What a provider says only at the end of a part or an item,
and not in deltas before, is taken there.
"""

from collections.abc import Callable
from typing import Any

from gateway.dialects.calls import BROKEN_ARGUMENTS, BROKEN_ARGUMENTS_CODE
from gateway.dialects.codec import UNREADABLE, Origin
from gateway.dialects.openai_responses.answer_items import (
    answered,
    error_of,
    image_of,
    json_object,
    reasoning_text,
    signature_of,
)
from gateway.dialects.openai_responses.content import citation_of
from gateway.dialects.openai_responses.stream_events import WireEvent, decode_event, with_halves
from gateway.dialects.openai_responses.streamed_calls import StreamedCall, StreamedCalls
from gateway.dialects.openai_responses.usage import usage_of
from gateway.dialects.sse import MAX_EVENT_BYTES, EventSplitter, name_and_data
from gateway.dialects.surrogates import HalfJoiner
from gateway.domain.events import (
    CitationAdded,
    Event,
    Finished,
    ImageMade,
    RefusalDelta,
    Started,
    StreamFailed,
    TextDelta,
    ThinkingDelta,
    ThinkingDone,
    UsageTold,
)


class _Slot:
    """One output item as far as it has come."""

    __slots__ = ("call", "citations", "halves", "is_closed", "kind", "part", "said")

    def __init__(self) -> None:
        self.kind = ""
        self.said: set[object] = set()
        """Which parts have given deltas."""
        self.part: tuple[str, int | None] | None = None
        """Of reasoning: the part that the last delta belonged to."""
        self.citations = 0
        self.is_closed = False
        self.halves = HalfJoiner()
        self.call = StreamedCall()


class StreamDecoder:
    """Bytes → events, the same for any split. Holds one event's bytes and the arguments of open calls."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._splitter = EventSplitter()
        self._slots: dict[int | str, _Slot] = {}
        self._last: int | str = 0
        self._thinking: _Slot | None = None
        self._is_started = False
        self._has_text = False
        """Citations are about a text; one that comes before any is left out."""
        self._is_over = False
        self._calls = StreamedCalls(origin)
        self._is_repairing = False

    def feed(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        if self._is_over:
            return events
        for raw in self._splitter.feed(data):
            self._read(raw, events)
            if self._is_over:
                return events
        if self._splitter.held_bytes > MAX_EVENT_BYTES:
            self._fail(events, StreamFailed("the provider sent an event that is larger than the gateway holds"))
        return events

    def end(self) -> list[Event]:
        events: list[Event] = []
        rest, self._splitter.rest = self._splitter.rest, b""
        if rest.strip() and not self._is_over:
            self._read(rest, events)
        return events

    def _read(self, raw: bytes, events: list[Event]) -> None:
        at = raw.find(b"data: ")
        if at in (0, raw.find(b"\n") + 1) and raw.find(b"\n", at) == len(raw) - 2:
            name, data = "", raw[at + 6 : -2]  # the usual two lines, or the one
        else:
            name, data = name_and_data(raw)
        if not data or data.startswith(b"[DONE]"):
            return
        try:
            event = decode_event(data)
        except UNREADABLE:
            repaired = with_halves(data)
            if repaired is None:
                self._fail(events, StreamFailed("the provider sent an event that is not JSON"))
                return
            event = repaired
            self._is_repairing = True
        kind = event.type if isinstance(event.type, str) else name or name_and_data(raw)[0]
        handle = _HANDLERS.get(kind)
        if handle is not None:
            handle(self, event, events)
        elif event.error or kind == "error":
            self._failed(event, events, data)

    # -- life cycle ---------------------------------------------------------------------------------------------------

    def _created(self, event: WireEvent, events: list[Event]) -> None:
        response = event.response if isinstance(event.response, dict) else {}
        self._start(events, str(response.get("id") or ""), str(response.get("model") or ""))

    def _start(self, events: list[Event], answer_id: str = "", model: str = "") -> None:
        if not self._is_started:
            self._is_started = True
            events.append(Started(id=answer_id, model=model))

    def _ended(self, event: WireEvent, events: list[Event]) -> None:
        response = event.response if isinstance(event.response, dict) else {}
        if response.get("error") or response.get("status") in ("failed", "cancelled"):
            self._failed(event, events)
            return
        self._created(event, events)
        output = response.get("output")
        if not self._slots and isinstance(output, list):
            for index, item in enumerate(output):
                self._item(WireEvent(item=item, output_index=index), events, is_done=True)
        for slot in self._slots.values():
            self._close(slot, {}, events)
        usage = usage_of(response.get("usage"))
        if usage is not None:
            events.append(UsageTold(usage))
        incomplete = event.type == "response.incomplete" or response.get("status") == "incomplete"
        if self._calls.is_broken and not incomplete:
            self._fail(events, StreamFailed(BROKEN_ARGUMENTS, code=BROKEN_ARGUMENTS_CODE))
            return
        finish, native = answered(response, is_incomplete=incomplete, has_calls=self._calls.count > 0)
        events.append(Finished(finish=finish, native_finish=native))
        self._is_over = True

    def _failed(self, event: WireEvent, events: list[Event], data: bytes = b"") -> None:
        source: object = event.response if isinstance(event.response, dict) else None
        if source is None:
            source = {"error": event.error} if event.error else json_object(data)
        message, status, code = error_of(source)
        self._fail(events, StreamFailed(message, status=status, code=code))

    def _error(self, event: WireEvent, events: list[Event]) -> None:
        self._failed(event, events)

    def _fail(self, events: list[Event], failed: StreamFailed) -> None:
        self._start(events)
        self._is_over = True
        self._splitter.rest = b""
        events.append(failed)

    # -- items --------------------------------------------------------------------------------------------------------

    def _slot(self, event: WireEvent, *, is_new: bool = False) -> _Slot:
        """By index; by id where a provider leaves it out; else the last one. An index used again is a new item."""
        key: int | str | None = event.output_index
        if key is None:
            key = event.item_id
        if key is None and isinstance(event.item, dict) and isinstance(event.item.get("id"), str):
            key = event.item["id"]
        if key is None:
            key = f"#{len(self._slots)}" if is_new else self._last
        self._last = key
        slot = self._slots.get(key)
        if slot is None or (is_new and slot.is_closed):
            slot = self._slots[key] = _Slot()
        return slot

    def _added(self, event: WireEvent, events: list[Event]) -> None:
        self._item(event, events, is_done=False)

    def _done(self, event: WireEvent, events: list[Event]) -> None:
        self._item(event, events, is_done=True)

    def _item(self, event: WireEvent, events: list[Event], *, is_done: bool) -> None:
        self._start(events)
        item = event.item
        if not isinstance(item, dict):
            return
        slot = self._slot(event, is_new=not is_done)
        slot.kind = slot.kind or str(item.get("type") or "message")
        if slot.kind in ("function_call", "custom_tool_call"):
            self._stop_thinking(events)
            slot.call.learn(item, is_custom=slot.kind == "custom_tool_call")
            self._calls.begin(slot.call, events, is_last_chance=is_done)
        if is_done:
            self._close(slot, item, events)

    def _close(self, slot: _Slot, item: dict[str, Any], events: list[Event]) -> None:
        if slot.is_closed:
            return
        slot.is_closed = True
        if slot.kind == "reasoning":
            self._close_reasoning(slot, item, events)
        elif slot.kind in ("function_call", "custom_tool_call"):
            self._stop_thinking(events)
            self._calls.close(slot.call, events)
        elif slot.kind == "message":
            self._close_message(slot, item, events)
        elif slot.kind == "image_generation_call":
            image = image_of(item)
            if image is not None:
                self._stop_thinking(events)
                events.append(ImageMade(image))

    def _joined(self, slot: _Slot, text: str) -> str:
        """The text to pass on now, half characters joined and hopeless ones replaced."""
        return slot.halves.feed(text) if self._is_repairing else text

    # -- text ---------------------------------------------------------------------------------------------------------

    def _text_delta(
        self, event: WireEvent, events: list[Event], kind: type[TextDelta | RefusalDelta] = TextDelta
    ) -> None:
        delta = event.delta
        if not isinstance(delta, str) or not delta:
            return
        slot = self._slot(event)
        if slot.is_closed:
            return
        slot.kind = slot.kind or "message"
        slot.said.add(event.content_index)
        self._start(events)
        if self._thinking is not None:
            self._stop_thinking(events)
        if text := self._joined(slot, delta):
            self._has_text = self._has_text or kind is TextDelta
            events.append(kind(text))

    def _text_done(self, event: WireEvent, events: list[Event]) -> None:
        if event.content_index not in self._slot(event).said and isinstance(event.text, str):
            event.delta = event.text
            self._text_delta(event, events)

    def _refusal_delta(self, event: WireEvent, events: list[Event]) -> None:
        self._text_delta(event, events, RefusalDelta)

    def _refusal_done(self, event: WireEvent, events: list[Event]) -> None:
        if event.content_index not in self._slot(event).said and isinstance(event.refusal, str):
            event.delta = event.refusal
            self._refusal_delta(event, events)

    def _annotation(self, event: WireEvent, events: list[Event]) -> None:
        slot = self._slot(event)
        slot.citations += 1
        citation = citation_of(event.annotation)
        if citation is not None and self._has_text:
            self._stop_thinking(events)
            events.append(CitationAdded(citation))

    def _close_message(self, slot: _Slot, item: dict[str, Any], events: list[Event]) -> None:
        content = item.get("content")
        for index, part in enumerate(content if isinstance(content, list) else ()):
            if not isinstance(part, dict):
                continue
            if index not in slot.said:
                for name, kind in (("text", TextDelta), ("refusal", RefusalDelta)):
                    value = part.get(name)
                    if isinstance(value, str) and value:
                        self._stop_thinking(events)
                        self._has_text = self._has_text or kind is TextDelta
                        events.append(kind(value))
            annotations = part.get("annotations")
            if not slot.citations and isinstance(annotations, list):
                found = (citation_of(annotation) for annotation in annotations)
                events += [CitationAdded(citation) for citation in found if citation is not None and self._has_text]

    # -- reasoning ----------------------------------------------------------------------------------------------------

    def _summary_delta(self, event: WireEvent, events: list[Event]) -> None:
        self._thought(event, ("summary", event.summary_index), events)

    def _reasoning_delta(self, event: WireEvent, events: list[Event]) -> None:
        self._thought(event, ("content", event.content_index), events)

    def _thought(self, event: WireEvent, part: tuple[str, int | None], events: list[Event]) -> None:
        """An item may tell its reasoning and a summary of it: the first of the two is taken."""
        delta = event.delta
        if not isinstance(delta, str) or not delta:
            return
        slot = self._slot(event)
        if slot.is_closed:
            return
        slot.kind = slot.kind or "reasoning"
        if slot.part is not None and slot.part[0] != part[0]:
            return
        self._start(events)
        if self._thinking is not slot:
            self._stop_thinking(events)
        text = self._joined(slot, delta)
        if slot.part is not None and slot.part != part:
            text = f"\n\n{text}"
        slot.part = part
        slot.said.add(part)
        self._thinking = slot
        if text:
            events.append(ThinkingDelta(text))

    def _summary_done(self, event: WireEvent, events: list[Event]) -> None:
        self._thought_done(event, ("summary", event.summary_index), events)

    def _reasoning_done(self, event: WireEvent, events: list[Event]) -> None:
        self._thought_done(event, ("content", event.content_index), events)

    def _thought_done(self, event: WireEvent, part: tuple[str, int | None], events: list[Event]) -> None:
        if part not in self._slot(event).said and isinstance(event.text, str):
            event.delta = event.text
            self._thought(event, part, events)

    def _stop_thinking(self, events: list[Event]) -> None:
        if self._thinking is not None:
            self._thinking = None
            events.append(ThinkingDone())

    def _close_reasoning(self, slot: _Slot, item: dict[str, Any], events: list[Event]) -> None:
        signature = signature_of(item, self._origin)
        if self._thinking is slot:
            self._thinking = None
            events.append(ThinkingDone(signature))
            return
        text = "" if slot.said else reasoning_text(item)
        if text or signature is not None:
            self._stop_thinking(events)
            if text:
                events.append(ThinkingDelta(text))
            events.append(ThinkingDone(signature, is_redacted=not text))

    # -- calls --------------------------------------------------------------------------------------------------------

    def _arguments_delta(self, event: WireEvent, events: list[Event]) -> None:
        delta = event.delta
        if not isinstance(delta, str) or not delta:
            return
        self._start(events)
        slot = self._slot(event)
        if slot.is_closed:
            return
        if self._thinking is not None:
            self._stop_thinking(events)
        if not self._calls.add(slot.call, self._joined(slot, delta), events):
            self._fail(events, StreamFailed("the arguments of a tool call are larger than the gateway holds"))

    def _arguments_done(self, event: WireEvent, events: list[Event]) -> None:
        call = self._slot(event).call
        whole = event.arguments if isinstance(event.arguments, str) else event.input
        if isinstance(whole, str) and whole:
            call.arguments = whole


_HANDLERS: dict[str, Callable[[StreamDecoder, WireEvent, list[Event]], None]] = {
    "response.created": StreamDecoder._created,
    "response.queued": StreamDecoder._created,
    "response.in_progress": StreamDecoder._created,
    "response.completed": StreamDecoder._ended,
    "response.incomplete": StreamDecoder._ended,
    "response.failed": StreamDecoder._error,
    "response.cancelled": StreamDecoder._error,
    "response.output_item.added": StreamDecoder._added,
    "response.output_item.done": StreamDecoder._done,
    "response.output_text.delta": StreamDecoder._text_delta,
    "response.output_text.done": StreamDecoder._text_done,
    "response.output_text.annotation.added": StreamDecoder._annotation,
    "response.refusal.delta": StreamDecoder._refusal_delta,
    "response.refusal.done": StreamDecoder._refusal_done,
    "response.reasoning_summary_text.delta": StreamDecoder._summary_delta,
    "response.reasoning_summary_text.done": StreamDecoder._summary_done,
    "response.reasoning_text.delta": StreamDecoder._reasoning_delta,
    "response.reasoning_text.done": StreamDecoder._reasoning_done,
    "response.function_call_arguments.delta": StreamDecoder._arguments_delta,
    "response.function_call_arguments.done": StreamDecoder._arguments_done,
    "response.custom_tool_call_input.delta": StreamDecoder._arguments_delta,
    "response.custom_tool_call_input.done": StreamDecoder._arguments_done,
}
