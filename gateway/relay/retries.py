"""How many upstream calls beyond the first of each request a worker may make: few, so that trouble is not multiplied.

A request pays one addition. A call that is refused costs its caller nothing but the other targets: the first real cause is
told at once.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from gateway.domain.retrying import RetryBudget

SLOT_S = 0.25
"""`turn` is called so often: the window's grain."""


class _Slot(NamedTuple):
    ends_at: float
    requests: int
    made: int


class Retries:
    """One worker's window. `settings` gives the budget of now, `clock` monotonic seconds, `chance` 0 ≤ x < 1."""

    def __init__(
        self, settings: Callable[[], RetryBudget], clock: Callable[[], float], chance: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._chance = chance
        self.requests = 0
        """Since the last turn; who begins a request adds one."""
        self._made = 0
        self._past: deque[_Slot] = deque()
        self._past_requests = 0
        self._past_made = 0

    @property
    def is_spent(self) -> bool:
        """Whether one more call would be too many."""
        self._let_go()
        budget = self._settings()
        requests = self._past_requests + self.requests
        return self._past_made + self._made + 1 > max(budget.share * requests, budget.floor_per_s * budget.window_s)

    def made(self) -> None:
        """A call beyond the first is made."""
        self._made += 1

    def wait_s(self) -> float:
        """When a refused caller may come back; not all at the same time."""
        return 1.0 + 2.0 * self._chance()

    def turn(self) -> None:
        """Close the present slot. To be called every SLOT_S."""
        self._let_go()
        if self.requests or self._made:
            self._past.append(_Slot(self._clock(), self.requests, self._made))
            self._past_requests += self.requests
            self._past_made += self._made
            self.requests = self._made = 0

    def _let_go(self) -> None:
        since = self._clock() - self._settings().window_s
        past = self._past
        while past and past[0].ends_at <= since:
            gone = past.popleft()
            self._past_requests -= gone.requests
            self._past_made -= gone.made
