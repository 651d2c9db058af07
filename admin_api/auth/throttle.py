"""How often a peer may guess the password. Bounded; the peer that failed longest ago is forgotten first."""

from collections import OrderedDict, deque
from collections.abc import Callable

FAILURES = 5
WINDOW_S = 300.0
MAX_PEERS = 10_000


class LoginThrottle:
    """Counts failed log-ins by peer address."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, peer: str) -> float:
        """Seconds until this peer may try again; 0 = now."""
        failures = self._failures.get(peer)
        if failures is None:
            return 0.0
        while failures and failures[0] <= self._now() - WINDOW_S:
            failures.popleft()
        return max(0.0, failures[0] + WINDOW_S - self._now()) if len(failures) >= FAILURES else 0.0

    def report_failure(self, peer: str) -> None:
        self._failures.setdefault(peer, deque(maxlen=FAILURES)).append(self._now())
        self._failures.move_to_end(peer)
        if len(self._failures) > MAX_PEERS:
            self._failures.popitem(last=False)

    def report_success(self, peer: str) -> None:
        self._failures.pop(peer, None)
