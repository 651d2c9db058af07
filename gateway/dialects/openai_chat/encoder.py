"""Events as a stream of chunks: role first, `[DONE]` last, and what is frequent written from templates.

The official SDKs join every string of a delta to what came before, so ids and names of calls are sent once.
"""

from typing import Any

from gateway.dialects.codec import Stamp
from gateway.dialects.openai_chat.answer import completion_id, is_legacy_caller, shows_thoughts
from gateway.dialects.openai_chat.errors import encode_stream_error
from gateway.dialects.openai_chat.finish import word_of
from gateway.dialects.openai_chat.parts import annotation, image_parts
from gateway.dialects.openai_chat.signatures import extra_content, sealed_details
from gateway.dialects.openai_chat.usage import usage_object
from gateway.dialects.surrogates import json_text
from gateway.domain.chat import Signature, Thinking
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

DONE = b"data: [DONE]\n\n"
_AFTER = b'},"logprobs":null,"finish_reason":null}]}\n\n'
_AFTER_CALL = b"}}]" + _AFTER
_AFTER_LEGACY = b"}" + _AFTER


class Encoder:
    """See `codec.StreamEncoder`."""

    def __init__(self, stamp: Stamp) -> None:
        self._stamp = stamp
        head = {
            "id": completion_id(stamp),
            "object": "chat.completion.chunk",
            "created": stamp.created_at,
            "model": stamp.model,
        }
        self._head = b"data: " + json_text(head)[:-1]
        self._before = self._head + b',"choices":[{"index":0,"delta":{'
        self._before_text = self._before + b'"content":'
        self._before_thought = self._before + b'"reasoning_content":'
        self._before_call = self._before + b'"tool_calls":[{"index":'
        self._tells_usage = stamp.request is not None and stamp.request.includes_usage
        self._shows_thoughts = shows_thoughts(stamp)
        self._is_legacy = is_legacy_caller(stamp)
        self._usage: Usage | None = None
        self._custom: set[int] = set()
        self._thoughts: list[str] = []
        self._blocks = 0
        self._images = 0
        self._chars = 0
        self._part_start = 0
        self._is_in_text = False
        self._has_started = False
        self._is_over = False

    def feed(self, events: list[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if self._is_over:
                break
            if event.__class__ is TextDelta and self._is_in_text and event.signature is None:
                self._chars += len(event.text)
                out.append(self._before_text + json_text(event.text) + _AFTER)
            else:
                self._write(event, out)
        return b"".join(out)

    def fail(self, status: int, code: str, message: str, details: dict[str, object] | None = None) -> bytes:
        if self._is_over:
            return b""
        self._is_over = True
        return encode_stream_error(status, code, message, None, details)

    def _write(self, event: Event, out: list[bytes]) -> None:
        if not self._has_started:
            self._has_started = True
            out.append(self._before + b'"role":"assistant","content":""' + _AFTER)
        match event:
            case TextDelta():
                self._write_text(event, out)
            case ThinkingDelta():
                self._is_in_text = False
                self._thoughts.append(event.text)
                if self._shows_thoughts:
                    out.append(self._before_thought + json_text(event.text) + _AFTER)
            case ToolCallDelta():
                self._write_arguments(event, out)
            case ToolCallStarted():
                self._is_in_text = False
                self._write_call(event, out)
            case ToolCallDone():
                if event.signature is not None and not self._is_legacy:
                    self._write_signature(event.index, event.signature, out)
            case ThinkingDone():
                self._write_thinking_done(event, out)
            case CitationAdded():
                self._write_citation(event, out)
            case RefusalDelta():
                self._is_in_text = False
                out.append(self._delta({"refusal": event.text}))
            case ImageMade():
                self._is_in_text = False
                out.append(self._delta({"images": image_parts([event.image], self._images)}))
                self._images += 1
            case UsageTold():
                self._usage = event.usage
            case Started():
                self._usage = event.usage or self._usage
            case Finished():
                self._write_end(event, out)
            case StreamFailed():
                out.append(self.fail(event.status or 502, event.code or "upstream_error", event.message))

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return self._before + json_text(delta)[1:-1] + _AFTER

    def _write_text(self, event: TextDelta, out: list[bytes]) -> None:
        if not self._is_in_text:
            self._is_in_text = True
            self._part_start = self._chars
        self._chars += len(event.text)
        if event.signature is not None:
            extra = extra_content(event.signature, self._stamp.envelopes)
            out.append(self._delta({"content": event.text, "extra_content": extra}))
        else:
            out.append(self._before_text + json_text(event.text) + _AFTER)

    def _write_call(self, event: ToolCallStarted, out: list[bytes]) -> None:
        if self._is_legacy:
            if event.index == 0:
                out.append(self._delta({"function_call": {"name": event.name, "arguments": ""}}))
            return
        call: dict[str, Any] = {"index": event.index, "id": event.id, "type": event.kind}
        if event.kind == "custom":
            self._custom.add(event.index)
            call["custom"] = {"name": event.name, "input": ""}
        else:
            call["function"] = {"name": event.name, "arguments": ""}
        out.append(self._delta({"tool_calls": [call]}))

    def _write_arguments(self, event: ToolCallDelta, out: list[bytes]) -> None:
        text = json_text(event.arguments)
        if self._is_legacy:
            if event.index == 0:
                out.append(self._before + b'"function_call":{"arguments":' + text + _AFTER_LEGACY)
        elif event.index in self._custom:
            out.append(b'%b%d,"custom":{"input":%b%b' % (self._before_call, event.index, text, _AFTER_CALL))
        else:
            out.append(b'%b%d,"function":{"arguments":%b%b' % (self._before_call, event.index, text, _AFTER_CALL))

    def _write_signature(self, index: int, signature: Signature, out: list[bytes]) -> None:
        """With an empty piece of arguments: the SDK's helper for streams asserts that each delta of a call has some."""
        piece = {"custom": {"input": ""}} if index in self._custom else {"function": {"arguments": ""}}
        extra = extra_content(signature, self._stamp.envelopes)
        out.append(self._delta({"tool_calls": [{"index": index, **piece, "extra_content": extra}]}))

    def _write_thinking_done(self, event: ThinkingDone, out: list[bytes]) -> None:
        self._is_in_text = False
        text = "".join(self._thoughts)
        self._thoughts = []
        thinking = Thinking(text, event.signature, is_redacted=event.is_redacted)
        details = sealed_details(thinking, self._blocks, self._stamp.envelopes)
        self._blocks += 1
        if details:
            out.append(self._delta({"reasoning_details": details}))

    def _write_citation(self, event: CitationAdded, out: list[bytes]) -> None:
        """Places count within the text part that is open; without a place all of it so far is meant."""
        citation = event.citation
        if not citation.url:
            return
        start = self._part_start + max(citation.start, 0)
        end = self._part_start + citation.end if citation.end >= 0 else self._chars
        out.append(self._delta({"annotations": [annotation(citation, start, end)]}))

    def _write_end(self, event: Finished, out: list[bytes]) -> None:
        self._is_over = True
        word = word_of(event.finish, is_legacy=self._is_legacy)
        out.append(b'%b},"logprobs":null,"finish_reason":"%b"}]}\n\n' % (self._before, word.encode()))
        if self._tells_usage and self._usage is not None:
            usage = json_text(usage_object(self._usage))
            out.append(b'%b,"choices":[],"usage":%b}\n\n' % (self._head, usage))
        out.append(DONE)
