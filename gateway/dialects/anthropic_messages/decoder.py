"""A provider's Messages stream → events. The type is taken from the data: some servers leave the `event` lines out.

Blocks that only this dialect has (server tools and their results, compaction, fallback marks) are skipped; the text and
the citations around them stay.
"""

from typing import Any

from gateway.dialects.anthropic_messages.stream_events import (
    BlockStart,
    WireDelta,
    WireEvent,
    WireMessage,
    read_event,
)
from gateway.dialects.anthropic_messages.wire import (
    ERROR_STATUSES,
    Counts,
    citation_of,
    finish_of,
    json_object,
)
from gateway.dialects.calls import (
    BROKEN_ARGUMENTS,
    BROKEN_ARGUMENTS_CODE,
    MAX_ARGUMENT_CHARS,
    MAY_CUT_CALLS,
    made_up_id,
)
from gateway.dialects.codec import Origin
from gateway.dialects.provider_errors import error_text
from gateway.dialects.sse import MAX_EVENT_BYTES, EventSplitter, data_of
from gateway.domain.chat import Signature
from gateway.domain.dialect import ProviderDialect
from gateway.domain.events import (
    CitationAdded,
    Event,
    Finished,
    Started,
    StreamFailed,
    TextDelta,
    ThinkingDelta,
    ThinkingDone,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStarted,
    UsageTold,
)

_DIALECT: ProviderDialect = "anthropic_messages"


class _Block:
    """A block that has started and not stopped. `first_input` is what a call's start already held."""

    __slots__ = ("arguments", "call", "citations", "first_input", "kind", "signature")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.call = 0
        self.first_input = ""
        self.arguments: list[str] = []
        self.signature = ""
        self.citations: list[Any] = []


class MessagesDecoder:
    """Feed it any split of the bytes. It never raises for what a provider sends."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._splitter = EventSplitter()
        self._counts = Counts()
        self._blocks: dict[int, _Block] = {}
        self._call_ids: set[str] = set()
        self._calls = 0
        self._argument_chars = 0
        self._run_chars = 0
        self._block_chars = 0
        self._stop_reason: str | None = None
        self._stop_sequence = ""
        self._has_started = False
        self._is_thinking = False
        self._has_broken_call = False
        self._is_over = False

    def feed(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        if self._is_over:
            return events
        for raw in self._splitter.feed(data):
            self._take(raw, events)
        if self._splitter.held_bytes > MAX_EVENT_BYTES:
            self._splitter.rest = b""
            self._fail(events, "the provider sent an event that is too long")
        return events

    def end(self) -> list[Event]:
        """The last event may lack its blank line. Without a reason to stop the answer was cut."""
        events: list[Event] = []
        rest, self._splitter.rest = self._splitter.rest, b""
        if rest.strip():
            self._take(rest, events, is_last=True)
        if self._stop_reason is not None:
            self._finish(events)
        return events

    def _take(self, raw: bytes, events: list[Event], *, is_last: bool = False) -> None:
        if self._is_over:
            return
        data = data_of(raw)
        if not data or data == b"[DONE]":
            return
        event = read_event(data)
        if event is None:
            if not is_last:  # a last event that cannot be read is a cut, and told as one
                self._fail(events, "the provider sent an event that cannot be read")
            return
        kind = event.type
        if kind == "content_block_delta":
            if event.delta is not None:
                self._delta(event.index, event.delta, events)
        elif kind == "content_block_start":
            self._start_block(event.index, event.content_block or BlockStart(), events)
        elif kind == "content_block_stop":
            self._stop_block(event.index, events)
        elif kind == "message_start":
            self._start_message(event.message or WireMessage(), events)
        elif kind == "message_delta":
            self._message_delta(event, events)
        elif kind == "message_stop":
            self._finish(events)
        elif kind == "error" or event.error:
            word = event.error.get("type") if isinstance(event.error, dict) else None
            code = word if isinstance(word, str) else ""
            self._fail(events, error_text(data), ERROR_STATUSES.get(code, 0), code)

    # -- the message ---------------------------------------------------------------------------------------------------

    def _start_message(self, message: WireMessage, events: list[Event]) -> None:
        """A second one in a stream (a provider that falls back to another model) only tells new counts."""
        self._counts.take(message.usage)
        if not self._has_started:
            self._has_started = True
            events.append(Started(_string(message.id), _string(message.model), self._counts.usage))

    def _ensure_started(self, events: list[Event]) -> None:
        if not self._has_started:
            self._has_started = True
            events.append(Started())

    def _message_delta(self, event: WireEvent, events: list[Event]) -> None:
        self._ensure_started(events)
        self._counts.take(event.usage)
        if event.delta is not None and event.delta.stop_reason is not None:
            self._stop_reason = event.delta.stop_reason
            self._stop_sequence = event.delta.stop_sequence or ""

    def _finish(self, events: list[Event]) -> None:
        if self._is_over:
            return
        self._ensure_started(events)
        for index in list(self._blocks):
            self._stop_block(index, events)
        finish = finish_of(self._stop_reason, has_calls=self._calls > 0)
        if self._has_broken_call and finish not in MAY_CUT_CALLS:
            self._fail(events, BROKEN_ARGUMENTS, 0, BROKEN_ARGUMENTS_CODE)
            return
        usage = self._counts.usage
        if usage is not None:
            events.append(UsageTold(usage))
        events.append(Finished(finish, self._stop_sequence, self._stop_reason or ""))
        self._is_over = True

    def _fail(self, events: list[Event], message: str, status: int = 0, code: str = "") -> None:
        self._ensure_started(events)
        usage = self._counts.usage
        if usage is not None:
            events.append(UsageTold(usage))
        events.append(StreamFailed(message, status, code))
        self._is_over = True

    # -- blocks --------------------------------------------------------------------------------------------------------

    def _start_block(self, index: int, start: BlockStart, events: list[Event]) -> None:
        self._ensure_started(events)
        if index in self._blocks:
            self._stop_block(index, events)
        self._stop_thinking(events)
        kind = start.type
        if kind == "text":
            block = _Block("text")
            self._block_chars = self._run_chars
            self._text(start.text or "", events)
            if isinstance(start.citations, list):
                block.citations += start.citations
        elif kind == "thinking":
            block = _Block("thinking")
            self._is_thinking = True
            self._run_chars = 0
            block.signature = start.signature or ""
            if start.thinking:
                events.append(ThinkingDelta(start.thinking))
        elif kind == "redacted_thinking":
            self._run_chars = 0
            events.append(ThinkingDone(self._signature(start.data or ""), is_redacted=True))
            return
        elif kind == "tool_use" and start.name:  # nobody could serve a call without a name
            block = _Block("call")
            self._run_chars = 0
            self._start_call(block, start, events)
        else:
            block = _Block("")
        self._blocks[index] = block

    def _start_call(self, block: _Block, start: BlockStart, events: list[Event]) -> None:
        block.call = self._calls
        self._calls += 1
        if start.input:
            block.first_input = bytes(start.input).decode("utf-8", "replace")
        call_id = start.id or ""
        if not call_id or call_id in self._call_ids:
            call_id = made_up_id(self._origin.request_id, block.call)
        self._call_ids.add(call_id)
        events.append(ToolCallStarted(block.call, call_id, start.name or ""))

    def _delta(self, index: int, delta: WireDelta, events: list[Event]) -> None:
        kind = delta.type
        block = self._blocks.get(index)
        if kind == "text_delta":
            if block is None or block.kind == "thinking":  # some servers never start their blocks
                self._start_block(index, BlockStart(type="text"), events)
            elif self._is_thinking:
                self._stop_thinking(events)
            self._text(delta.text, events)
        elif kind == "input_json_delta":
            if block is not None and block.kind == "call" and delta.partial_json:
                self._stop_thinking(events)
                self._arguments(block, delta.partial_json, events)
        elif kind == "thinking_delta":
            if block is None or block.kind != "thinking":
                self._start_block(index, BlockStart(type="thinking"), events)
            if delta.thinking:
                events.append(ThinkingDelta(delta.thinking))
        elif kind == "signature_delta":
            if block is not None:
                block.signature = delta.signature
        elif kind == "citations_delta" and block is not None:
            block.citations.append(delta.citation)

    def _text(self, text: str, events: list[Event]) -> None:
        if text:
            self._run_chars += len(text)
            events.append(TextDelta(text))

    def _arguments(self, block: _Block, text: str, events: list[Event]) -> None:
        self._argument_chars += len(text)
        if self._argument_chars > MAX_ARGUMENT_CHARS:
            self._fail(events, "the provider sent tool arguments that are too long")
            return
        block.arguments.append(text)
        events.append(ToolCallDelta(block.call, text))

    def _stop_block(self, index: int, events: list[Event]) -> None:
        block = self._blocks.pop(index, None)
        if block is None:
            return
        if block.kind == "text":
            for raw in block.citations:
                citation = citation_of(raw, self._block_chars, self._run_chars)
                if citation is not None and self._run_chars:
                    events.append(CitationAdded(citation))
        elif block.kind == "thinking":
            self._is_thinking = False
            events.append(ThinkingDone(self._signature(block.signature) if block.signature else None))
        elif block.kind == "call":
            if not block.arguments:
                first = block.first_input
                events.append(ToolCallDelta(block.call, first if first.startswith("{") else "{}"))
            elif json_object("".join(block.arguments)) is None:
                self._has_broken_call = True
            events.append(ToolCallDone(block.call))

    def _stop_thinking(self, events: list[Event]) -> None:
        """Reasoning ends before anything else begins, also where a server forgets to say so."""
        if not self._is_thinking:
            return
        for index, block in list(self._blocks.items()):
            if block.kind == "thinking":
                self._stop_block(index, events)

    def _signature(self, data: str) -> Signature:
        return Signature(_DIALECT, data, self._origin.provider)


def make_decoder(origin: Origin) -> MessagesDecoder:
    return MessagesDecoder(origin)


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""
