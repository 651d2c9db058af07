"""Splits server-sent events at their blank lines, for any split of the bytes (WHATWG HTML, section 9.2)."""

import re

_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")

MAX_HELD_BYTES = 1 << 20
"""An event longer than this is passed on in pieces: memory is bounded, order is kept."""


class EventSplitter:
    """Gives whole events, with their blank line. What is not whole yet stays inside, bounded by the caller."""

    __slots__ = ("rest",)

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """All events that are whole now, each ending in its blank line."""
        buffer = self.rest + data if self.rest else data
        events: list[bytes] = []
        start = 0
        for match in _END.finditer(buffer):
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
    lines = [line[5:].removeprefix(b" ") for line in event.splitlines() if line.startswith(b"data:")]
    return b"\n".join(lines)
