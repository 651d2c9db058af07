"""Kept answers in a worker's own memory: the ones used last, bounded by bytes and by entries."""

from collections import OrderedDict
from collections.abc import Callable

from gateway.cache.entry import Entry


class Front:
    """`wall` gives unix seconds. `max_bytes` may change at any time."""

    def __init__(self, max_entries: int, max_bytes: int, wall: Callable[[], float]) -> None:
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self.held_bytes = 0
        self._wall = wall
        self._entries: OrderedDict[str, Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> Entry | None:
        """The answer, if it is here and its time is not over."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires_at <= self._wall():
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry

    def put(self, key: str, entry: Entry) -> None:
        """Keep it, and let go of the ones used longest ago. What is larger than all room is not kept."""
        if key in self._entries:
            self._drop(key)
        if entry.size > self.max_bytes or not self.max_entries:
            return
        self._entries[key] = entry
        self.held_bytes += entry.size
        while self.held_bytes > self.max_bytes or len(self._entries) > self.max_entries:
            self._drop(next(iter(self._entries)))

    def clear(self) -> None:
        self._entries.clear()
        self.held_bytes = 0

    def _drop(self, key: str) -> None:
        self.held_bytes -= self._entries.pop(key).size
