"""Which answers the cache store may hold, as a worker knows it: an answer that nobody kept needs no look. Pure.

Three bytes of each signature, in a map of bits: what was kept is always known, and of what was not a few in a hundred are looked for in
vain. What has expired stays known; that costs a look too.
"""

from collections.abc import Iterable

DIGITS = 6
"""Hex digits of a signature that count."""
MAX_ANSWERS = 400_000
"""Of so many different ones, 2.4 % of all others are looked for in vain; beyond them everything is looked for."""


class Known:
    """2 MB, once something is added. Until `is_whole` is said anything may be there."""

    def __init__(self, max_answers: int = MAX_ANSWERS) -> None:
        self._max_answers = max_answers
        self._bits = bytearray()
        self._count = 0
        self.is_whole = False
        """Everything that is in the store has been added."""

    def __len__(self) -> int:
        """Different answers, as far as three bytes tell."""
        return self._count

    @property
    def is_full(self) -> bool:
        return self._count > self._max_answers

    def may_have(self, signature: str) -> bool:
        if not self.is_whole:
            return True
        place = int(signature[:DIGITS], 16)
        return bool(self._bits[place >> 3] >> (place & 7) & 1)

    def clear(self) -> None:
        self._bits = bytearray()
        self._count = 0
        self.is_whole = False

    def add(self, told: bytes) -> None:
        """`told`: of each answer what `told_of` says, one after the other."""
        bits = self._bits or self._begin()
        for at in range(0, len(told) - 2, 3):
            place = told[at] << 16 | told[at + 1] << 8 | told[at + 2]
            bit = 1 << (place & 7)
            if not bits[place >> 3] & bit:
                bits[place >> 3] |= bit
                self._count += 1
        if self.is_full:
            self.is_whole = False

    def _begin(self) -> bytearray:
        self._bits = bytearray(1 << (4 * DIGITS - 3))
        return self._bits


def told_of(signatures: Iterable[str]) -> bytes:
    return bytes.fromhex("".join(signature[:DIGITS] for signature in signatures))
