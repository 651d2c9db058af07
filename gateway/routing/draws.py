"""Many choices out of one random number. Pure: the same number gives the same choices in every worker."""

_MASK = (1 << 64) - 1
_FINEST = 2.0**32
"""So many outcomes are read from one number, which has 53 bits; then the next one is made."""


class Draws:
    """Choices in a row from `chance` in [0, 1). The first uses `chance` itself, so shares are as even as it is."""

    __slots__ = ("_left", "_seed", "_span")

    def __init__(self, chance: float) -> None:
        self._seed = int(chance * 2**53)
        self._left = chance
        self._span = 1.0

    def below(self, count: int) -> int:
        """A number from 0 to `count` - 1."""
        if self._span * count > _FINEST:
            self._renew()
        scaled = self._left * count
        index = min(int(scaled), count - 1)
        self._left = scaled - index
        self._span *= count
        return index

    def fraction(self) -> float:
        """A number in [0, 1)."""
        if self._span > 1.0:
            self._renew()
        left = self._left
        self._renew()
        return left

    def _renew(self) -> None:
        """SplitMix64."""
        self._seed = (self._seed + 0x9E3779B97F4A7C15) & _MASK
        mixed = self._seed
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        self._left = ((mixed ^ (mixed >> 31)) >> 11) / 2**53
        self._span = 1.0
