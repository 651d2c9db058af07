"""A streamed answer from one dialect to another, with the face of a tap: bytes of the provider in, bytes of the caller out."""

from collections.abc import Mapping
from typing import Protocol

from gateway.dialects.codec import Grammar, StreamDecoder, StreamEncoder, ToolName
from gateway.dialects.sse import EventSplitter
from gateway.dialects.tool_names import NameRestorer
from gateway.domain.events import Event, Finished, Started, StreamFailed, UsageTold
from gateway.domain.usage import Usage


class EventFilter(Protocol):
    """Changes events on their way; may hold some back until `end`."""

    def feed(self, events: list[Event]) -> list[Event]: ...

    def end(self) -> list[Event]: ...


class Translation:
    """One stream. A provider's error event ends it with the caller's own; `is_done` then, and `error` says what it was."""

    held_bytes = 0
    """The decoder's own bound holds."""

    def __init__(
        self,
        decoder: StreamDecoder,
        encoder: StreamEncoder,
        names: Mapping[str, ToolName],
        input_tokens: int,
        grammar: Grammar | None = None,
        filtered: EventFilter | None = None,
    ) -> None:
        """`input_tokens` is an estimate, for a provider that tells no usage: some clients cannot do without."""
        self._decoder = decoder
        self._encoder = encoder
        self._input_tokens = input_tokens
        self._grammar = grammar
        self._filter = filtered
        self._written = EventSplitter()
        self._restorer = NameRestorer(names) if names else None
        self.usage: Usage | None = None
        self.chunks = 0
        self.is_done = False
        self.error = ""

    @property
    def is_complete(self) -> bool:
        return self.is_done

    def feed(self, data: bytes) -> bytes:
        return self._checked(self._translate(self._decoder.feed(data)))

    def take_rest(self) -> bytes:
        if self.is_done:
            return b""
        out = self._translate(self._decoder.end())
        if self._filter is not None and not self.is_done:
            out += self._encoder.feed(self._filter.end())
        return self._checked(out)

    def violations(self) -> list[str]:
        """What the grammar has found in all that was written; empty without one."""
        if self._grammar is None:
            return []
        self._grammar.end()
        return self._grammar.violations

    def fail(self, status: int, code: str, message: str, details: dict[str, object] | None = None) -> bytes:
        """An honest end of ours."""
        return self._checked(self._encoder.fail(status, code, message, details))

    def _checked(self, out: bytes) -> bytes:
        if self._grammar is not None:
            for event in self._written.feed(out):
                self._grammar.feed(event)
        return out

    def _translate(self, events: list[Event]) -> bytes:
        if not events or self.is_done:
            return b""
        if self._restorer is not None:
            events = self._restorer.feed(events)
        if self._filter is not None:
            events = self._filter.feed(events)
        failed: StreamFailed | None = None
        for event in events:
            if isinstance(event, UsageTold):
                self.usage = event.usage
            elif isinstance(event, Finished):
                self.is_done = True
                if self.usage is None:
                    self.usage = Usage(input=self._input_tokens, output=self.chunks, estimated=True)
                    events = [*events[:-1], UsageTold(self.usage), event]
            elif isinstance(event, StreamFailed):
                failed = event
            elif isinstance(event, Started):
                self.usage = event.usage or self.usage
            else:
                self.chunks += 1
        if failed is None:
            return self._encoder.feed(events)
        self.is_done = True
        self.error = failed.message or "the provider ended the stream with an error"
        out = self._encoder.feed([event for event in events if not isinstance(event, StreamFailed)])
        return out + self._encoder.fail(failed.status or 502, failed.code or "upstream_error", self.error)
