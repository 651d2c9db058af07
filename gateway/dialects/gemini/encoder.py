"""Events → a stream for a Gemini caller. The other half is `decoder.py`.

What Google's SDKs need: lines that begin with `data: `, no comments, no event names, no terminator; function calls
whole; `error` as the first key of an error. With `Arrival.wants_array` the same chunks are elements of one JSON array.
"""

from typing import Any

import msgspec
from msgspec import structs

from gateway.dialects.codec import Stamp
from gateway.dialects.gemini.citations import SpokenText, grounding_metadata
from gateway.dialects.gemini.errors import encode_error
from gateway.dialects.gemini.response import (
    call_part,
    image_part,
    response_id,
    shows_thoughts,
)
from gateway.dialects.gemini.signatures import marked_unsigned, write_signature
from gateway.dialects.gemini.wire import finish_reason, usage_metadata
from gateway.dialects.surrogates import cleaned_text
from gateway.domain.chat import Citation, Signature
from gateway.domain.events import (
    CitationAdded,
    Event,
    Finished,
    ImageMade,
    RefusalDelta,
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

ARRAY_OPENS = b"["
ARRAY_GOES_ON = b"\n,\n"
ARRAY_ENDS = b"]"

_encode = msgspec.json.Encoder().encode


class _OpenCall:
    __slots__ = ("arguments", "started")

    def __init__(self, started: ToolCallStarted) -> None:
        self.started = started
        self.arguments: list[str] = []


class GeminiEncoder:
    """The signature of reasoning that is not Gemini's rides on the part that follows it, or on an empty text."""

    __slots__ = (
        "_after", "_before", "_calls", "_citations", "_has_called", "_is_array", "_is_over", "_riding", "_shows_thoughts",
        "_stamp", "_tail", "_text", "_text_begins", "_usage", "_wrote",
    )  # fmt: skip

    def __init__(self, stamp: Stamp) -> None:
        self._stamp = stamp
        self._shows_thoughts = shows_thoughts(stamp)
        self._is_array = stamp.arrival.wants_array
        self._before = b"" if self._is_array else b"data: "
        self._after = b"" if self._is_array else b"\r\n\r\n"
        names = b'"modelVersion":' + _encode(stamp.model) + b',"responseId":' + _encode(response_id(stamp.request_id))
        self._tail = b'],"role":"model"},"index":0}],' + names + b"}" + self._after
        self._text_begins = self._before + b'{"candidates":[{"content":{"parts":[{"text":'
        self._calls: dict[int, _OpenCall] = {}
        self._riding = ""
        self._citations: list[Citation] = []
        self._text = SpokenText()
        self._usage: Usage | None = None
        self._wrote = False
        self._has_called = False
        self._is_over = False

    def feed(self, events: list[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if self._is_over:
                break
            self._take(event, out)
        return out[0] if len(out) == 1 else b"".join(out)

    def fail(self, status: int, code: str, message: str, details: dict[str, object] | None = None) -> bytes:
        """The error as the last chunk. An array is closed after it, or no client could read what went wrong."""
        if self._is_over:
            return b""
        self._is_over = True
        out: list[bytes] = []
        self._write(self._before + encode_error(status, code, message, None, details) + self._after, out)
        if self._is_array:
            out.append(ARRAY_ENDS)
        return b"".join(out)

    def _take(self, event: Event, out: list[bytes]) -> None:
        match event:
            case TextDelta(text=text, signature=signature):
                self._text.add(text)
                self._write_text(text, signature, out)
            case ThinkingDelta(text=text):
                if self._shows_thoughts and text:
                    self._write_part({"text": cleaned_text(text), "thought": True}, out)
            case ToolCallDelta(index=index, arguments=arguments):
                if index in self._calls:
                    self._calls[index].arguments.append(arguments)
            case ToolCallStarted(index=index):
                self._calls[index] = _OpenCall(event)
            case ToolCallDone(index=index, signature=signature):
                self._write_call(index, signature, out)
            case UsageTold(usage=usage):
                self._usage = usage
            case ThinkingDone(signature=signature, is_redacted=is_redacted):
                if signature is not None:
                    self._take_signature(signature, is_redacted, out)
            case RefusalDelta(text=text):
                self._text.add(text)
                self._write_text(text, None, out)
            case ImageMade(image=image):
                self._write_part(self._signed(image_part(image), None), out)
            case CitationAdded(citation=citation):
                self._citations.append(citation)
            case Finished():
                self._finish(event, out)
            case StreamFailed(message=message, status=status, code=code):
                out.append(self.fail(status or 502, code or "provider_error", message))
            case _:
                pass

    def _write_text(self, text: str, signature: Signature | None, out: list[bytes]) -> None:
        if signature is not None or self._riding:
            if text or signature is not None:
                self._write_part(self._signed({"text": cleaned_text(text)}, signature), out)
        elif text:
            try:
                told = _encode(text)
            except UnicodeEncodeError:
                told = _encode(cleaned_text(text))
            self._write(self._text_begins + told + b"}" + self._tail, out)

    def _write_call(self, index: int, signature: Signature | None, out: list[bytes]) -> None:
        call = self._calls.pop(index, None)
        if call is not None:
            part = self._signed(call_part(call.started.id, call.started.name, "".join(call.arguments)), signature)
            if not self._has_called and "thoughtSignature" not in part:
                part |= marked_unsigned(self._stamp)
            self._has_called = True
            self._write_part(part, out)

    def _take_signature(self, signature: Signature, is_redacted: bool, out: list[bytes]) -> None:
        if signature.dialect == "gemini":
            if self._shows_thoughts:
                self._write_part({"text": "", "thought": True, "thoughtSignature": signature.data}, out)
            return
        self._let_off(out)
        self._riding = write_signature(signature, "redacted" if is_redacted else "thinking", self._stamp.envelopes)

    def _let_off(self, out: list[bytes]) -> None:
        if self._riding:
            self._write_part(self._signed({"text": ""}, None), out)

    def _signed(self, part: dict[str, Any], own: Signature | None) -> dict[str, Any]:
        if own is not None:
            part["thoughtSignature"] = write_signature(own, "part", self._stamp.envelopes)
        elif self._riding:
            part["thoughtSignature"], self._riding = self._riding, ""
        return part

    def _finish(self, event: Finished, out: list[bytes]) -> None:
        """The last chunk: an empty text as Google sends it, why it ended, sources and usage."""
        for index in sorted(self._calls):
            self._write_call(index, None, out)
        candidate: dict[str, Any] = {
            "content": {"parts": [self._signed({"text": ""}, None)], "role": "model"},
            "finishReason": finish_reason(event.finish, event.native_finish),
            "index": 0,
        }
        if grounding := self._grounding():
            candidate["groundingMetadata"] = grounding
        chunk: dict[str, Any] = {"candidates": [candidate]}
        if self._usage is not None:
            chunk["usageMetadata"] = usage_metadata(self._usage)
        chunk["modelVersion"] = self._stamp.model
        chunk["responseId"] = response_id(self._stamp.request_id)
        self._write(self._before + _encode(chunk) + self._after, out)
        if self._is_array:
            out.append(ARRAY_ENDS)
        self._is_over = True

    def _grounding(self) -> dict[str, Any]:
        if not self._citations:
            return {}
        if self._text.is_whole:
            return grounding_metadata(self._citations, self._text.joined())
        return grounding_metadata((structs.replace(one, start=-1, end=-1) for one in self._citations), "")

    def _write_part(self, part: dict[str, Any], out: list[bytes]) -> None:
        self._write(self._before + b'{"candidates":[{"content":{"parts":[' + _encode(part) + self._tail, out)

    def _write(self, chunk: bytes, out: list[bytes]) -> None:
        if self._is_array:
            out.append(ARRAY_GOES_ON if self._wrote else ARRAY_OPENS)
            self._wrote = True
        out.append(chunk)
