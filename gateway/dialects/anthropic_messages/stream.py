"""Messages streams, read without changing them: what an event means, and what the stream used.

After commit `StreamTap` looks at the joined bytes by search alone. Inside JSON strings a quote is escaped, so
`"message_` cannot be text; results of server tools hold JSON of their own, so a hit is decoded before it is believed.
"""

from typing import Any

import msgspec

from gateway.dialects.anthropic_messages.wire import Counts
from gateway.dialects.codec import UNREADABLE, EventClass
from gateway.dialects.provider_errors import error_text
from gateway.dialects.sse import EventSplitter, data_of
from gateway.dialects.tap import EventTap


class _Event(msgspec.Struct, frozen=True):
    type: Any = None
    delta: Any = None
    content_block: Any = None
    message: Any = None
    usage: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(_Event).decode

_CONTENT = ("text", "thinking", "partial_json", "signature", "citation", "content", "data")
"""Members of a delta or a block that hold something of the answer."""

_OPENED_EMPTY = ("text", "thinking")
"""Blocks that begin without content."""


def classify(event: bytes) -> EventClass:
    """What one event means for commit. `message_start`, a ping, a comment and an empty block's start are noise."""
    data = data_of(event)
    if not data or data.strip() == b"[DONE]":
        return "noise"
    try:
        found = _decode(data)
    except UNREADABLE:
        return "error"
    kind = found.type
    if kind == "error" or (kind is None and found.error):
        return "error"
    if kind == "content_block_delta":
        return "useful" if _has_content(found.delta) else "noise"
    if kind == "content_block_start":
        block = found.content_block
        opens_empty = not isinstance(block, dict) or block.get("type") in _OPENED_EMPTY
        return "useful" if not opens_empty or _has_content(block) else "noise"
    if kind == "message_delta":
        return "terminal" if _stop_reason(found.delta) else "noise"
    return "terminal" if kind == "message_stop" else "noise"


class StreamTap(EventTap):
    """Complete is a stream with a reason to stop, or with the terminator.

    Feed it any split of the bytes; it gives what may be sent on, cut only between events.
    """

    __slots__ = ("_counts",)

    def __init__(self, *, hides_usage_chunk: bool = False) -> None:
        super().__init__(hides_usage_chunk=hides_usage_chunk)
        self._counts = Counts()

    def feed(self, data: bytes) -> bytes:
        out = self._splitter.feed_joined(data)
        if not out:
            return out
        self.chunks += out.count(b"\ndata:") or 1
        if b'"message_' in out or b'"error"' in out:
            for event in EventSplitter().feed(out):
                if b'"message_' in event or b'"error"' in event:
                    self._look_at(event)
        return out

    def take_rest(self) -> bytes:
        """A last event may lack its blank line, so it is read too."""
        rest = super().take_rest()
        if b'"message_' in rest:
            self._look_at(rest)
        return rest

    def _look_at(self, event: bytes) -> None:
        data = data_of(event)
        try:
            found = _decode(data)
        except UNREADABLE:
            return
        match found.type:
            case "message_start":
                self._take_usage(found.message.get("usage") if isinstance(found.message, dict) else None)
            case "message_delta":
                self._take_usage(found.usage)
                self.is_complete = self.is_complete or _stop_reason(found.delta)
            case "message_stop":
                self.is_done = self.is_complete = True
            case "error":
                self.error = self.error or error_text(data)
            case None if found.error:
                self.error = self.error or error_text(data)

    def _take_usage(self, raw: object) -> None:
        self._counts.take(raw)
        self.usage = self._counts.usage


def _has_content(raw: object) -> bool:
    return isinstance(raw, dict) and any(raw.get(name) for name in _CONTENT)


def _stop_reason(delta: object) -> bool:
    return isinstance(delta, dict) and isinstance(delta.get("stop_reason"), str)
