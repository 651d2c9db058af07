"""A provider's events passed on as one JSON array: what a Gemini caller without `alt=sse` gets.

Elements arrive one by one. The array is closed when the answer is whole, or after an error, which is
its last element; a cut leaves it open.
"""

import msgspec

from gateway.dialects.codec import Tap
from gateway.dialects.gemini.encoder import ARRAY_ENDS, ARRAY_GOES_ON, ARRAY_OPENS
from gateway.dialects.gemini.errors import encode_error
from gateway.dialects.gemini.stream import json_of
from gateway.dialects.sse import MAX_EVENT_BYTES, EventSplitter
from gateway.domain.usage import Usage


class ArrayTap:
    """A Tap around another one. An element cannot be given in pieces, so nothing counts as held; 16 MiB is the end."""

    __slots__ = ("_is_closed", "_tap", "_wrote", "is_done")

    def __init__(self, tap: Tap) -> None:
        self._tap = tap
        self._wrote = False
        self._is_closed = False
        self.is_done = False

    @property
    def usage(self) -> Usage | None:
        return self._tap.usage

    @usage.setter
    def usage(self, value: Usage | None) -> None:
        self._tap.usage = value

    @property
    def chunks(self) -> int:
        return self._tap.chunks

    @chunks.setter
    def chunks(self, value: int) -> None:
        self._tap.chunks = value

    @property
    def error(self) -> str:
        return self._tap.error

    @error.setter
    def error(self, value: str) -> None:
        self._tap.error = value

    @property
    def is_complete(self) -> bool:
        return self._tap.is_complete

    @property
    def held_bytes(self) -> int:
        return 0

    def feed(self, data: bytes) -> bytes:
        if self._is_closed:
            return b""
        out = self._elements(self._tap.feed(data))
        if self._tap.held_bytes > MAX_EVENT_BYTES:
            message = f"the provider sent an event of more than {MAX_EVENT_BYTES >> 20} MiB"
            self.error, self.is_done = message, True
            out += self.fail(502, "provider_event_too_long", message)
        return out

    def take_rest(self) -> bytes:
        """The last event if it came without its blank line, and the end of the array if there is one."""
        rest = self._tap.take_rest()
        if self._is_closed:
            return b""
        out = self._elements(rest)
        if self.is_complete or self.error:
            self._is_closed = True
            out += ARRAY_ENDS if self._wrote else ARRAY_OPENS + ARRAY_ENDS
        return out

    def fail(self, status: int, code: str, message: str, details: dict[str, object] | None = None) -> bytes:
        """An error of ours as the last element. Nothing follows it."""
        if self._is_closed:
            return b""
        self._is_closed = True
        return self._element(encode_error(status, code, message, None, details)) + ARRAY_ENDS

    def _elements(self, out: bytes) -> bytes:
        """What is no JSON is left out (some servers end with `[DONE]`): it would spoil all the rest."""
        if not out:
            return b""
        splitter = EventSplitter()
        events = splitter.feed(out)
        found = [json_of(event) for event in (*events, splitter.rest)]
        return b"".join(self._element(data) for data in found if _is_json(data))

    def _element(self, data: bytes) -> bytes:
        if not data:
            return b""
        before = ARRAY_GOES_ON if self._wrote else ARRAY_OPENS
        self._wrote = True
        return before + data.strip()


def _is_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
