"""The promises of `gateway.domain.events`, checked on what a stream decoder gave."""

import json
from collections.abc import Iterable

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
    ToolCallDelta,
    ToolCallDone,
    ToolCallStarted,
    UsageTold,
)

_CONTENT = (TextDelta, RefusalDelta, ToolCallStarted, ToolCallDelta, ToolCallDone, ImageMade, CitationAdded, Finished)


def broken_rules(events: Iterable[Event], *, is_sound: bool = True) -> list[str]:
    """What the events break, a short text each; nothing if they keep every promise. A stream that was cut keeps them too.

    Arguments are passed on as they come, so those of a provider that lost a piece (not `is_sound`) may be no JSON.
    """
    watch = _Watch()
    for number, event in enumerate(events):
        watch.see(number, event)
    return watch.broken + (watch.left_over() if is_sound else [])


class _Watch:
    def __init__(self) -> None:
        self.broken: list[str] = []
        self._count = 0
        self._ended_by = ""
        self._is_thinking = False
        self._has_text = False
        self._finish = ""
        self._ids: set[str] = set()
        self._started: list[ToolCallStarted] = []
        self._open: dict[int, list[str]] = {}
        self._closed: dict[int, str] = {}

    def see(self, number: int, event: Event) -> None:
        if self._ended_by:
            self._break(f"{type(event).__name__} after {self._ended_by}")
        if isinstance(event, Started) != (number == 0) and not isinstance(event, StreamFailed):
            self._break(f"{type(event).__name__} as event {number}: Started comes first, once")
        if self._is_thinking and isinstance(event, _CONTENT):
            self._break(f"{type(event).__name__} inside a block of reasoning")
        match event:
            case TextDelta():
                self._has_text = True
                if not event.text and event.signature is None:
                    self._break("a TextDelta without text and signature")
            case RefusalDelta() if not event.text:
                self._break("a RefusalDelta without text")
            case CitationAdded() if not self._has_text:
                self._break("a citation before any text")
            case ThinkingDelta():
                self._is_thinking = True
                if not event.text:
                    self._break("a ThinkingDelta without text")
            case ThinkingDone():
                self._is_thinking = False
            case ToolCallStarted():
                self._start(event)
            case ToolCallDelta() if event.index in self._open:
                self._open[event.index].append(event.arguments)
            case ToolCallDone() if event.index in self._open:
                self._closed[event.index] = "".join(self._open.pop(event.index))
            case ToolCallDelta() | ToolCallDone():
                self._break(f"{type(event).__name__} for call {event.index}, which is not open")
            case UsageTold():
                self._check_usage(event)
            case Finished():
                self._ended_by, self._finish = "Finished", event.finish
                if self._open:
                    self._break(f"Finished while calls {sorted(self._open)} are open")
            case StreamFailed():
                self._ended_by = "StreamFailed"
                if not event.message:
                    self._break("a StreamFailed without a message")
            case _:
                pass

    def left_over(self) -> list[str]:
        """Arguments can be judged at the end only: those of a call that ran out of tokens are cut."""
        if self._finish in ("", "length", "content_filter"):
            return []
        if self._started and self._finish not in ("tool_calls", "pause"):
            return [f"the answer has tool calls and finished with {self._finish}"]
        return [
            f"the arguments of call {index} are no JSON object: {text[:60]!r}"
            for index, text in self._closed.items()
            if self._started[index].kind == "function" and not _is_object(text)
        ]

    def _start(self, event: ToolCallStarted) -> None:
        if event.index != len(self._started):
            self._break(f"call {event.index} starts where {len(self._started)} is next")
        if not event.id or event.id in self._ids:
            self._break(f"the id of call {event.index} is empty or not its own: {event.id!r}")
        if not event.name:
            self._break(f"call {event.index} has no name")
        self._ids.add(event.id)
        self._started.append(event)
        self._open[event.index] = []

    def _check_usage(self, event: UsageTold) -> None:
        usage = event.usage
        if min(usage.input, usage.output, usage.cache_read, usage.cache_write, usage.reasoning) < 0:
            self._break(f"a negative count: {usage}")
        if usage.cache_read + usage.cache_write > usage.input:
            self._break(f"more cached than there is: {usage}")
        if usage.reasoning > usage.output:
            self._break(f"more reasoning than output: {usage}")

    def _break(self, what: str) -> None:
        if len(self.broken) < 20:
            self.broken.append(what)


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text, strict=False), dict)
    except (ValueError, RecursionError):
        return False
