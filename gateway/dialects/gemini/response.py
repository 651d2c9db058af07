"""Gemini answers that are not streamed. An array of chunks (a stream asked for without `alt=sse`) is read as one answer."""

import json
from typing import Any

import msgspec
from msgspec import structs

from gateway.dialects.codec import UNREADABLE, BrokenAnswer, Origin, Reading, Stamp
from gateway.dialects.gemini.citations import grounding_metadata
from gateway.dialects.gemini.decoder import GeminiDecoder
from gateway.dialects.gemini.errors import status_of_error, text_of_error
from gateway.dialects.gemini.signatures import marked_unsigned, write_signature
from gateway.dialects.gemini.wire import (
    Chunk,
    block_reason,
    finish_reason,
    finish_word,
    is_fault,
    own_text,
    read_chunks,
    usage_metadata,
    usage_of,
)
from gateway.dialects.surrogates import cleaned_text, json_text
from gateway.domain.chat import Answer, Citation, Image, Part, Refusal, Signature, Text, Thinking, ToolCall
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

_encode = msgspec.json.Encoder().encode


def read_answer(body: bytes) -> Reading:
    """Judge a body that came with a status of 200. A refused prompt is an answer, a broken function call is not."""
    if not body.strip():
        return Reading(kind="empty", message="the provider sent an empty answer")
    try:
        chunks = read_chunks(body)
    except UNREADABLE:
        return Reading(kind="not_json", message="the provider's answer is not a completion")
    usage = next((found for chunk in reversed(chunks) if (found := usage_of(chunk.usage_metadata))), None)
    for chunk in chunks:
        if chunk.error:
            return Reading(
                kind="error", message=text_of_error(chunk.error), error_status=status_of_error(chunk.error), usage=usage
            )
        if fault := _fault(chunk):
            return Reading(kind="error", message=fault, usage=usage)
    if not any(chunk.candidates or block_reason(chunk.prompt_feedback) for chunk in chunks):
        return Reading(kind="empty", message="the provider's answer has no candidates", usage=usage)
    return Reading(kind="answer", usage=usage)


def decode_response(body: bytes, origin: Origin) -> Answer:
    """A provider's answer. Raises BrokenAnswer. One reading of parts for both: the stream's decoder does the work."""
    decoder = GeminiDecoder(origin)
    try:
        chunks = read_chunks(body)
    except UNREADABLE as error:
        raise BrokenAnswer("the provider's answer is not a completion") from error
    if not any(chunk.candidates or chunk.error or block_reason(chunk.prompt_feedback) for chunk in chunks):
        raise BrokenAnswer("the provider's answer has no candidates")
    return _collected([*decoder.take(chunks), *decoder.end(is_whole=True)])


def encode_response(answer: Answer, stamp: Stamp) -> bytes:
    """An answer for a Gemini caller."""
    candidate: dict[str, Any] = {
        "content": {"parts": _wire_parts(answer.parts, stamp), "role": "model"},
        "finishReason": finish_reason(answer.finish, answer.native_finish),
        "index": 0,
    }
    if grounding := _grounding(answer.parts):
        candidate["groundingMetadata"] = grounding
    body: dict[str, Any] = {"candidates": [candidate]}
    if answer.usage is not None:
        body["usageMetadata"] = usage_metadata(answer.usage)
    return _encode({**body, "modelVersion": stamp.model, "responseId": response_id(stamp.request_id)})


def response_id(request_id: str) -> str:
    return request_id.replace("-", "")


def call_part(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    """A `functionCall` part; its arguments as the model wrote them."""
    return {"functionCall": {"id": call_id, "name": name, "args": arguments_object(arguments)}}


def arguments_object(arguments: str) -> Any:
    """JSON text of an object as it stands. What is no object (the wire has nothing else) goes into one: `{"input": …}`."""
    text = cleaned_text(arguments).strip()
    try:
        value = _read_json(text) if text and text != "null" else {}
        if isinstance(value, str):  # an object that was made text twice
            text = value
            value = _read_json(text)
    except (ValueError, RecursionError):
        return {"input": cleaned_text(arguments)}
    if isinstance(value, dict):
        return msgspec.Raw(_one_line(text, value)) if value else {}
    return {"input": value}


def image_part(image: Image) -> dict[str, Any]:
    if image.data:
        return {"inlineData": {"mimeType": image.media_type or "image/png", "data": image.data}}
    return {"fileData": {"mimeType": image.media_type or "image/png", "fileUri": image.url}}


def shows_thoughts(stamp: Stamp) -> bool:
    """Only a caller who asked for `includeThoughts` gets them."""
    reasoning = stamp.request.reasoning if stamp.request else None
    return reasoning is not None and reasoning.shows is True


def _read_json(text: str) -> Any:
    """Half characters written as escapes are no error here: `_one_line` replaces them."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return json.loads(text)


def _one_line(text: str, value: object) -> bytes:
    """The text as it came where it can stand in a line of a stream: numbers keep their form."""
    raw = text.encode()
    try:
        return (
            msgspec.json.format(raw, indent=-1)
            if b"\n" in raw or b"\r" in raw
            else bytes(msgspec.json.decode(raw, type=msgspec.Raw))
        )
    except msgspec.DecodeError:
        return json_text(value)


def _fault(chunk: Chunk) -> str:
    for candidate in chunk.candidates or ():
        parts = (candidate.content.parts if candidate.content else None) or ()
        word = finish_word(candidate.finish_reason)
        if is_fault(word, has_calls=any(part.function_call is not None for part in parts)):
            return own_text(candidate.finish_message) or f"the model wrote no usable answer ({word})"
    return ""


class _Collector:
    """Events of one answer, gathered into parts."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.usage: Usage | None = None
        self.started = Started()
        self.finished: Finished | None = None
        self._thought: list[str] = []

    def take(self, event: Event) -> None:
        match event:
            case Started():
                self.started = event
            case TextDelta(text=text, signature=signature):
                self._add_text(text, signature)
            case ThinkingDelta(text=text):
                self._thought.append(text)
            case ThinkingDone(signature=signature):
                self.parts.append(Thinking("".join(self._thought), signature))
                self._thought = []
            case ToolCallStarted(id=call_id, name=name):
                self.parts.append(ToolCall(id=call_id, name=name))
            case ToolCallDelta(arguments=arguments):
                self._change_call(arguments=arguments)
            case ToolCallDone(signature=signature):
                self._change_call(signature=signature)
            case ImageMade(image=image):
                self.parts.append(image)
            case CitationAdded(citation=citation):
                self._add_citation(citation)
            case UsageTold(usage=usage):
                self.usage = usage
            case Finished():
                self.finished = event
            case StreamFailed(message=message):
                raise BrokenAnswer(message)
            case _:
                pass

    def _add_text(self, text: str, signature: Signature | None) -> None:
        last = self.parts[-1] if self.parts else None
        if signature is None and isinstance(last, Text) and last.signature is None:
            self.parts[-1] = structs.replace(last, text=last.text + text)
        else:
            self.parts.append(Text(text, signature=signature))

    def _change_call(self, **changes: Any) -> None:
        call = self.parts[-1]
        if isinstance(call, ToolCall):
            self.parts[-1] = structs.replace(call, **changes)

    def _add_citation(self, citation: Citation) -> None:
        """Positions count in the whole answer's text on the wire, and in one part here."""
        before = 0
        last = -1
        for place, part in enumerate(self.parts):
            if not isinstance(part, Text):
                continue
            if not part.text:
                continue
            last = place
            if citation.start < before + len(part.text):
                break
            before += len(part.text)
        if last < 0:
            self.parts.append(Text("", citations=(citation,)))
            return
        text = self.parts[last]
        if isinstance(text, Text):
            inside = citation
            if citation.start >= 0:
                end = min(citation.end - before, len(text.text))
                inside = structs.replace(citation, start=citation.start - before, end=end)
            self.parts[last] = structs.replace(text, citations=(*text.citations, inside))


def _collected(events: list[Event]) -> Answer:
    collector = _Collector()
    for event in events:
        collector.take(event)
    finished = collector.finished
    if finished is None:
        raise BrokenAnswer("the provider's answer is not complete")
    return Answer(
        parts=tuple(collector.parts),
        finish=finished.finish,
        id=collector.started.id,
        model=collector.started.model,
        native_finish=finished.native_finish,
        usage=collector.usage,
    )


def _wire_parts(parts: tuple[Part, ...], stamp: Stamp) -> list[dict[str, Any]]:
    """The signature of reasoning that cannot stand on a thought of ours rides on the part that follows it."""
    written: list[dict[str, Any]] = []
    riding = ""
    for part in parts:
        if isinstance(part, Thinking):
            if riding:
                written.append({"text": "", "thoughtSignature": riding})
                riding = ""
            riding = _write_thought(part, written, stamp)
            continue
        wire = _wire_part(part)
        if wire is None:
            continue
        own = part.signature if isinstance(part, Text | ToolCall) else None
        if own is not None:
            wire["thoughtSignature"] = write_signature(own, "part", stamp.envelopes)
        elif riding:
            wire["thoughtSignature"], riding = riding, ""
        elif isinstance(part, ToolCall) and not any("functionCall" in one for one in written):
            wire |= marked_unsigned(stamp)
        written.append(wire)
    if riding:
        written.append({"text": "", "thoughtSignature": riding})
    return written


def _write_thought(part: Thinking, written: list[dict[str, Any]], stamp: Stamp) -> str:
    """Write the thought if it is to be seen; what is left to ride on the next part."""
    shows = shows_thoughts(stamp)
    is_native = part.signature is not None and part.signature.dialect == "gemini"
    if shows and (part.text or is_native):
        thought: dict[str, Any] = {"text": cleaned_text(part.text), "thought": True}
        if part.signature is not None and is_native:
            thought["thoughtSignature"] = part.signature.data
        written.append(thought)
    if part.signature is None or is_native:
        return ""
    return write_signature(part.signature, "redacted" if part.is_redacted else "thinking", stamp.envelopes)


def _wire_part(part: Part) -> dict[str, Any] | None:
    match part:
        case Text(text=text, signature=signature):
            return {"text": cleaned_text(text)} if text or signature else None
        case Refusal(text=text):
            return {"text": cleaned_text(text)}
        case Image():
            return image_part(part)
        case ToolCall():
            return call_part(part.id, part.name, part.arguments)
        case _:
            return None


def _grounding(parts: tuple[Part, ...]) -> dict[str, Any]:
    """Positions within each text become positions in the whole answer's text."""
    text = ""
    moved: list[Citation] = []
    for part in parts:
        if isinstance(part, Text):
            for citation in part.citations:
                is_placed = citation.start >= 0
                moved.append(
                    structs.replace(citation, start=citation.start + len(text), end=citation.end + len(text))
                    if is_placed
                    else citation
                )
            text += part.text
    return grounding_metadata(moved, text)
