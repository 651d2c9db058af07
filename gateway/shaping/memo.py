"""What was found in pieces of text before: a long history is searched once, not anew each turn.

Pieces are known by a digest of 128 bits, so nothing of what was said is kept, and nobody can make one pass for another.
"""

from collections.abc import Callable, Iterable
from hashlib import blake2b

from gateway.shaping.scan import Found

MAX_PIECES = 20_000
"""About 4 MB, for 80 MB of text in long pieces."""
LEAST_CHARS = 64
"""A shorter piece is searched as quickly as it is looked up."""
MAX_FOUND = 16
"""What holds more is searched anew."""


class Memo:
    """Bounded; the piece that was not asked for longest is forgotten. `hits` and `misses` count since the last look."""

    __slots__ = ("_known", "hits", "misses")

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[Found, ...]] = {}
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._known)

    def found(self, piece: str, what: bytes, search: Callable[[], Iterable[Found]]) -> tuple[Found, ...]:
        """What `search` finds in the piece. `what` (at most 16 bytes) names the search and all else it depends on."""
        if len(piece) < LEAST_CHARS:
            return tuple(search())
        digest = blake2b(piece.encode("utf-8", "surrogatepass"), digest_size=16, person=what).digest()
        known = self._known.pop(digest, None)
        if known is not None:
            self.hits += 1
            self._known[digest] = known
            return known
        self.misses += 1
        known = tuple(search())
        if len(known) <= MAX_FOUND:
            if len(self._known) >= MAX_PIECES:
                del self._known[next(iter(self._known))]
            self._known[digest] = known
        return known
