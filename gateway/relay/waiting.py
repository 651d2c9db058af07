"""Waiting for a slot at a connection: in order of arrival, bounded in number and time, one asking Redis at a time.

Requests of a worker that find no slot stand in a line per connection. The first of the line asks again when its time
has come (the exact instant for starts and gaps), when somebody here leaves, or every POLL_S when a slot can only
become free in another worker; with a slot in hand it lets the next one ask. Nobody overtakes the line.
One timer serves all lines of a worker.
"""

import asyncio
import heapq
import time
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Literal

from gateway.domain.target import Connection
from gateway.domain.waiting import Waiting
from gateway.state.slots import FREE, NoSlot, Slot, Slots, Verdict

POLL_S = 0.1


class _Waiter:
    """One request in a line. `turn` is resolved when it may ask, or need not any more: then `ended` says why."""

    __slots__ = ("arrived", "due", "ended", "hold_id", "line", "turn")

    def __init__(self, line: "_Line", hold_id: str, arrived: int, due: float) -> None:
        self.line = line
        self.hold_id = hold_id
        self.arrived = arrived
        self.due = due
        self.ended: NoSlot | None = None
        self.turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake(self) -> None:
        if not self.turn.done():
            self.turn.set_result(None)

    def end(self, why: NoSlot) -> None:
        """Also while it asks: then it goes when it has its answer."""
        self.ended = self.ended or why
        self.wake()


class _Line:
    """Those who wait for one connection. `is_asking`: the first of them has its turn."""

    __slots__ = ("connection_id", "is_asking", "last", "ready_at", "waiters")

    def __init__(self, connection_id: str) -> None:
        self.connection_id = connection_id
        self.waiters: deque[_Waiter] = deque()
        self.is_asking = False
        self.last = NoSlot("concurrency")
        """The latest refusal."""
        self.ready_at = 0.0


class SlotLines:
    """The lines of one worker. `settings` gives those of now; `clock` is monotonic, in seconds."""

    def __init__(
        self, slots: Slots, settings: Callable[[], Waiting], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._slots = slots
        self._settings = settings
        self._clock = clock
        self._lines: dict[str, _Line] = {}
        self._by_hold: dict[str, _Waiter] = {}
        self._order = count()
        self._events: list[tuple[float, int, _Waiter | _Line]] = []
        """A heap of instants to look at a line or a waiter; what is over by then is passed by."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    @property
    def waiting(self) -> int:
        """Requests in lines."""
        return len(self._by_hold)

    @property
    def lines(self) -> int:
        """Connections that are waited for."""
        return len(self._lines)

    @property
    def events(self) -> int:
        """Instants that the timer has to look at: a few for each request in a line."""
        return len(self._events)

    @property
    def patience_s(self) -> float:
        """What one request may wait in all, s."""
        return self._settings().max_wait_s

    async def take(self, connection: Connection, hold_id: str, within_s: float | None = None) -> Slot | NoSlot:
        """A slot, now or within the time that may be waited (`max_wait_s`, and `within_s` when given; 0 = not at all).

        NoSlot as soon as it is certain: the line is full ("queue_full"), the time is over ("waited") or would be over
        before there is a slot (the limit's name), the caller has left ("left"). Cancelling takes nothing.
        """
        if not self._slots.has_limits(connection):
            return FREE
        arrived = next(self._order)
        settings = self._settings()
        patience_s = settings.max_wait_s if within_s is None else min(within_s, settings.max_wait_s)
        line = self._lines.get(connection.id)
        if line is None:
            taken = await self._slots.take(connection, hold_id)
            if isinstance(taken, Slot) or patience_s <= 0 or (taken.wait_s or 0.0) > patience_s:
                return taken
            line = self._lines.get(connection.id)
            if line is None:
                line = self._lines[connection.id] = _Line(connection.id)
            if not line.waiters:
                self._note_refusal(line, taken)
        elif patience_s <= 0:
            return self._refusal(line)
        waiter = _Waiter(line, hold_id, arrived, self._clock() + patience_s)
        is_full = len(line.waiters) >= settings.max_waiting
        if is_full or self._is_in_vain(waiter):
            self._drop_if_empty(line)
            return self._refusal(line, "queue_full" if is_full else "")
        return await self._wait(connection, waiter)

    def leave(self, slot: Slot, verdict: Verdict = "") -> None:
        """Give a slot back, and let the first of its line ask. Free for a connection without limits."""
        if slot is FREE:
            return
        self._slots.leave(slot, verdict)
        line = self._lines.get(slot.connection_id)
        if line is not None and line.last.reason == "concurrency":
            self._give_turn(line)

    def caller_left(self, hold_id: str) -> None:
        """The request that waits under this id need not wait on."""
        waiter = self._by_hold.get(hold_id)
        if waiter is not None:
            waiter.end(NoSlot("left"))

    async def _wait(self, connection: Connection, waiter: _Waiter) -> Slot | NoSlot:
        line = waiter.line
        self._join(line, waiter)
        is_asking = False
        try:
            while True:
                await waiter.turn
                if waiter.ended is not None:
                    return waiter.ended
                is_asking = True
                taken = await self._slots.take(connection, waiter.hold_id)
                if isinstance(taken, Slot):
                    if waiter.ended is None or waiter.ended.reason != "left":
                        return taken
                    self._slots.leave(taken)
                    return waiter.ended
                is_asking = line.is_asking = False
                waiter.turn = asyncio.get_running_loop().create_future()
                self._note_refusal(line, taken)
                self._dismiss_those_in_vain(line)
                if waiter.ended is not None:
                    waiter.wake()
        finally:
            if is_asking or (line.is_asking and line.waiters[0] is waiter):
                line.is_asking = False
                line.ready_at = 0.0  # its turn is the next one's
            self._step_out(line, waiter)

    def _join(self, line: _Line, waiter: _Waiter) -> None:
        """By arrival: who asked Redis first and was refused stands before who came meanwhile."""
        place = len(line.waiters)
        while place and line.waiters[place - 1].arrived > waiter.arrived:
            place -= 1
        if place == 0 and line.is_asking:
            place = 1
        line.waiters.insert(place, waiter)
        self._by_hold[waiter.hold_id] = waiter
        self._look_at(waiter.due, waiter)

    def _step_out(self, line: _Line, waiter: _Waiter) -> None:
        was_first = line.waiters[0] is waiter
        line.waiters.remove(waiter)
        self._by_hold.pop(waiter.hold_id, None)
        if line.waiters and was_first and line.ready_at <= self._clock():
            self._give_turn(line)
        self._drop_if_empty(line)

    def _note_refusal(self, line: _Line, refusal: NoSlot) -> None:
        line.last = refusal
        line.ready_at = self._clock() + (POLL_S if refusal.wait_s is None else refusal.wait_s)
        self._look_at(line.ready_at, line)

    def _refusal(self, line: _Line, reason: Literal["queue_full", "waited", ""] = "") -> NoSlot:
        left_s = None if line.last.wait_s is None else max(0.0, line.ready_at - self._clock())
        return NoSlot(reason or line.last.reason, left_s)

    def _is_in_vain(self, waiter: _Waiter) -> bool:
        return waiter.line.last.wait_s is not None and waiter.line.ready_at > waiter.due

    def _dismiss_those_in_vain(self, line: _Line) -> None:
        """Nobody gets a slot before `ready_at`: who cannot wait so long goes to the next target now."""
        for waiter in line.waiters:
            if self._is_in_vain(waiter):
                waiter.end(self._refusal(line))

    def _give_turn(self, line: _Line) -> None:
        if line.waiters and not line.is_asking:
            line.is_asking = True
            line.waiters[0].wake()

    def _drop_if_empty(self, line: _Line) -> None:
        if not line.waiters:
            self._lines.pop(line.connection_id, None)

    def _look_at(self, when: float, what: _Waiter | _Line) -> None:
        events = self._events
        if len(events) > 100 + 4 * len(self._by_hold):
            events[:] = [event for event in events if not self._is_over(event[0], event[2])]
            heapq.heapify(events)
        heapq.heappush(events, (when, next(self._order), what))
        if self._timer is None or when < self._timer_at:
            self._arm()

    def _is_over(self, when: float, what: _Waiter | _Line) -> bool:
        if isinstance(what, _Line):
            return not what.waiters or what.ready_at != when
        return what.hold_id not in self._by_hold

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._events:
            self._timer_at = self._events[0][0]
            delay_s = max(0.001, self._timer_at - self._clock())  # uvloop counts whole ms, and may be early by one
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._tick)

    def _tick(self) -> None:
        now = self._clock()
        events = self._events
        while events and (events[0][0] <= now or not self._by_hold):
            when, _, what = heapq.heappop(events)
            if self._is_over(when, what):
                continue
            if isinstance(what, _Waiter):
                what.end(self._refusal(what.line, "waited"))
            else:
                self._give_turn(what)
        self._timer = None
        self._arm()
