"""The pairs of `pairs.txt`, split by a hash of their texts: the guard was tuned on one half and is judged on the other."""

from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple


class Pair(NamedTuple):
    """Two texts. `is_same`: one answer serves both. `half`: `tune` or `judge`."""

    is_same: bool
    domain: str
    one: str
    other: str

    @property
    def half(self) -> str:
        digest = blake2b(f"{self.one}\n{self.other}".encode(), digest_size=1).digest()
        return "judge" if digest[0] & 1 else "tune"


def pairs() -> list[Pair]:
    """All of them, in the file's order."""
    lines = (Path(__file__).parent / "pairs.txt").read_text().splitlines()
    fields = [[field.strip() for field in line.split(" | ")] for line in lines if line and not line.startswith("#")]
    return [Pair(verdict == "same", domain, one, other) for verdict, domain, one, other in fields]
