"""How long to wait before a process that ended is started again. Pure: the caller brings the clock."""

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 5.0
STEADY_AFTER_S = 30.0
"""A process that lived this long was well: its next end counts as the first."""


class Backoff:
    """Delays that double while a process keeps ending soon after its start."""

    __slots__ = ("_next_s",)

    def __init__(self) -> None:
        self._next_s = FIRST_DELAY_S

    def delay_after(self, lived_s: float) -> float:
        """Seconds to wait, given how long the process lived this time."""
        if lived_s >= STEADY_AFTER_S:
            self._next_s = FIRST_DELAY_S
        delay_s = self._next_s
        self._next_s = min(delay_s * 2, LONGEST_DELAY_S)
        return delay_s
