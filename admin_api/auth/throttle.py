"""How often somebody may guess a password. Bounded; who failed longest ago is forgotten first."""

from collections import OrderedDict, deque
from collections.abc import Callable

FAILURES = 5
WINDOW_S = 300.0
"""Of one address: so many wrong passwords in so long; then it waits until the first of them is as old."""

ACCOUNT_FAILURES = 20
ACCOUNT_WINDOW_S = 900.0
"""Of one account, from wherever: more, because anybody can bring it about."""

MAX_PEERS = 10_000


class LoginThrottle:
    """Counts failed log-ins by address, or by account."""

    def __init__(self, now: Callable[[], float], failures: int = FAILURES, window_s: float = WINDOW_S) -> None:
        self._now = now
        self._most = failures
        self._window_s = window_s
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    def wait_s(self, who: str) -> float:
        """Seconds until they may try again; 0 = now."""
        failures = self._failures.get(who)
        if failures is None:
            return 0.0
        while failures and failures[0] <= self._now() - self._window_s:
            failures.popleft()
        return max(0.0, failures[0] + self._window_s - self._now()) if len(failures) >= self._most else 0.0

    def report_failure(self, who: str) -> None:
        self._failures.setdefault(who, deque(maxlen=self._most)).append(self._now())
        self._failures.move_to_end(who)
        if len(self._failures) > MAX_PEERS:
            self._failures.popitem(last=False)

    def report_success(self, who: str) -> None:
        self._failures.pop(who, None)

    def locked(self) -> dict[str, float]:
        """Who has to wait now, and for how many seconds."""
        return {who: wait_s for who in tuple(self._failures) if (wait_s := self.wait_s(who))}
