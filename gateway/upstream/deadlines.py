"""The time limits of running calls, checked by one coarse timer a worker instead of a timer per chunk.

A Watch belongs to one request. It is told the phase and reads the call's counters; the wheel looks at all watches
every TICK_S, so a limit is met at most that much late.
"""

import asyncio
import time
from collections.abc import Callable

from gateway.upstream.seam import FaultKind, UpstreamCall, UpstreamFault

TICK_S = 0.05

_TEXTS: dict[FaultKind, str] = {
    "headers_timeout": "the provider sent no headers in time",
    "first_event_timeout": "the provider sent headers and then nothing in time",
    "gap_timeout": "the provider fell silent in the middle of its answer",
    "total_timeout": "the call took longer than it may in all",
}


class Watch:
    """The limits of one request's current call.

    `gap_s` counts only while somebody waits for the provider: a caller that does not read is not its fault.
    `begin_watching_caller` is called at the first tick: a request that is answered sooner saves the task.
    `on_nudge` is called at `nudge_due` and sets the next one; `on_stalled` when a send to the caller has waited for
    `stall_s`.
    """

    __slots__ = ("_last_reads", "begin_watching_caller", "call", "due", "gap_s", "is_released", "kind", "nudge_due", "on_nudge", "on_stalled", "sending_since",
                 "stall_s", "total_due")  # fmt: skip

    def __init__(self, stall_s: float, on_stalled: Callable[[], None]) -> None:
        self.call: UpstreamCall | None = None
        self.kind: FaultKind = "headers_timeout"
        self.due = 0.0
        self.gap_s = 0.0
        self.total_due = 0.0
        self.nudge_due = 0.0
        self.on_nudge: Callable[[], None] = _nothing
        self.stall_s = stall_s
        self.on_stalled = on_stalled
        self.sending_since = 0.0
        self.begin_watching_caller: Callable[[], None] | None = None
        self.is_released = False
        self._last_reads = 0

    def begin(self, call: UpstreamCall, kind: FaultKind, due: float, total_due: float) -> None:
        """Watch a new call, in its first phase."""
        self.call, self.kind, self.due, self.total_due = call, kind, due, total_due
        self.gap_s = 0.0
        self._last_reads = call.reads

    def enter(self, kind: FaultKind, due: float, gap_s: float = 0.0) -> None:
        """The next phase of the same call. With `gap_s` the limit starts again at every read."""
        self.kind, self.due, self.gap_s = kind, due, gap_s

    def tick(self, now: float) -> None:
        if self.begin_watching_caller is not None:
            self.begin_watching_caller()
            self.begin_watching_caller = None
        if self.sending_since and now - self.sending_since > self.stall_s:
            self.sending_since = 0.0
            self.on_stalled()
        if self.nudge_due and now >= self.nudge_due:
            self.on_nudge()
        call = self.call
        if call is None or call.is_over:
            return
        if self.total_due and now >= self.total_due:
            call.cancel(_timed_out("total_timeout"))
        elif self.gap_s and (call.reads != self._last_reads or not call.is_waiting):
            self._last_reads = call.reads
            self.due = now + self.gap_s
        elif now >= self.due:
            call.cancel(_timed_out(self.kind))


class Wheel:
    """All watches of a worker. It sleeps while there is none."""

    def __init__(self) -> None:
        self.watches: set[Watch] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, watch: Watch) -> None:
        self.watches.add(watch)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def release(self, watch: Watch) -> None:
        """The request is answered. A call that still closes is watched until it has."""
        watch.is_released = True
        # They lead back to the request that holds the watch: such a ring waits for the garbage collector, body and all.
        watch.begin_watching_caller, watch.on_nudge, watch.on_stalled = None, _nothing, _nothing
        if watch.call is None or watch.call.is_over:
            self.watches.discard(watch)

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        now = time.monotonic()
        for watch in tuple(self.watches):
            watch.tick(now)
            if watch.is_released and (watch.call is None or watch.call.is_over):
                self.watches.discard(watch)
        self._timer = loop.call_later(TICK_S, self._tick) if self.watches else None


def _nothing() -> None:
    pass


def _timed_out(kind: FaultKind) -> UpstreamFault:
    return UpstreamFault(kind, _TEXTS[kind])
