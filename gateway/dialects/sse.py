"""Splits server-sent events at their blank lines, for any split of the bytes, and writes them (WHATWG HTML, section 9.2)."""

import re

_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

MAX_HELD_BYTES = 1 << 20
"""An event longer than this is passed on in pieces: memory is bounded, order is kept."""

MAX_EVENT_BYTES = 16 << 20
"""What a decoder holds of one event at most (a picture of 12 MB in base64); a longer one is a failure of the stream."""


class EventSplitter:
    """Gives whole events, with their blank line. What is not whole yet stays inside, bounded by the caller."""

    __slots__ = ("rest",)

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """All events that are whole now, each ending in its blank line."""
        buffer = self.rest + data if self.rest else data
        searched = max(len(self.rest) - 3, 0)  # what was there before holds no whole blank line
        events: list[bytes] = []
        start = 0
        for match in _END.finditer(buffer, searched):
            events.append(buffer[start : match.end()])
            start = match.end()
        self.rest = buffer[start:]
        return events

    def feed_joined(self, data: bytes) -> bytes:
        """As `feed`, in one piece: what may be passed on now without cutting an event."""
        buffer = self.rest + data if self.rest else data
        if buffer.endswith(b"\n\n"):
            self.rest = b""
            return buffer
        end = buffer.rfind(b"\n\n") + 2
        if end < 2:
            end = max((match.end() for match in _END.finditer(buffer)), default=0)
        self.rest = buffer[end:]
        return buffer[:end]


def data_of(event: bytes) -> bytes:
    """The `data` of one event, lines joined. Empty for comments and other fields."""
    lines = [
        line[5:].removeprefix(b" ")
        for line in event.removeprefix(_BYTE_ORDER_MARK).splitlines()
        if line.startswith(b"data:")
    ]
    return b"\n".join(lines)


def name_and_data(event: bytes) -> tuple[str, bytes]:
    """The `event` field, empty if there is none, and the `data` of one event, lines joined."""
    name = b""
    lines: list[bytes] = []
    for line in event.removeprefix(_BYTE_ORDER_MARK).splitlines():
        if line.startswith(b"data:"):
            lines.append(line[5:].removeprefix(b" "))
        elif line.startswith(b"event:"):
            name = line[6:].removeprefix(b" ")
    return name.decode("utf-8", "replace"), lines[0] if len(lines) == 1 else b"\n".join(lines)


def event_of(name: str, data: bytes) -> bytes:
    """One event; `data` is one line of JSON (msgspec writes no line ends). An empty name leaves the `event` line out."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data) if name else b"data: %b\n\n" % data
