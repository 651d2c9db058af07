"""A provider's stream as events.

The end is told late: usage may follow the finish reason, so `Finished` waits for `[DONE]` or the end of the bytes. A
stream without a finish reason and without `[DONE]` was cut and has no `Finished`.
"""

from typing import Any

import msgspec

from gateway.dialects.calls import BROKEN_ARGUMENTS, BROKEN_ARGUMENTS_CODE, MAY_CUT_CALLS
from gateway.dialects.codec import UNREADABLE, Origin
from gateway.dialects.openai_chat.finish import FAILURES, finish_of, native
from gateway.dialects.openai_chat.parts import (
    citations_in,
    content_parts,
    first_text,
    images_in,
    sources_in,
)
from gateway.dialects.openai_chat.response import status_in
from gateway.dialects.openai_chat.signatures import details_text, merged_details, native_thinking, state_of
from gateway.dialects.openai_chat.stream_calls import StreamCalls, TooLarge
from gateway.dialects.openai_chat.usage import usage_in
from gateway.dialects.provider_errors import error_text
from gateway.dialects.sse import MAX_EVENT_BYTES, EventSplitter, data_of
from gateway.dialects.surrogates import HalfJoiner, read_json_with_halves
from gateway.domain.chat import Citation, Signature, Text, Thinking
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
from gateway.domain.usage import Usage

_MAX_DETAIL_CHARS = 16 << 20
_IN_PIECES = frozenset(
    {"content", "reasoning_content", "reasoning", "reasoning_text", "text", "summary", "thinking", "arguments", "input"}
)
"""Members of deltas that may be cut within a character."""


class _Delta(msgspec.Struct, frozen=True, gc=False):
    """Every field is read loosely: providers put null, lists and objects where texts should be."""

    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    reasoning_text: Any = None
    reasoning_details: Any = None
    tool_calls: Any = None
    function_call: Any = None
    refusal: Any = None
    annotations: Any = None
    images: Any = None
    extra_content: Any = None


class _Choice(msgspec.Struct, frozen=True, gc=False):
    index: Any = 0
    delta: _Delta | None = None
    message: _Delta | None = None
    text: Any = None
    finish_reason: Any = None
    usage: Any = None


class _Chunk(msgspec.Struct, frozen=True, gc=False):
    choices: list[_Choice] | None = None
    id: Any = ""
    model: Any = ""
    usage: Any = None
    error: Any = None
    x_groq: Any = None
    citations: Any = None
    search_results: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode
_NOTHING = _Delta()


class Decoder:
    """See `codec.StreamDecoder`. Holds one event, the arguments of calls and the details of one block of reasoning."""

    def __init__(self, origin: Origin) -> None:
        self._provider = origin.provider
        self._splitter = EventSplitter()
        self._calls = StreamCalls(origin.provider, origin.request_id)
        self._has_started = False
        self._is_over = False
        self._is_thinking = False
        self._thoughts: list[str] = []
        self._details: list[Any] = []
        self._detail_chars = 0
        self._has_shown = False
        self._has_halves = False
        self._is_named = False
        """The thoughts come in a field of their own; the details repeat them."""
        self._finish_word: str | None = None
        self._usage: Usage | None = None
        self._sources: tuple[Any, Any] = (None, None)
        self._has_text = False
        self._has_citations = False
        self._citations: list[Citation] = []
        self._content_halves = HalfJoiner()
        self._thought_halves = HalfJoiner()

    def feed(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        if self._is_over:
            return events
        for event in self._splitter.feed(data):
            self._read(event, events)
            if self._is_over:
                self._splitter.rest = b""
                return events
        if self._splitter.held_bytes > MAX_EVENT_BYTES:
            self._fail(StreamFailed("the provider sent an event of more than 16 MiB"), events)
        return events

    def end(self) -> list[Event]:
        events: list[Event] = []
        rest, self._splitter.rest = self._splitter.rest, b""
        if rest.strip() and not self._is_over:
            self._read(rest, events, is_last=True)
        if self._finish_word is not None:
            self._finish(events)
        self._is_over = True
        return events

    def _read(self, event: bytes, events: list[Event], *, is_last: bool = False) -> None:
        data = event[6:] if event.startswith(b"data: {") and event.count(b"\n") == 2 else data_of(event).strip()
        if not data:
            return
        if data == b"[DONE]":
            self._finish(events)
            return
        try:
            chunk = _decode(data)
        except UNREADABLE:
            found = _with_halves(data)
            if found is None:
                if not is_last:  # an event that the end cut off says nothing
                    self._fail(StreamFailed("the provider sent an event that cannot be read"), events)
                return
            chunk, self._has_halves = found, True
        if chunk.error or event.startswith(b"event: error"):
            self._fail(_failure(chunk, data), events)
            return
        try:
            self._take(chunk, events)
        except TooLarge:
            self._fail(StreamFailed("the provider's tool calls are larger than 16 MiB"), events)

    def _take(self, chunk: _Chunk, events: list[Event]) -> None:
        if not self._has_started and (chunk.choices or chunk.id):
            self._start(chunk, events)
        if chunk.choices:
            choice = chunk.choices[0]
            if not choice.index:
                self._take_choice(choice, events)
            if choice.usage is not None and chunk.usage is None:
                self._tell(usage_in(choice.usage), events)
        if chunk.usage is not None or chunk.x_groq is not None:
            self._tell(usage_in(chunk.usage, chunk.x_groq), events)
        if chunk.citations is not None or chunk.search_results is not None:
            self._sources = (chunk.citations, chunk.search_results)

    def _start(self, chunk: _Chunk | None, events: list[Event]) -> None:
        if not self._has_started:
            self._has_started = True
            events.append(Started(native(chunk.id), native(chunk.model)) if chunk is not None else Started())

    def _tell(self, usage: Usage | None, events: list[Event]) -> None:
        if usage is not None and usage != self._usage:
            self._usage = usage
            self._start(None, events)
            events.append(UsageTold(usage))

    def _take_choice(self, choice: _Choice, events: list[Event]) -> None:
        delta = choice.delta or choice.message or _NOTHING
        content = delta.content
        is_plain = not (
            delta.reasoning_content or delta.reasoning or delta.reasoning_text or delta.reasoning_details
            or delta.extra_content
        )  # fmt: skip
        if is_plain and isinstance(content, str):
            if content:
                self._add_text(content, events)
        elif content or not is_plain:
            self._take_said(delta, content, events)
        elif choice.text and delta is _NOTHING and isinstance(choice.text, str):
            self._add_text(choice.text, events)
        if delta.refusal and isinstance(delta.refusal, str):
            self._end_thinking(events)
            events.append(RefusalDelta(delta.refusal))
        if delta.tool_calls or delta.function_call:
            self._take_calls(delta, events)
        if delta.annotations or delta.images:
            self._take_extras(delta, events)
        word = choice.finish_reason
        if word and isinstance(word, str):
            if word in FAILURES:
                self._fail(StreamFailed("the provider broke off its answer", 0, word), events)
                return
            self._finish_word = word

    def _take_said(self, delta: _Delta, content: object, events: list[Event]) -> None:
        details = delta.reasoning_details if isinstance(delta.reasoning_details, list) else None
        thought = first_text(delta.reasoning_content, delta.reasoning, delta.reasoning_text)
        if details:
            self._keep_details(details)
            self._is_named = self._is_named or bool(thought)
            thought = thought if self._is_named else details_text(details)
        elif thought:
            self._is_named = True
        if thought:
            self._add_thought(thought, events)
        if isinstance(content, list):
            for part in content_parts(content):
                if isinstance(part, Thinking):
                    self._add_thought(part.text, events)
                elif isinstance(part, Text):
                    self._add_text(part.text, events)
                else:
                    self._end_thinking(events)
                    events.append(ImageMade(part))
        elif isinstance(content, str) and content:
            self._add_text(content, events)
        state = state_of(delta.extra_content)
        if state:
            self._end_thinking(events)
            events.append(TextDelta("", Signature("openai_chat", state, self._provider)))

    def _keep_details(self, details: list[Any]) -> None:
        """Only what is needed to give them back; a block may be long, and its text is among the thoughts already."""
        self._is_thinking = True
        self._details += details
        self._detail_chars += sum(
            len(value)
            for detail in details
            if isinstance(detail, dict)
            for value in detail.values()
            if isinstance(value, str)
        )
        if self._detail_chars > _MAX_DETAIL_CHARS:
            raise TooLarge

    def _add_text(self, text: str, events: list[Event]) -> None:
        if self._is_thinking:
            self._end_thinking(events)
        if self._has_halves:
            text = self._content_halves.feed(text)
        if text:
            self._has_text = True
            events.append(TextDelta(text))

    def _add_thought(self, text: str, events: list[Event]) -> None:
        self._is_thinking = True
        if self._has_halves:
            text = self._thought_halves.feed(text)
        if not text:
            return
        self._has_shown = True
        if self._details:
            self._thoughts.append(text)
        events.append(ThinkingDelta(text))

    def _end_thinking(self, events: list[Event]) -> None:
        if not self._is_thinking:
            return
        self._is_thinking = False
        signature = None
        if self._details:
            signature = native_thinking(
                "".join(self._thoughts), merged_details(self._details), self._provider
            ).signature
        is_redacted = signature is not None and not self._has_shown
        self._details, self._thoughts, self._detail_chars, self._has_shown = [], [], 0, False
        events.append(ThinkingDone(signature, is_redacted=is_redacted))

    def _take_calls(self, delta: _Delta, events: list[Event]) -> None:
        found: list[Event] = []
        for entry in delta.tool_calls if isinstance(delta.tool_calls, list) else ():
            self._calls.feed(entry, found)
        if delta.function_call:
            self._calls.feed_legacy(delta.function_call, found)
        if found:
            self._end_thinking(events)
            events += found

    def _take_extras(self, delta: _Delta, events: list[Event]) -> None:
        self._citations += citations_in(delta.annotations)
        if self._has_text:
            self._cite(events)
        for image in images_in(delta.images):
            self._end_thinking(events)
            events.append(ImageMade(image))

    def _cite(self, events: list[Event]) -> None:
        """Citations wait for the text that they are about."""
        if self._citations:
            self._has_citations = True
            self._end_thinking(events)
            events += map(CitationAdded, self._citations)
            self._citations = []

    def _finish(self, events: list[Event]) -> None:
        """Once: what was held back, then the end."""
        self._is_over = True
        self._start(None, events)
        self._end_thinking(events)
        if self._has_text:
            if not self._has_citations:
                self._citations += sources_in(*self._sources)
            self._cite(events)
        self._calls.finish(events)
        word = self._finish_word
        self._finish_word = None
        finish = finish_of(word, has_calls=self._calls.has_started)
        if self._calls.has_broken and finish not in MAY_CUT_CALLS:
            events.append(StreamFailed(BROKEN_ARGUMENTS, code=BROKEN_ARGUMENTS_CODE))
        else:
            events.append(Finished(finish, native_finish=native(word)))

    def _fail(self, failure: StreamFailed, events: list[Event]) -> None:
        self._is_over = True
        self._finish_word = None
        self._splitter.rest = b""
        self._start(None, events)
        events.append(failure)


def _with_halves(data: bytes) -> _Chunk | None:
    """A chunk with half a character in it, which only the next one completes."""
    if b"\\u" not in data:
        return None
    try:
        return msgspec.convert(read_json_with_halves(data, _IN_PIECES), _Chunk)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return None


def _failure(chunk: _Chunk, data: bytes) -> StreamFailed:
    error = chunk.error
    code = error.get("code") or error.get("type") if isinstance(error, dict) else ""
    return StreamFailed(error_text(data), status_in(error), code if isinstance(code, str) else str(code or ""))
