"""Events → a Messages stream. Blocks never overlap on this wire, but calls of other dialects interleave.

While a call is open whatever else comes is held, and written when the call is done: in the order in which it came.
Pictures have no place in an answer of this dialect; its callers have no way to ask for one.
"""

from collections import deque
from typing import Any, cast

import msgspec

from gateway.dialects.anthropic_messages import carried
from gateway.dialects.anthropic_messages.errors import encode_stream_error
from gateway.dialects.anthropic_messages.response import (
    answer_id,
    shows_thinking,
    stop_reason_of,
    usage_or_estimate,
    written_citation,
)
from gateway.dialects.anthropic_messages.wire import usage_fields
from gateway.dialects.codec import Stamp
from gateway.dialects.sse import event_of
from gateway.dialects.surrogates import cleaned_text
from gateway.dialects.tool_names import legal_id, wrapped
from gateway.domain.chat import Signature
from gateway.domain.events import (
    CitationAdded,
    Event,
    Finished,
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

_encode = msgspec.json.Encoder().encode
_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":%b'
_STOP = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
_TAIL = b"}}\n\n"
_DELTAS = {
    "text": b'{"type":"text_delta","text":',
    "thinking": b'{"type":"thinking_delta","thinking":',
    "call": b'{"type":"input_json_delta","partial_json":',
}
_EMPTY: dict[str, dict[str, Any]] = {
    "text": {"type": "text", "text": ""},
    "thinking": {"type": "thinking", "thinking": "", "signature": ""},
}


class _Call:
    """A call that is not written yet, or not all of it. `signature` is known in time if the call came whole."""

    __slots__ = ("arguments", "is_done", "signature", "started")

    def __init__(self, started: ToolCallStarted, signature: Signature | None) -> None:
        self.started = started
        self.signature = signature
        self.arguments: list[str] = []
        self.is_done = False

    @property
    def is_text(self) -> bool:
        """A custom tool's free text: one argument of a function here, so it is written when it is whole."""
        return self.started.kind == "custom"


class MessagesEncoder:
    """One answer. After `Finished` or a failure nothing more is written."""

    def __init__(self, stamp: Stamp) -> None:
        self._stamp = stamp
        self._shows_thinking = shows_thinking(stamp.request)
        self._usage: Usage | None = None
        self._has_started = False
        self._is_over = False
        self._index = 0
        self._open = ""  # text, cited, thinking, call or nothing
        self._prefix = b""  # of a delta of the open block
        self._open_call: _Call | None = None
        self._held: deque[_Call | Event] = deque()
        self._calls: dict[int, _Call] = {}  # not done
        self._call_count = 0
        self._chars = 0
        self._is_refused = False
        self._text_signature: Signature | None = None
        """Gemini's, of the text before: written when something follows it, see `carried`."""

    def feed(self, events: list[Event]) -> bytes:
        out: list[bytes] = []
        for at, event in enumerate(events):
            if self._is_over:
                break
            kind = type(event)
            if kind is TextDelta and self._open == "text" and event.signature is None:  # type: ignore[union-attr]
                text = cast(TextDelta, event).text
                if text:
                    self._chars += len(text)
                    out += (self._prefix, _json(text), _TAIL)
            elif kind is ToolCallDelta:
                self._arguments(cast(ToolCallDelta, event), out)
            elif kind is ToolCallStarted:
                self._start_call(cast(ToolCallStarted, event), events[at + 1 :], out)
            elif kind is ToolCallDone:
                self._end_call(cast(ToolCallDone, event), out)
            elif isinstance(event, Started):
                self._start(event.usage, out)
            elif isinstance(event, UsageTold):
                self._usage = event.usage
            elif isinstance(event, Finished):
                self._finish(event, out)
            elif isinstance(event, StreamFailed):
                out.append(self.fail(event.status or 502, event.code or "upstream_error", event.message))
            elif self._open_call is not None:
                self._held.append(event)
            else:
                self._write(event, out)
        return b"".join(out)

    def fail(self, status: int, code: str, message: str, details: dict[str, object] | None = None) -> bytes:
        """An honest end: an error event, and no `message_stop`."""
        if self._is_over:
            return b""
        self._is_over = True
        return encode_stream_error(status, code, message, None, details)

    # -- the message ---------------------------------------------------------------------------------------------------

    def _start(self, usage: Usage | None, out: list[bytes]) -> None:
        if self._has_started:
            return
        self._has_started = True
        self._usage = usage or self._usage
        told = self._usage if self._usage is not None and self._usage.input else Usage(input=self._stamp.input_tokens)
        fields = usage_fields(told) | {"output_tokens": told.output or 1}
        message: dict[str, Any] = {
            "id": answer_id(self._stamp),
            "type": "message",
            "role": "assistant",
            "model": self._stamp.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": fields,
        }
        out.append(event_of("message_start", _encode({"type": "message_start", "message": message})))

    def _finish(self, finished: Finished, out: list[bytes]) -> None:
        self._start(None, out)
        for call in self._calls.values():
            call.is_done = True
        if self._open_call is not None:
            self._close_call(self._open_call, out)
            self._release(out)
        self._close(out)
        reason = stop_reason_of(
            finished.finish, finished.native_finish, has_calls=self._call_count > 0, is_refused=self._is_refused
        )
        delta = {
            "stop_reason": reason,
            "stop_sequence": finished.stop_sequence if reason == "stop_sequence" else None,
        }
        usage = usage_fields(usage_or_estimate(self._usage, self._stamp, self._chars))
        out.append(event_of("message_delta", _encode({"type": "message_delta", "delta": delta, "usage": usage})))
        out.append(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
        self._is_over = True

    # -- what is no call -----------------------------------------------------------------------------------------------

    def _write(self, event: Event, out: list[bytes]) -> None:
        """Something other than a call, when no call is open."""
        self._start(None, out)
        if isinstance(event, TextDelta):
            self._text(event.text, out)
            if event.signature is not None:
                self._close(out)
                self._text_signature = event.signature
        elif isinstance(event, RefusalDelta):
            self._is_refused = True
            self._text(event.text, out)
        elif isinstance(event, ThinkingDelta):
            self._thought(event.text, out)
        elif isinstance(event, ThinkingDone):
            self._end_thought(event, out)
        elif isinstance(event, CitationAdded) and self._open in ("text", "cited"):
            citation = written_citation(event.citation, self._stamp.envelopes)
            self._delta({"type": "citations_delta", "citation": citation}, out)
            self._open = "cited"  # a citation is about its whole block: the next text begins another

    def _text(self, text: str, out: list[bytes]) -> None:
        if text:
            self._open_block("text", out)
            self._chars += len(text)
            out += (self._prefix, _json(text), _TAIL)

    def _thought(self, text: str, out: list[bytes]) -> None:
        self._chars += len(text)
        if text and self._shows_thinking:
            self._open_block("thinking", out)
            out += (self._prefix, _json(text), _TAIL)

    def _end_thought(self, done: ThinkingDone, out: list[bytes]) -> None:
        """The text of the block, if any was shown, is written already: the signature is due."""
        envelopes = self._stamp.envelopes
        if self._open == "thinking":
            self._delta({"type": "signature_delta", "signature": carried.sealed(done.signature, envelopes)}, out)
            self._close(out)
            return
        block = carried.thinking_block("", done.signature, envelopes, is_redacted=done.is_redacted, shows=True)
        if block is not None:
            self._whole_block(block, out)

    # -- calls ---------------------------------------------------------------------------------------------------------

    def _start_call(self, started: ToolCallStarted, later: list[Event], out: list[bytes]) -> None:
        call = _Call(started, _signature_of(started.index, later))
        self._calls[started.index] = call
        self._call_count += 1
        if self._open_call is not None:
            self._held.append(call)
        else:
            self._start(None, out)
            self._open_call_block(call, out)

    def _arguments(self, delta: ToolCallDelta, out: list[bytes]) -> None:
        call = self._calls.get(delta.index)
        if call is None or not delta.arguments:
            return
        self._chars += len(delta.arguments)
        if call is self._open_call and not call.is_text:
            out += (self._prefix, _json(delta.arguments), _TAIL)
        else:
            call.arguments.append(delta.arguments)

    def _end_call(self, done: ToolCallDone, out: list[bytes]) -> None:
        call = self._calls.pop(done.index, None)
        if call is None:
            return
        call.is_done = True
        if call is not self._open_call:
            call.signature = call.signature or done.signature
            return
        self._close_call(call, out)
        if done.signature is not None and call.signature is None:
            self._whole_block(carried.call_block(_id(call), done.signature, self._stamp.envelopes), out)
        self._release(out)

    def _open_call_block(self, call: _Call, out: list[bytes]) -> None:
        if call.signature is not None:
            self._whole_block(carried.call_block(_id(call), call.signature, self._stamp.envelopes), out)
        self._close(out)
        block = {"type": "tool_use", "id": _id(call), "name": call.started.name, "input": {}}
        self._begin("call", block, out)
        self._open_call = call
        if call.arguments and not call.is_text:
            out += (self._prefix, _json("".join(call.arguments)), _TAIL)
            call.arguments.clear()

    def _close_call(self, call: _Call, out: list[bytes]) -> None:
        if call.is_text:
            out += (self._prefix, _json(wrapped("".join(call.arguments))), _TAIL)
        self._open_call = None
        self._close(out)

    def _release(self, out: list[bytes]) -> None:
        """What was held may follow, up to the next call that is not whole yet."""
        while self._held and self._open_call is None:
            held = self._held.popleft()
            if not isinstance(held, _Call):
                self._write(held, out)
                continue
            self._open_call_block(held, out)
            if held.is_done:
                self._close_call(held, out)

    # -- blocks --------------------------------------------------------------------------------------------------------

    def _open_block(self, kind: str, out: list[bytes]) -> None:
        if self._open != kind:
            self._close(out)
            self._begin(kind, _EMPTY[kind], out)

    def _begin(self, kind: str, block: dict[str, Any], out: list[bytes]) -> None:
        if self._text_signature is not None:
            signature, self._text_signature = self._text_signature, None
            self._whole_block(carried.text_block(signature, self._stamp.envelopes), out)
        index = self._index
        out.append(
            event_of(
                "content_block_start", _encode({"type": "content_block_start", "index": index, "content_block": block})
            )
        )
        self._open = kind
        self._prefix = _DELTA % (index, _DELTAS[kind])

    def _delta(self, delta: dict[str, Any], out: list[bytes]) -> None:
        data = _encode({"type": "content_block_delta", "index": self._index, "delta": delta})
        out.append(event_of("content_block_delta", data))

    def _whole_block(self, block: dict[str, Any], out: list[bytes]) -> None:
        """A block that nothing is added to but a signature, which has a delta of its own."""
        self._close(out)
        signature = block.get("signature")
        self._begin("thinking", block | {"signature": ""} if signature is not None else block, out)
        if signature is not None:
            self._delta({"type": "signature_delta", "signature": signature}, out)
        self._close(out)

    def _close(self, out: list[bytes]) -> None:
        if self._open:
            out.append(_STOP % self._index)
            self._open = ""
            self._index += 1


def make_encoder(stamp: Stamp) -> MessagesEncoder:
    return MessagesEncoder(stamp)


def _json(text: str) -> bytes:
    """Half a character cannot be written as UTF-8."""
    try:
        return _encode(text)
    except UnicodeEncodeError:
        return _encode(cleaned_text(text))


def _signature_of(index: int, later: list[Event]) -> Signature | None:
    """Of a call that comes whole: Gemini's stands before the call on this wire."""
    for event in later:
        if isinstance(event, ToolCallDone) and event.index == index:
            return event.signature
    return None


def _id(call: _Call) -> str:
    return legal_id(call.started.id)
