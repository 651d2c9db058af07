"""Signatures of requests that came before, by their bytes: a repeat is neither decoded nor signed again. Bounded by bytes and entries."""

from collections import OrderedDict

from gateway.domain.dialect import CallerDialect

Asking = tuple[bool, str, CallerDialect, tuple[str, str, str, bool | None], tuple[tuple[bytes, bytes], ...], bytes]
"""All that a signature is made of, as it came: whether any temperature will do, the tenant, the dialect, where it is asked, the
headers that count, and the body."""

MAX_BODY_BYTES = 64 * 1024
MAX_BYTES = 4 * 1024 * 1024
MAX_ENTRIES = 4096


class Signed:
    """`""` stands for a request that may not be answered from the cache, whatever the switches say."""

    def __init__(self, max_bytes: int = MAX_BYTES, max_entries: int = MAX_ENTRIES) -> None:
        self.held_bytes = 0
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self._known: OrderedDict[Asking, tuple[str, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, asking: Asking) -> str | None:
        if not self._known:  # its bytes need not be hashed
            return None
        found = self._known.get(asking)
        if found is None:
            return None
        self._known.move_to_end(asking)
        return found[0]

    def put(self, asking: Asking, signature: str, size: int) -> None:
        """`size`: bytes of the body. The ones used longest ago give way."""
        if size > MAX_BODY_BYTES or asking in self._known:
            return
        self._known[asking] = (signature, size)
        self.held_bytes += size
        while self.held_bytes > self._max_bytes or len(self._known) > self._max_entries:
            _, (_, gone) = self._known.popitem(last=False)
            self.held_bytes -= gone

    def clear(self) -> None:
        self._known.clear()
        self.held_bytes = 0
