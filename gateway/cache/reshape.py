"""A whole answer as the events of a stream, and a stream's events as one answer. Pure."""

import re
from collections.abc import Iterable

from gateway.dialects.codec import BrokenAnswer
from gateway.domain.chat import Answer, Citation, Finish, Image, Part, Refusal, Signature, Text, Thinking, ToolCall
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
from gateway.domain.usage import Usage

PIECE_CHARS = 48
"""Of a text or of arguments that is told as a stream: some ten words, as providers that batch send them."""

_PIECE = re.compile(rf".{{1,{PIECE_CHARS}}}(?:\s+|$)|.{{{PIECE_CHARS}}}", re.DOTALL)


def batches_of(answer: Answer) -> list[list[Event]]:
    """The answer as a stream would have told it, a batch for each piece that is sent. `Finished` is in the last one."""
    batches: list[list[Event]] = [[Started(id=answer.id, model=answer.model, usage=answer.usage)]]
    calls = 0
    for part in answer.parts:
        if isinstance(part, ToolCall):
            batches += _call(part, calls)
            calls += 1
        else:
            batches += _said(part)
    ending: list[Event] = [] if answer.usage is None else [UsageTold(answer.usage)]
    batches.append([*ending, Finished(answer.finish, answer.stop_sequence, answer.native_finish)])
    return batches


def _said(part: Part) -> list[list[Event]]:
    if isinstance(part, Text):
        said: list[list[Event]] = [[TextDelta(piece)] for piece in _pieces(part.text)]
        if part.signature is not None:
            said.append([TextDelta("", part.signature)])
        return said + [[CitationAdded(citation)] for citation in part.citations]
    if isinstance(part, Refusal):
        return [[RefusalDelta(piece)] for piece in _pieces(part.text)]
    if isinstance(part, Thinking):
        thought: list[list[Event]] = [[ThinkingDelta(piece)] for piece in _pieces(part.text)]
        return [*thought, [ThinkingDone(part.signature, part.is_redacted)]]
    return [[ImageMade(part)]] if isinstance(part, Image) else []


def _call(call: ToolCall, index: int) -> list[list[Event]]:
    started = ToolCallStarted(index, call.id, call.name, call.kind, call.namespace)
    deltas: list[list[Event]] = [[ToolCallDelta(index, piece)] for piece in _pieces(call.arguments)]
    return [[started], *deltas, [ToolCallDone(index, call.signature)]]


def _pieces(text: str) -> list[str]:
    """Cut after words where there are some; together they are the text again."""
    return _PIECE.findall(text)


def answer_of(events: Iterable[Event]) -> Answer:
    """What the events tell, whole. Raises BrokenAnswer for a stream that failed or did not come to its end."""
    gathered = _Gathered()
    for event in events:
        gathered.take(event)
    return gathered.answer()


class _OpenCall:
    def __init__(self, started: ToolCallStarted) -> None:
        self.started = started
        self.arguments: list[str] = []
        self.signature: Signature | None = None


class _Gathered:
    """Parts in the order in which they began."""

    def __init__(self) -> None:
        self._started = Started()
        self._usage: Usage | None = None
        self._finished: Finished | None = None
        self._parts: list[Part | _OpenCall] = []
        self._calls: dict[int, _OpenCall] = {}
        self._texts: list[str] = []
        self._kind: type[Text | Refusal | Thinking] | None = None
        self._citations: list[Citation] = []
        self._signature: Signature | None = None

    def take(self, event: Event) -> None:
        match event:
            case Started():
                self._started, self._usage = event, event.usage
            case TextDelta():
                self._begin(Text)
                self._texts.append(event.text)
                if event.signature is not None:
                    self._signature = event.signature
                    self._close()
            case CitationAdded():
                self._citations.append(event.citation)
            case RefusalDelta():
                self._begin(Refusal)
                self._texts.append(event.text)
            case ThinkingDelta():
                self._begin(Thinking)
                self._texts.append(event.text)
            case ThinkingDone():
                self._begin(Thinking)
                self._end_thinking(event)
            case ToolCallStarted():
                self._close()
                self._calls[event.index] = call = _OpenCall(event)
                self._parts.append(call)
            case ToolCallDelta():
                self._calls[event.index].arguments.append(event.arguments)
            case ToolCallDone():
                self._calls[event.index].signature = event.signature
            case ImageMade():
                self._close()
                self._parts.append(event.image)
            case UsageTold():
                self._usage = event.usage
            case Finished():
                self._finished = event
            case StreamFailed():
                raise BrokenAnswer(event.message or "the stream ended with an error")

    def answer(self) -> Answer:
        self._close()
        if self._finished is None:
            raise BrokenAnswer("the stream was cut")
        finish: Finish = self._finished.finish
        return Answer(
            parts=tuple(_closed_call(part) if isinstance(part, _OpenCall) else part for part in self._parts),
            finish=finish,
            id=self._started.id,
            model=self._started.model,
            stop_sequence=self._finished.stop_sequence,
            native_finish=self._finished.native_finish,
            usage=self._usage,
        )

    def _begin(self, kind: type[Text | Refusal | Thinking]) -> None:
        if self._kind is not kind:
            self._close()
            self._kind = kind

    def _end_thinking(self, done: ThinkingDone) -> None:
        self._parts.append(Thinking("".join(self._texts), done.signature, done.is_redacted))
        self._texts, self._kind = [], None

    def _close(self) -> None:
        kind, text = self._kind, "".join(self._texts)
        if kind is Text and (text or self._signature is not None or self._citations):
            self._parts.append(Text(text, tuple(self._citations), self._signature))
        elif kind is Refusal:
            self._parts.append(Refusal(text))
        elif kind is Thinking:
            self._parts.append(Thinking(text))
        self._texts, self._kind, self._citations, self._signature = [], None, [], None


def _closed_call(call: _OpenCall) -> ToolCall:
    started = call.started
    return ToolCall(
        id=started.id,
        name=started.name,
        arguments="".join(call.arguments) or "{}",
        kind=started.kind,
        namespace=started.namespace,
        signature=call.signature,
    )
