"""Search texts in slices, so that a long one never holds the loop: each step looks at SLICE characters.

Every pattern matches within OVERLAP characters (checked in tests), so a match that lies across two slices is whole in
one of them.
"""

from collections.abc import Callable, Generator, Iterable
from typing import NamedTuple

SLICE = 4_096
OVERLAP = 1_024


class Found(NamedTuple):
    """A match: where in the text, and the name of what was found."""

    start: int
    end: int
    name: str


Search = Callable[[str, int, int], Iterable[Found]]
"""Text, and from where to where: matches that begin there."""


class Meter:
    """How much was looked at since the loop had its turn."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = SLICE

    def spend(self, chars: int) -> bool:
        """Whether it is time to yield."""
        self._left -= chars
        if self._left > 0:
            return False
        self._left = SLICE
        return True


def scanned(text: str, search: Search, meter: Meter) -> Generator[None, None, list[Found]]:
    """All matches, in order and without overlaps; yields when the loop should have its turn."""
    found: list[Found] = []
    for start in range(0, len(text), SLICE):
        found += search(text, start, min(start + SLICE, len(text)))
        if meter.spend(min(SLICE, len(text) - start)):
            yield
    return without_overlaps(found)


def without_overlaps(found: Iterable[Found]) -> list[Found]:
    """Of matches that overlap the one that begins first, and is the longer one, is kept."""
    kept: list[Found] = []
    for one in sorted(found, key=lambda match: (match.start, -match.end)):
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
    return kept


def replaced(text: str, found: Iterable[Found], placeholder: Callable[[str], str]) -> str:
    parts: list[str] = []
    at = 0
    for one in found:
        parts += (text[at : one.start], placeholder(one.name))
        at = one.end
    return "".join((*parts, text[at:]))
