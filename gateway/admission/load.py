"""Load shedding: a worker that has too much to do says so at once, to the lowest class of keys first.

Asked before a body is read, so a refusal costs microseconds and no memory.
"""

from collections.abc import Mapping

import msgspec

from gateway.domain.errors import Unavailable

SHARES: Mapping[str, float] = {"batch": 0.8, "agent": 0.9, "interactive": 1.0}
"""What part of a bound each class of keys may fill; a class that is not listed counts as interactive."""

RETRY_AFTER_S: Mapping[str, float] = {"batch": 5.0, "agent": 2.0, "interactive": 1.0}


class Shed(msgspec.Struct, frozen=True):
    """A refusal: why ("open_requests" or "loop_lag"), and in how many seconds to try again."""

    reason: str
    retry_after_s: float


def decide(priority: str, open_requests: int, lag_s: float, *, bound_open: int, bound_lag_s: float) -> Shed | None:
    """Whether a request of this class is refused, the worker being as full and as late as told. Bounds of 0 are none."""
    share = SHARES.get(priority, 1.0)
    if bound_open and open_requests >= bound_open * share:
        return Shed("open_requests", RETRY_AFTER_S.get(priority, 1.0))
    if bound_lag_s and lag_s > bound_lag_s * share:
        return Shed("loop_lag", RETRY_AFTER_S.get(priority, 1.0))
    return None


class Load:
    """How much one worker has to do. Bounds may be set anew when the configuration changes."""

    def __init__(self, bound_open: int, bound_lag_s: float) -> None:
        self.bound_open = bound_open
        self.bound_lag_s = bound_lag_s
        self.shed: dict[tuple[str, str], int] = {}
        """Refusals since somebody last took them, by (class, reason): at most eight entries."""
        self._lags = (0.0, 0.0)

    @property
    def lag_s(self) -> float:
        """How late the loop was, at the better of the last two looks: one pause is no overload."""
        return min(self._lags)

    def note_lag(self, lag_s: float) -> None:
        """Told by whoever measures the loop (every 50 ms)."""
        self._lags = (self._lags[1], lag_s)

    def admit(self, priority: str, open_requests: int) -> None:
        """Let a request in. `open_requests` are those before it. Raises Unavailable (`overloaded`)."""
        shed = decide(priority, open_requests, self.lag_s, bound_open=self.bound_open, bound_lag_s=self.bound_lag_s)
        if shed is not None:
            kind = (priority if priority in SHARES else "other", shed.reason)
            self.shed[kind] = self.shed.get(kind, 0) + 1
            raise Unavailable(
                f"this server has too much to do now; try again in {shed.retry_after_s:.0f} s",
                code="overloaded",
                retry_after_s=shed.retry_after_s,
            )
