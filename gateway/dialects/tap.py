"""What the taps of all dialects hold. Each has a `feed` of its own: it runs for every chunk that is passed on."""

from gateway.dialects.sse import EventSplitter
from gateway.domain.usage import Usage


class EventTap:
    """Watches a stream that is passed on: its usage, whether it came to an end, whether it said an error.

    `is_complete`: the provider said that the answer is whole. `is_done`: the dialect's terminator came.
    """

    __slots__ = ("_splitter", "chunks", "error", "is_complete", "is_done", "usage")

    def __init__(self, *, hides_usage_chunk: bool = False) -> None:
        self._splitter = EventSplitter()
        self.usage: Usage | None = None
        self.chunks = 0
        self.is_complete = False
        self.is_done = False
        self.error = ""

    @property
    def held_bytes(self) -> int:
        return self._splitter.held_bytes

    def take_rest(self) -> bytes:
        """What is left of an unfinished event."""
        rest, self._splitter.rest = self._splitter.rest, b""
        return rest
