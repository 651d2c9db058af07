"""Splits server-sent events at their blank lines, for any split of the bytes, and writes them (WHATWG HTML, section 9.2)."""

import re

import msgspec

_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_BLANKS = (b"\n\n", b"\r\n\r\n", b"\r\r")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

MAX_HELD_BYTES = 1 << 20
"""An event longer than this is passed on in pieces: memory is bounded, order is kept."""

MAX_EVENT_BYTES = 16 << 20
"""What a decoder holds of one event at most (a picture of 12 MB in base64); a longer one is a failure of the stream."""


class EventSplitter:
    """Gives whole events, with their blank line. What is not whole yet stays inside, bounded by the caller.

    It is kept in a buffer that grows in place: an event of megabytes comes in thousands of pieces, and joining them anew
    each time would hold the loop for seconds.
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = bytearray()

    @property
    def held_bytes(self) -> int:
        return len(self._held)

    @property
    def rest(self) -> bytes:
        """What is not whole yet, as a copy."""
        return bytes(self._held)

    @rest.setter
    def rest(self, data: bytes) -> None:
        self._held[:] = data

    def feed(self, data: bytes) -> list[bytes]:
        """All events that are whole now, each ending in its blank line."""
        held = self._held
        if not held and _is_one_event(data):
            return [data]
        searched = max(len(held) - 3, 0)  # what was there before holds no whole blank line
        if held:
            held += data
        buffer = held or data
        events: list[bytes] = []
        start = 0
        for match in _END.finditer(buffer, searched):
            events.append(bytes(buffer[start : match.end()]))
            start = match.end()
        self._keep_from(start, data)
        return events

    def feed_joined(self, data: bytes) -> bytes:
        """As `feed`, in one piece: what may be passed on now without cutting an event."""
        held = self._held
        if not held and data.endswith((b"\n\n", b"\r\n\r\n")):
            return data
        searched = max(len(held) - 3, 0)
        if held:
            held += data
        buffer = held or data
        if b"\r" in buffer:
            found = [(buffer.rfind(blank, searched), len(blank)) for blank in _BLANKS]
            end = max((at + length for at, length in found if at >= 0), default=0)
        else:
            at = buffer.rfind(b"\n\n", searched)
            end = at + 2 if at >= 0 else 0
        joined = bytes(buffer[:end])
        self._keep_from(end, data)
        return joined

    def _keep_from(self, start: int, data: bytes) -> None:
        if self._held:
            del self._held[:start]
        else:
            self._held += data[start:]


def _is_one_event(data: bytes) -> bool:
    """Exactly one, and whole: what most reads of a paced stream hold."""
    if data.endswith(b"\n\n"):
        return data.find(b"\n\n") == len(data) - 2 and b"\r" not in data
    return (
        data.endswith(b"\r\n\r\n")
        and data.find(b"\r\n\r\n") == len(data) - 4
        and b"\n\n" not in data
        and b"\r\r" not in data
    )


def data_of(event: bytes) -> bytes:
    """The `data` of one event, lines joined. Empty for comments and other fields."""
    lines = [
        line[5:].removeprefix(b" ")
        for line in event.removeprefix(_BYTE_ORDER_MARK).splitlines()
        if line.startswith(b"data:")
    ]
    return b"\n".join(lines)


def closed(rest: bytes) -> bytes:
    """A last event that came without its blank line, with one; nothing for a piece of an event, which says nothing."""
    try:
        msgspec.json.decode(data_of(rest))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return b""
    return rest.rstrip(b"\r\n") + b"\n\n"


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
