"""Streams read without changing them: what an event means, and how the stream ended and what it used.

The type is taken from the data: some providers send no event names. `classify` looks at every event before commit;
`StreamTap` searches the joined bytes for the few words that matter and decodes only events that hold one.
"""

from typing import Any

import msgspec

from gateway.dialects.codec import UNREADABLE, EventClass
from gateway.dialects.openai_responses.usage import usage_of
from gateway.dialects.provider_errors import error_text
from gateway.dialects.sse import EventSplitter, data_of, name_and_data
from gateway.dialects.tap import EventTap

_DONE = b"[DONE]"
_ENDS = frozenset({"response.completed", "response.incomplete"})


class _Response(msgspec.Struct, frozen=True):
    status: Any = None
    error: Any = None
    output: Any = None
    usage: Any = None


class _StreamEvent(msgspec.Struct, frozen=True):
    type: Any = None
    delta: Any = None
    text: Any = None
    item: Any = None
    error: Any = None
    message: Any = None
    response: _Response | None = None


_decode = msgspec.json.Decoder(_StreamEvent).decode


def classify(event: bytes) -> EventClass:
    """What one event means for commit. Life-cycle events, empty parts, comments and pings are noise.

    The start of any item but an empty message is useful: a model that thinks in silence has begun all the same.
    """
    name, data = name_and_data(event)
    if not data:
        return "noise"
    if data.strip() == _DONE:
        return "terminal"
    try:
        read = _decode(data)
    except UNREADABLE:
        return "error"
    kind = read.type if isinstance(read.type, str) else name
    if kind == "error" or kind in {"response.failed", "response.cancelled"} or read.error:
        return "error"
    if kind in _ENDS:
        if read.response is None or read.response.error or read.response.status == "failed":
            return "error"
        return "useful" if read.response.output else "terminal"
    if not kind.startswith("response."):
        return "noise"
    if kind.endswith(".delta"):
        return "useful" if read.delta else "noise"
    if kind in {"response.output_item.added", "response.output_item.done"}:
        return _class_of_item(read.item)
    return "useful" if read.text and kind.endswith(".done") else "noise"


def _class_of_item(item: object) -> EventClass:
    if not isinstance(item, dict):
        return "noise"
    if item.get("type", "message") == "message":
        return "useful" if item.get("content") else "noise"
    return "useful"


class StreamTap(EventTap):
    """Only events of the life cycle have a member `response`; inside JSON strings a quote is escaped, so it is no content.

    Feed it any split of the bytes; it gives what may be sent on, cut only between events.
    """

    __slots__ = ()

    def feed(self, data: bytes) -> bytes:
        out = self._splitter.feed_joined(data)
        if out:
            self.chunks += out.count(b"data:")
            if b'"response"' in out or b"error" in out:  # an end or an error may be in there
                self._read(out)
        return out

    def take_rest(self) -> bytes:
        """The last event may lack its blank line, so it is read too."""
        rest = super().take_rest()
        if rest and not self.is_done:
            self._read(rest + b"\n\n")
        return rest

    def _read(self, out: bytes) -> None:
        for event in EventSplitter().feed(out):
            if b'"response"' not in event and b"error" not in event:
                continue
            name, data = name_and_data(event)
            try:
                read = _decode(data)
            except UNREADABLE:
                continue
            kind = read.type if isinstance(read.type, str) else name
            if kind in _ENDS and classify(event) != "error":
                self.is_complete = self.is_done = True
                self.usage = usage_of(read.response.usage if read.response else None) or self.usage
            elif kind in _ENDS or kind in {"response.failed", "response.cancelled", "error"} or read.error:
                self.error = self.error or error_text(data_of(event))
                self.is_done = kind not in {"error", ""}
                self.usage = usage_of(read.response.usage if read.response else None) or self.usage
