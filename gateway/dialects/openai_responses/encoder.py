"""Events → a stream for callers of this dialect.

Every event has its name, its `sequence_number` and the ids that it had from the start: SDKs compare them. An item is
opened before its deltas and closed before another one opens, but for calls, whose deltas may interleave. The last event
repeats the whole output, so the encoder keeps it.
"""

from typing import Any

import msgspec

from gateway.dialects.codec import Stamp
from gateway.dialects.estimate import estimated_tokens, text_tokens
from gateway.dialects.openai_responses.carried import encrypted, sealed_for_call, sealed_for_text
from gateway.dialects.openai_responses.content import annotation_of
from gateway.dialects.openai_responses.errors import error_event
from gateway.dialects.openai_responses.open_items import OpenCall, OpenItem, around
from gateway.dialects.openai_responses.output_items import (
    ItemStatus,
    call_item,
    ended,
    image_item,
    message_item,
    reasoning_item,
    refusal_part,
    response_object,
    stamped_id,
    text_part,
)
from gateway.dialects.sse import event_of
from gateway.domain.chat import Image, Signature
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

_encode = msgspec.json.Encoder().encode


_DELTA = b',"delta":'


class StreamEncoder:
    """Events → bytes. Nothing follows `Finished` or `fail`."""

    def __init__(self, stamp: Stamp) -> None:
        self._stamp = stamp
        self._response = response_object(stamp)
        self._sequence = 0
        self._items: list[dict[str, Any] | None] = []
        """The output; None where an item is still open."""
        self._text: OpenItem | None = None
        self._refusal: OpenItem | None = None
        self._thinking: OpenItem | None = None
        self._calls: dict[int, OpenCall] = {}
        self._usage: Usage | None = None
        self._text_length = 0
        self._is_started = False
        self._is_over = False
        self._is_cut = False

    def feed(self, events: list[Event]) -> bytes:
        """`Finished` writes the end."""
        if len(events) == 1 and self._text is not None:
            event = events[0]
            if type(event) is TextDelta and event.signature is None and not self._is_over:
                return self._text_delta(self._text, event.text)
        self._is_cut = any(isinstance(event, Finished) and event.finish == "length" for event in events)
        out: list[bytes] = []
        for event in events:
            if self._is_over:
                break
            self._one(event, out)
        return b"".join(out)

    def fail(self, status: int, code: str, message: str, details: dict[str, object] | None = None) -> bytes:
        """The error event, and `response.failed` for clients that wait for an end of the response's own."""
        del status
        if self._is_over:
            return b""
        self._is_over = True
        out = [error_event(self._sequence, code, message, None, details)]
        self._sequence += 1
        if self._is_started:
            error = {"code": code, "message": message}
            output = [item for item in self._items if item is not None]
            response = self._response | {"status": "failed", "error": error, "output": output}
            self._write("response.failed", {"response": response}, out)
        return b"".join(out)

    def _one(self, event: Event, out: list[bytes]) -> None:
        if not self._is_started:
            self._start(out)
        match event:
            case TextDelta():
                self._text_event(event, out)
            case ToolCallDelta(index, arguments):
                self._call_delta(index, arguments, out)
            case ThinkingDelta(text):
                self._thinking_delta(text, out)
            case ThinkingDone():
                self._thinking_done(event, out)
            case ToolCallStarted():
                self._call_started(event, out)
            case ToolCallDone(index, signature):
                self._call_done(index, signature, out)
            case RefusalDelta(text):
                self._refusal_delta(text, out)
            case CitationAdded():
                self._citation(event, out)
            case ImageMade(image):
                self._image(image, out)
            case Started():
                self._usage = event.usage or self._usage
            case UsageTold(usage):
                self._usage = usage
            case Finished():
                self._finish(event, out)
            case StreamFailed(message, status, code):
                out.append(self.fail(status, code, message))

    def _start(self, out: list[bytes]) -> None:
        self._is_started = True
        self._write("response.created", {"response": self._response}, out)
        self._write("response.in_progress", {"response": self._response}, out)

    def _finish(self, event: Finished, out: list[bytes]) -> None:
        is_whole = event.finish not in ("length", "content_filter")
        status: ItemStatus = "completed" if is_whole else "incomplete"
        self._end_thinking(None, out)
        self._end_message(out, status)
        for index in tuple(self._calls):
            self._call_done(index, None, out)
        usage = self._usage or self._estimated()
        response = ended(self._response | {"output": self._items}, event.finish, usage)
        self._write(f"response.{response['status']}", {"response": response}, out)
        self._is_over = True

    def _estimated(self) -> Usage:
        asked = self._stamp.request
        shown = [{name: item[name] for name in item if name != "encrypted_content"} for item in self._items if item]
        said = text_tokens(_encode(shown).decode())
        tokens = self._stamp.input_tokens or (estimated_tokens(asked) if asked else 0)
        return Usage(input=tokens, output=said, estimated=True)

    # -- message ------------------------------------------------------------------------------------------------------

    def _text_event(self, event: TextDelta, out: list[bytes]) -> None:
        if event.text:
            out.append(self._text_delta(self._text or self._begin_text(out), event.text))
        if event.signature is not None:
            self._end_thinking(None, out)
            self._end_message(out)
            self._carry(sealed_for_text(event.signature, self._stamp.envelopes), out)

    def _text_delta(self, part: OpenItem, text: str) -> bytes:
        part.pieces.append(text)
        self._text_length += len(text)
        number = self._sequence
        self._sequence = number + 1
        return b"%b%d%b%b%b" % (part.prefix, number, _DELTA, _encode(text), part.suffix)

    def _begin_text(self, out: list[bytes]) -> OpenItem:
        message = self._begin_part(text_part(""), out)
        where = {"item_id": message.id, "output_index": message.index, "content_index": len(message.content)}
        message.prefix, message.suffix = around("response.output_text.delta", where, {"logprobs": []})
        self._text_length = 0
        self._text = message
        return message

    def _begin_part(self, part: dict[str, Any], out: list[bytes]) -> OpenItem:
        """A part of the open message, or of a new one."""
        self._end_thinking(None, out)
        message = self._text or self._refusal
        if message is None:
            message = OpenItem(self._next_id("msg"), self._take_index())
            self._added(message.index, message_item(message.id, [], "in_progress"), out)
        else:
            self._end_part(out)
        where = self._where(message)
        self._write("response.content_part.added", where | {"part": part}, out)
        return message

    def _refusal_delta(self, text: str, out: list[bytes]) -> None:
        if not text:
            return
        refusal = self._refusal
        if refusal is None:
            refusal = self._begin_part(refusal_part(""), out)
            refusal.prefix, refusal.suffix = around("response.refusal.delta", self._where(refusal))
            self._refusal = refusal
        out.append(self._text_delta(refusal, text))

    def _citation(self, event: CitationAdded, out: list[bytes]) -> None:
        """Of a text that has ended by now a client cannot be told any more."""
        part = self._text
        if part is None:
            return
        annotation = annotation_of(event.citation, self._text_length)
        fields = {"annotation_index": len(part.annotations), "annotation": annotation}
        self._write("response.output_text.annotation.added", self._where(part) | fields, out)
        part.annotations.append(annotation)

    def _end_part(self, out: list[bytes]) -> None:
        """The open part is done; its message stays open."""
        message = self._text or self._refusal
        if message is None:
            return
        where, whole = self._where(message), "".join(message.pieces)
        if self._text is not None:
            part = text_part(whole, message.annotations)
            self._write("response.output_text.done", where | {"text": whole, "logprobs": []}, out)
        else:
            part = refusal_part(whole)
            self._write("response.refusal.done", where | {"refusal": whole}, out)
        self._write("response.content_part.done", where | {"part": part}, out)
        message.content.append(part)
        message.pieces, message.annotations = [], []
        self._text = self._refusal = None

    def _end_message(self, out: list[bytes], status: ItemStatus = "completed") -> None:
        message = self._text or self._refusal
        if message is not None:
            self._end_part(out)
            self._done(message.index, message_item(message.id, message.content, status), out)

    def _where(self, message: OpenItem) -> dict[str, Any]:
        return {"item_id": message.id, "output_index": message.index, "content_index": len(message.content)}

    # -- reasoning ----------------------------------------------------------------------------------------------------

    def _thinking_delta(self, text: str, out: list[bytes]) -> None:
        if not text:
            return
        thinking = self._thinking
        if thinking is None:
            self._end_message(out)
            thinking = self._thinking = OpenItem(self._next_id("rs"), self._take_index())
            where = {"item_id": thinking.id, "output_index": thinking.index, "summary_index": 0}
            self._added(thinking.index, reasoning_item(thinking.id, "", ""), out)
            part = {"type": "summary_text", "text": ""}
            self._write("response.reasoning_summary_part.added", where | {"part": part}, out)
            thinking.prefix, thinking.suffix = around("response.reasoning_summary_text.delta", where)
        out.append(self._text_delta(thinking, text))

    def _thinking_done(self, event: ThinkingDone, out: list[bytes]) -> None:
        signature = event.signature
        if self._thinking is not None:
            self._end_thinking(signature, out)
        elif signature is not None:
            self._end_message(out)
            is_native = signature.dialect == "openai_responses"
            item_id = (signature.id if is_native else "") or self._next_id("rs")
            self._carry(encrypted(signature, item_id, self._stamp), out, item_id)

    def _end_thinking(self, signature: Signature | None, out: list[bytes]) -> None:
        thinking = self._thinking
        if thinking is None:
            return
        self._thinking = None
        text = "".join(thinking.pieces)
        where = {"item_id": thinking.id, "output_index": thinking.index, "summary_index": 0}
        self._write("response.reasoning_summary_text.done", where | {"text": text}, out)
        part = {"type": "summary_text", "text": text}
        self._write("response.reasoning_summary_part.done", where | {"part": part}, out)
        kept = encrypted(signature, thinking.id, self._stamp)
        self._done(thinking.index, reasoning_item(thinking.id, text, kept), out)

    def _carry(self, content: str, out: list[bytes], item_id: str = "") -> None:
        """A reasoning item without text."""
        item_id = item_id or self._next_id("rs")
        index = self._take_index()
        self._added(index, reasoning_item(item_id, "", ""), out)
        self._done(index, reasoning_item(item_id, "", content), out)

    # -- calls and pictures -------------------------------------------------------------------------------------------

    def _call_started(self, event: ToolCallStarted, out: list[bytes]) -> None:
        self._end_thinking(None, out)
        self._end_message(out)
        item_id = self._next_id("ctc" if event.kind == "custom" else "fc")
        call = self._calls[event.index] = OpenCall(item_id, self._take_index(), event)
        self._added(call.index, self._call_item(call, "", "in_progress"), out)

    def _call_delta(self, index: int, arguments: str, out: list[bytes]) -> None:
        call = self._calls.get(index)
        if call is None or not arguments:
            return
        call.pieces.append(arguments)
        out.append(b"%b%d%b%b%b" % (call.prefix, self._sequence, _DELTA, _encode(arguments), call.suffix))
        self._sequence += 1

    def _call_done(self, index: int, signature: Signature | None, out: list[bytes]) -> None:
        call = self._calls.pop(index, None)
        if call is None:
            return
        whole = "".join(call.pieces)
        where = {"item_id": call.id, "output_index": call.index}
        if call.started.kind == "custom":
            self._write("response.custom_tool_call_input.done", where | {"input": whole}, out)
        else:
            fields = {"name": call.started.name, "arguments": whole}
            self._write("response.function_call_arguments.done", where | fields, out)
        is_cut = self._is_cut and not self._calls
        self._done(call.index, self._call_item(call, whole, "incomplete" if is_cut else "completed"), out)
        if signature is not None:
            self._end_thinking(None, out)
            self._end_message(out)
            self._carry(sealed_for_call(signature, call.started.id, self._stamp.envelopes), out)

    def _call_item(self, call: OpenCall, arguments: str, status: ItemStatus) -> dict[str, Any]:
        return call_item(
            call.id,
            call.started.id,
            call.started.name,
            arguments,
            is_custom=call.started.kind == "custom",
            namespace=call.started.namespace,
            status=status,
        )

    def _image(self, image: Image, out: list[bytes]) -> None:
        if not image.data:
            self._one(TextDelta(f"![]({image.url})"), out)
            return
        self._end_thinking(None, out)
        self._end_message(out)
        item_id, index = self._next_id("ig"), self._take_index()
        self._added(index, {"id": item_id, "type": "image_generation_call", "status": "in_progress"}, out)
        where = {"item_id": item_id, "output_index": index}
        self._write("response.image_generation_call.in_progress", where, out)
        self._write("response.image_generation_call.completed", where, out)
        self._done(index, image_item(item_id, image, "completed"), out)

    # -- writing ------------------------------------------------------------------------------------------------------

    def _next_id(self, prefix: str) -> str:
        return stamped_id(prefix, self._stamp, len(self._items))

    def _take_index(self) -> int:
        self._items.append(None)
        return len(self._items) - 1

    def _added(self, index: int, item: dict[str, Any], out: list[bytes]) -> None:
        self._write("response.output_item.added", {"output_index": index, "item": item}, out)

    def _done(self, index: int, item: dict[str, Any], out: list[bytes]) -> None:
        self._items[index] = item
        self._write("response.output_item.done", {"output_index": index, "item": item}, out)

    def _write(self, name: str, fields: dict[str, Any], out: list[bytes]) -> None:
        event = {"type": name, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        out.append(event_of(name, _encode(event)))
