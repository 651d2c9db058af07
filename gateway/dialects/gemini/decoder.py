"""A Gemini stream → events. The other half is `encoder.py`.

The stream has no terminator: a finish reason may stand in every chunk (old models), so the answer is over when the body
is, and `end` says how. A bare JSON error may stand between the events (Vertex), and a body may be one JSON array.
"""

from typing import Any

from gateway.dialects.calls import MAX_ARGUMENT_CHARS, made_up_id
from gateway.dialects.codec import UNREADABLE, Origin
from gateway.dialects.gemini.citations import SpokenText, citations_in
from gateway.dialects.gemini.errors import status_of_error, text_of_error, word_of_error
from gateway.dialects.gemini.streamed_args import StreamedArguments
from gateway.dialects.gemini.wire import (
    Call,
    Candidate,
    Chunk,
    Part,
    arguments_of,
    block_reason,
    code_text,
    finish_of,
    finish_word,
    is_fault,
    own_text,
    read_chunk,
    read_chunks,
    usage_of,
)
from gateway.dialects.media import sniff_image
from gateway.dialects.sse import MAX_EVENT_BYTES, EventSplitter, data_of
from gateway.domain.chat import Citation, Image, Signature
from gateway.domain.events import (
    CitationAdded,
    Event,
    Finished,
    ImageMade,
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
from gateway.domain.usage import Usage


class GeminiDecoder:
    """Feed it any split of the bytes. Tool calls come whole in one chunk, or in pieces that are put together first."""

    __slots__ = (
        "_argument_chars", "_call", "_call_signature", "_calls", "_cited", "_finish", "_finish_message", "_has_failed",
        "_has_started", "_ids", "_is_thinking", "_origin", "_raw_usage", "_splitter", "_streamed", "_text", "_usage",
    )  # fmt: skip

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._splitter = EventSplitter()
        self._has_started = False
        self._has_failed = False
        self._is_thinking = False
        self._finish = ""
        self._finish_message = ""
        self._raw_usage: Any = None
        self._usage: Usage | None = None
        self._text = SpokenText()
        self._cited: set[Citation] = set()
        self._ids: set[str] = set()
        self._calls = 0
        self._call: Call | None = None
        self._call_signature: Signature | None = None
        self._streamed = StreamedArguments()
        self._argument_chars = 0

    def feed(self, data: bytes) -> list[Event]:
        if self._has_failed:
            return []
        events: list[Event] = []
        for event in self._splitter.feed(data):
            self._take(event, events)
        if self._splitter.held_bytes > MAX_EVENT_BYTES and not self._has_failed:
            self._splitter.rest = b""
            self._fail(events, f"the provider sent an event of more than {MAX_EVENT_BYTES >> 20} MiB")
        return events

    def take(self, chunks: list[Chunk]) -> list[Event]:
        """Chunks that were read already: an answer that is not streamed."""
        events: list[Event] = []
        for chunk in chunks:
            self._take_chunk(chunk, events)
        return events

    def end(self, *, is_whole: bool = False) -> list[Event]:
        """`is_whole`: nothing can have been cut, so an answer without a finish reason has simply stopped."""
        events: list[Event] = []
        rest, self._splitter.rest = self._splitter.rest, b""
        if rest.strip():
            self._take(rest, events, is_last=True)
        if self._has_failed:
            return events
        has_calls = self._calls > 0 or self._call is not None
        if is_fault(self._finish, has_calls=has_calls):
            self._fail(events, self._finish_message or "the model wrote no usable answer", 502, self._finish)
        elif self._finish or is_whole:
            self._close(events)
            finish = finish_of(self._finish, has_calls=has_calls)
            events.append(Finished(finish=finish, native_finish=self._finish))
        return events

    def _take(self, event: bytes, events: list[Event], *, is_last: bool = False) -> None:
        """One event, or bare JSON in its place. The last one may be cut: then it says nothing."""
        if self._has_failed:
            return
        if event.startswith(b"data: ") and event.find(b"\ndata:", 6) < 0:
            data = event[6:]
        else:
            data = data_of(event) or _bare_json(event)
        if not data or data.startswith(b"[DONE]"):
            return
        try:
            chunks = read_chunks(data) if data.startswith(b"[") else (read_chunk(data),)
        except UNREADABLE:
            if not is_last:
                self._fail(events, "the provider sent what is no answer")
            return
        for chunk in chunks:
            self._take_chunk(chunk, events)

    def _take_chunk(self, chunk: Chunk, events: list[Event]) -> None:
        if self._has_failed:
            return
        if chunk.error:
            error = chunk.error
            self._fail(events, text_of_error(error), status_of_error(error), word_of_error(error))
            return
        if not self._has_started:
            self._has_started = True
            events.append(Started(id=own_text(chunk.response_id), model=own_text(chunk.model_version)))
        if chunk.candidates:
            self._take_candidate(chunk.candidates[0], events)
        if chunk.prompt_feedback is not None and (reason := block_reason(chunk.prompt_feedback)):
            self._finish = self._finish or _blocked(reason)
        if chunk.usage_metadata is not None and chunk.usage_metadata != self._raw_usage:
            self._raw_usage = chunk.usage_metadata
            usage = usage_of(chunk.usage_metadata)
            if usage is not None and usage != self._usage:
                self._usage = usage
                events.append(UsageTold(usage))

    def _take_candidate(self, candidate: Candidate, events: list[Event]) -> None:
        if candidate.content is not None:
            for part in candidate.content.parts or ():
                self._take_part(part, events)
        if (candidate.grounding_metadata or candidate.citation_metadata) and self._text.has_any:
            text = self._text.joined() if self._text.is_whole else ""
            for citation in citations_in(candidate.grounding_metadata, candidate.citation_metadata, text):
                if citation not in self._cited and len(self._cited) < 1000:
                    self._cited.add(citation)
                    events.append(CitationAdded(citation))
        if candidate.finish_reason is not None and (word := finish_word(candidate.finish_reason)):
            self._finish = word
            self._finish_message = own_text(candidate.finish_message)

    def _take_part(self, part: Part, events: list[Event]) -> None:
        signature = self._signature(part.thought_signature) if part.thought_signature else None
        text = part.text
        if part.thought:
            if text or signature:
                self._end_call(events)
                self._is_thinking = True
                if text:
                    events.append(ThinkingDelta(text))
                if signature:
                    self._end_thinking(events, signature)
            return
        if part.function_call is not None:
            self._take_call(part.function_call, signature, events)
            return
        if text is None and (part.executable_code is not None or part.code_execution_result is not None):
            text, signature = code_text(part), None
            self._text.is_whole = False  # the provider's positions do not count it
        if text or (text is not None and signature):
            self._close(events)
            self._text.add(text)
            events.append(TextDelta(text, signature))
        if part.inline_data is not None:
            self._close(events)
            kind = part.inline_data.mime_type or sniff_image(part.inline_data.data)
            if kind.startswith("image/"):
                events.append(ImageMade(Image(media_type=kind, data=part.inline_data.data)))

    def _take_call(self, call: Call, signature: Signature | None, events: list[Event]) -> None:
        """A named call begins a new one; without a name it goes on with the one that is open, or ends it."""
        pieces = call.partial_args if isinstance(call.partial_args, list) else []
        is_streamed = bool(pieces) or call.will_continue is True
        if isinstance(call.name, str) and call.name:
            self._close(events)
            if not is_streamed:
                self._emit_call(call, arguments_of(call.args), signature, events)
                return
            self._call, self._call_signature, self._streamed = call, signature, StreamedArguments()
        if self._call is None:
            return
        self._call_signature = self._call_signature or signature
        before = self._streamed.chars
        if not all(self._streamed.add(piece) for piece in pieces):
            self._fail(events, "the provider sent arguments that cannot be put together")
            return
        self._argument_chars += self._streamed.chars - before
        if self._argument_chars > MAX_ARGUMENT_CHARS:
            self._fail(events, "the provider sent arguments of more than 16 MiB")
        elif call.will_continue is not True:
            self._end_call(events)

    def _end_call(self, events: list[Event]) -> None:
        """The end of a streamed call is not always told: the next part, or the end of the answer, ends it too."""
        if self._call is not None:
            call, self._call = self._call, None
            self._emit_call(call, self._streamed.text(), self._call_signature, events)

    def _emit_call(self, call: Call, arguments: str, signature: Signature | None, events: list[Event]) -> None:
        index = self._calls
        self._calls += 1
        events += (
            ToolCallStarted(index=index, id=self._id_of(call, index), name=call.name),
            ToolCallDelta(index, arguments),
            ToolCallDone(index, signature),
        )

    def _id_of(self, call: Call, index: int) -> str:
        told = own_text(call.id)
        call_id = told if told and told not in self._ids else made_up_id(self._origin.request_id, index)
        self._ids.add(call_id)
        return call_id

    def _close(self, events: list[Event]) -> None:
        """What is open ends before something of another kind begins."""
        self._end_call(events)
        if self._is_thinking:
            self._end_thinking(events, None)

    def _end_thinking(self, events: list[Event], signature: Signature | None) -> None:
        self._is_thinking = False
        events.append(ThinkingDone(signature))

    def _signature(self, data: object) -> Signature | None:
        if not isinstance(data, str):
            return None
        return Signature(dialect="gemini", data=data, provider=self._origin.provider)

    def _fail(self, events: list[Event], message: str, status: int = 0, code: str = "") -> None:
        self._has_failed = True
        if not self._has_started:
            self._has_started = True
            events.append(Started())
        events.append(StreamFailed(message=message, status=status, code=code))


def _bare_json(event: bytes) -> bytes:
    text = event.strip()
    return text if text[:1] in (b"{", b"[") else b""


def _blocked(reason: str) -> str:
    """A blocked prompt's reason as a finish reason: most words are the same."""
    return reason if finish_of(reason, has_calls=False) == "content_filter" else "SAFETY"
