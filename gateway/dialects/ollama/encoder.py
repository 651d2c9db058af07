"""Events → lines of JSON (NDJSON). A call is one line, when it is whole: the dialect has no parts of arguments."""

import msgspec

from gateway.dialects.codec import Stamp
from gateway.dialects.ollama.errors import encode_stream_error
from gateway.dialects.ollama.lines import call_of, ending, rfc3339, shows_thinking
from gateway.domain.events import (
    Event,
    Finished,
    ImageMade,
    RefusalDelta,
    Started,
    StreamFailed,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStarted,
    UsageTold,
)
from gateway.domain.usage import Usage

_encode = msgspec.json.Encoder().encode
_END = b'},"done":false}\n'


class StreamEncoder:
    """One stream. Citations, signatures of thoughts and pictures by URL have no place in this dialect."""

    __slots__ = ("_calls", "_content", "_estimate", "_is_over", "_message", "_shows_thinking", "_thinking", "_usage")

    def __init__(self, stamp: Stamp) -> None:
        head = _encode({"model": stamp.model, "created_at": rfc3339(stamp.created_at)})[:-1]
        self._message = head + b',"message":{"role":"assistant","content":""'
        self._content = head + b',"message":{"role":"assistant","content":'
        self._thinking = self._message + b',"thinking":'
        self._shows_thinking = shows_thinking(stamp)
        self._estimate = stamp.input_tokens
        self._calls: dict[int, tuple[ToolCallStarted, list[str]]] = {}
        self._usage: Usage | None = None
        self._is_over = False

    def feed(self, events: list[Event]) -> bytes:
        return b"".join([self._line(event) for event in events])

    def fail(self, status: int, code: str, message: str, details: dict[str, object] | None = None) -> bytes:
        """The error as a line, and no line with `done` after it."""
        if self._is_over:
            return b""
        self._is_over = True
        return encode_stream_error(status, code, message, None, details)

    def _line(self, event: Event) -> bytes:
        if self._is_over:
            return b""
        match event:
            case TextDelta() | RefusalDelta():
                return self._content + _encode(event.text) + _END if event.text else b""
            case ThinkingDelta():
                return self._thinking + _encode(event.text) + _END if event.text and self._shows_thinking else b""
            case ToolCallStarted():
                self._calls[event.index] = (event, [])
            case ToolCallDelta():
                self._calls[event.index][1].append(event.arguments)
            case ToolCallDone():
                return self._call(event.index)
            case ImageMade() if event.image.data:
                return self._message + b',"images":' + _encode([event.image.data]) + _END
            case UsageTold():
                self._usage = event.usage
            case Started() if event.usage is not None:
                self._usage = event.usage
            case Finished():
                return self._last(event)
            case StreamFailed():
                return self.fail(event.status, event.code, event.message)
            case _:
                pass
        return b""

    def _call(self, index: int) -> bytes:
        started, pieces = self._calls.pop(index)
        call = call_of(index, started.id, started.name, "".join(pieces), started.kind)
        return self._message + b',"tool_calls":' + _encode([call]) + _END

    def _last(self, event: Finished) -> bytes:
        self._is_over = True
        return self._message + b"}," + _encode(ending(event.finish, self._usage, self._estimate))[1:] + b"\n"
