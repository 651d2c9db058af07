"""Limits of connections, exact across workers: a request takes a slot before it starts there and leaves it at its end.

A connection without limits costs nothing. While Redis is away each worker keeps to its share of the limits (limit ÷
workers last seen, at least 1), and charges what it started to the shared minute when Redis is back.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from gateway.domain.target import Connection
from gateway.domain.waiting import Waiting
from gateway.state import keys
from gateway.state.resp import Argument, RespClient, Script, StateAway
from gateway.state.told_limits import Hints, ToldLimits

Verdict = Literal["ok", "over", ""]
"""What an answer says of the connection's limit: it was kept, it was passed (429, 529), or nothing."""

MAX_ACCOUNTS = 10_000
MAX_LEARNED_GAP_S, MAX_LEARNED_S = 60.0, 3_600.0
ASSUMED_REQUESTS = 100
"""Of a limit that counts tokens only: a request is taken for this part of it until requests are known."""

_TAKE, _LEAVE, _RENEW, _LEARN = (Script(name) for name in ("take_slot", "leave_slot", "renew_slots", "learn_pace"))


class Slot(msgspec.Struct, frozen=True):
    """The right to one request at a connection. `taken_ms` is the server's clock, 0 when it was given locally."""

    connection_id: str = ""
    hold_id: str = ""
    taken_ms: int = 0
    open: int = 0
    cap: int = 0
    start: int = 0


FREE = Slot()
"""Of a connection without limits: nothing was taken, nothing is to leave."""


class NoSlot(msgspec.Struct, frozen=True):
    """`wait_s` is when it can be had, exactly; None = nobody knows (somebody must leave first)."""

    reason: Literal["rpm", "gap", "concurrency", "queue_full", "waited", "left"]
    wait_s: float | None = None


class _Account:
    """What this worker knows of one connection: its open requests, and its starts in the last minute."""

    __slots__ = ("asked", "held", "last_start", "starts", "uncharged", "used_at")

    def __init__(self) -> None:
        self.held: dict[str, None] = {}
        self.asked: dict[str, None] = {}
        """Hold ids on their way to Redis."""
        self.starts: deque[list[int]] = deque()
        """[second, starts in it], oldest first, of the last 61 s."""
        self.last_start = float("-inf")
        self.uncharged: dict[int, int] = {}
        self.used_at = 0.0

    def note_start(self, now: float) -> None:
        second = int(now)
        self.last_start = now
        if self.starts and self.starts[-1][0] == second:
            self.starts[-1][1] += 1
        else:
            self._forget_old(second)
            self.starts.append([second, 1])

    def minute(self, now: float) -> int:
        self._forget_old(int(now))
        return sum(count for _, count in self.starts)

    def _forget_old(self, second: int) -> None:
        while self.starts and self.starts[0][0] <= second - 61:
            self.starts.popleft()


class _Learned(msgspec.Struct, frozen=True):
    gap_ms: int
    until: float


class Slots:
    """Slots of one worker. `settings` gives those of now; `clock` is monotonic, in seconds."""

    def __init__(
        self,
        redis: RespClient,
        worker: str,
        settings: Callable[[], Waiting],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = redis
        self._worker = worker
        self._settings = settings
        self._clock = clock
        self._accounts: dict[str, _Account] = {}
        self._learned: dict[str, _Learned] = {}
        self.told = ToldLimits(redis)
        """For people to see; no slot depends on it."""
        self.live_workers = 1
        """As last seen while Redis was up."""
        self.on_alone: Callable[[], None] = lambda: None
        """Called for each request that this worker had to decide alone."""

    @property
    def accounts(self) -> int:
        """Connections with limits that this worker knows."""
        return len(self._accounts)

    @property
    def open(self) -> int:
        """Slots this worker holds."""
        return sum(len(account.held) for account in self._accounts.values())

    @property
    def learned(self) -> int:
        """Connections that have a limit of their provider's telling."""
        return len(self._learned)

    def has_limits(self, connection: Connection) -> bool:
        """Whether a request there needs a slot at all."""
        return bool(
            connection.rpm
            or connection.min_gap_ms
            or connection.max_concurrency
            or (self._learned and self._learned_gap_ms(connection.id))
            or self._adapts(connection)
        )

    def _adapts(self, connection: Connection) -> bool:
        own = connection.adapts_concurrency
        return self._settings().adapts_concurrency if own is None else own

    async def take(self, connection: Connection, hold_id: str) -> Slot | NoSlot:
        """Take a slot, or learn when there will be one. `hold_id` is unique to the attempt: the same id is the same slot.

        Never raises for Redis's sake. A caller that is cancelled here has taken nothing.
        """
        if not self.has_limits(connection):
            return FREE
        account = self._account(connection.id)
        cap, start = self._adaptive(connection)
        account.asked[hold_id] = None
        try:
            answer = await self._redis.run(
                _TAKE,
                (*self._names(connection.id), keys.slot_holds(connection.id, self._worker)),
                (hold_id, self._worker, connection.rpm, self._gap_ms(connection), connection.max_concurrency, cap,
                 start, keys.OPEN_TTL_S),
            )  # fmt: skip
        except StateAway:
            self.on_alone()
            taken = self._take_locally(connection, account, hold_id)
            if isinstance(taken, NoSlot):
                self._send_leave(Slot(connection.id, hold_id), "")  # the server may have given it all the same
            return taken
        except asyncio.CancelledError:
            self._send_leave(Slot(connection.id, hold_id), "")
            raise
        finally:
            account.asked.pop(hold_id, None)
        assert isinstance(answer, list)
        if answer[0] == 0:
            return NoSlot(answer[1].decode(), None if answer[2] < 0 else answer[2] / 1000)
        account.held[hold_id] = None
        account.note_start(self._clock())
        return Slot(connection.id, hold_id, answer[1], answer[2], cap, start)

    def leave(self, slot: Slot, verdict: Verdict = "") -> None:
        """Give a slot back. Goes out with what else is sent in this tick; nobody waits for it. Twice is once."""
        if slot is FREE or not slot.hold_id:
            return
        account = self._accounts.get(slot.connection_id)
        if account is not None and slot.hold_id in account.held:
            del account.held[slot.hold_id]
            self._send_leave(slot, verdict)

    async def renew(self) -> None:
        """Every 5 s: say what is still open, charge what Redis missed, tell what providers say of their limits, see how many workers live.

        Raises StateAway.
        """
        for connection_id, account in tuple(self._accounts.items()):
            if account.held or account.uncharged:
                await self._renew_one(connection_id, account)
        self._forget_idle()
        self.told.tell()
        await self._count_workers()

    def restore(self) -> None:
        """Redis is back, or is another server: tell it at once what is open and what was started. Call on connect."""
        for connection_id, account in self._accounts.items():
            if account.held or account.uncharged:
                charges, account.uncharged = account.uncharged, {}
                try:
                    trip = self._redis.send("EVAL", _RENEW.text, *self._renewal(connection_id, account, charges))
                except StateAway:
                    account.uncharged = charges
                    return
                _ignore(trip)

    def forget(self, connection_id: str) -> None:
        """What was learned of a connection's limit is no longer to count: an operator said so, to all workers."""
        self._learned.pop(connection_id, None)

    def learn(self, connection: Connection, hints: Hints) -> None:
        """Spread what a provider says is left (under 10 %) over the time to its reset; forget that above 50 %."""
        if hints.requests_limit is None and hints.tokens_limit is None:
            return
        self.told.note(connection.id, hints)
        if not self._settings().learns_limits:
            return
        gap_s, lasts_s, is_nothing_left = 0.0, 0.0, False
        shares: list[float] = []
        for limit, remaining, reset_s, cost in _windows(hints):
            shares.append(remaining / limit)
            if shares[-1] < 0.1 and reset_s > 0:
                spread_s = min(reset_s / max(1.0, remaining / cost), MAX_LEARNED_GAP_S)
                if spread_s > gap_s:
                    gap_s, lasts_s, is_nothing_left = spread_s, min(reset_s, MAX_LEARNED_S), remaining < cost
        known = self._learned.get(connection.id)
        if gap_s:
            self._note_learned(connection.id, known, max(1, round(gap_s * 1000)), lasts_s, is_nothing_left)
        elif known is not None and shares and min(shares) > 0.5:
            del self._learned[connection.id]
            self._send_script(_LEARN, (keys.slot_pace(connection.id),), (0, 0, 0))

    def _note_learned(
        self, connection_id: str, known: _Learned | None, gap_ms: int, lasts_s: float, is_nothing_left: bool
    ) -> None:
        """Redis is told when it differs by a tenth, so a stream of answers that say the same costs nothing there."""
        now = self._clock()
        if known is not None and known.until > now and abs(known.gap_ms - gap_ms) * 10 <= known.gap_ms:
            return
        if known is None and len(self._learned) >= MAX_ACCOUNTS:
            del self._learned[next(iter(self._learned))]
        self._learned[connection_id] = _Learned(gap_ms, now + lasts_s)
        self._send_script(
            _LEARN, (keys.slot_pace(connection_id),), (gap_ms, max(1, round(lasts_s * 1000)), int(is_nothing_left))
        )

    def _learned_gap_ms(self, connection_id: str) -> int:
        known = self._learned.get(connection_id)
        if known is None:
            return 0
        if known.until <= self._clock():
            del self._learned[connection_id]
            return 0
        return known.gap_ms

    def _gap_ms(self, connection: Connection) -> int:
        return max(connection.min_gap_ms, self._learned_gap_ms(connection.id))

    def _adaptive(self, connection: Connection) -> tuple[int, int]:
        """(bound, first value) of the adaptive limit; (0, 0) when it is off."""
        if not self._adapts(connection):
            return 0, 0
        settings = self._settings()
        cap = connection.max_concurrency or settings.adaptive_most
        return cap, min(cap, settings.adaptive_start)

    def _account(self, connection_id: str) -> _Account:
        account = self._accounts.get(connection_id)
        if account is None:
            account = self._accounts[connection_id] = _Account()
        account.used_at = self._clock()
        return account

    def _take_locally(self, connection: Connection, account: _Account, hold_id: str) -> Slot | NoSlot:
        """The same limits, divided by the workers that were last seen."""
        now, workers = self._clock(), self.live_workers
        cap, start = self._adaptive(connection)
        most = connection.max_concurrency or start
        if most and len(account.held) >= max(1, most // workers):
            return NoSlot("concurrency")
        gap_s = self._gap_ms(connection) * workers / 1000
        if now - account.last_start < gap_s:
            return NoSlot("gap", account.last_start + gap_s - now)
        if connection.rpm and account.minute(now) >= max(1, connection.rpm // workers):
            return NoSlot("rpm", account.starts[0][0] + 61 - now)
        account.held[hold_id] = None
        account.note_start(now)
        if connection.rpm:
            account.uncharged[int(now)] = account.uncharged.get(int(now), 0) + 1
            if len(account.uncharged) > 61:
                del account.uncharged[next(iter(account.uncharged))]
        return Slot(connection.id, hold_id, cap=cap, start=start)

    def _send_leave(self, slot: Slot, verdict: Verdict) -> None:
        """What cannot be sent now is told by the next renewal, which names all that is still open."""
        verdict = verdict if slot.taken_ms else ""
        self._send_script(
            _LEAVE,
            (
                keys.slot_pace(slot.connection_id),
                keys.slot_open(slot.connection_id),
                keys.slot_holds(slot.connection_id, self._worker),
            ),
            (slot.hold_id, self._worker, verdict, slot.taken_ms, slot.open, slot.cap, slot.start),
        )

    def _send_script(self, script: Script, names: tuple[str, ...], arguments: tuple[Argument, ...]) -> None:
        """Run a script without waiting; once more with its text when the server has lost it."""

        def look(trip: asyncio.Future[object]) -> None:
            if trip.cancelled() or trip.exception() is not None:
                return
            if isinstance(trip.result(), Exception) and str(trip.result()).startswith("NOSCRIPT"):
                try:
                    _ignore(self._redis.send("EVAL", script.text, len(names), *names, *arguments))
                except StateAway:
                    return

        try:
            self._redis.send("EVALSHA", script.sha, len(names), *names, *arguments).add_done_callback(look)
        except StateAway:
            return

    async def _renew_one(self, connection_id: str, account: _Account) -> None:
        charges, account.uncharged = account.uncharged, {}
        count, *rest = self._renewal(connection_id, account, charges)
        assert isinstance(count, int)
        try:
            await self._redis.run(_RENEW, rest[:count], rest[count:])
        except StateAway:
            for second, starts in charges.items():
                account.uncharged[second] = account.uncharged.get(second, 0) + starts
            raise

    def _renewal(self, connection_id: str, account: _Account, charges: dict[int, int]) -> tuple[Argument, ...]:
        now = int(self._clock())
        return (
            3,
            keys.slot_minute(connection_id),
            keys.slot_open(connection_id),
            keys.slot_holds(connection_id, self._worker),
            self._worker,
            keys.OPEN_TTL_S,
            " ".join(account.held),
            " ".join(account.asked),
            " ".join(f"{now - second}:{starts}" for second, starts in charges.items()),
        )

    def _names(self, connection_id: str) -> tuple[str, str, str]:
        return keys.slot_pace(connection_id), keys.slot_minute(connection_id), keys.slot_open(connection_id)

    def _forget_idle(self) -> None:
        oldest = self._clock() - 120
        for connection_id, account in tuple(self._accounts.items()):
            if account.used_at < oldest and not (account.held or account.asked or account.uncharged):
                del self._accounts[connection_id]

    async def _count_workers(self) -> None:
        listed = await self._redis.call("SMEMBERS", keys.WORKERS)
        assert isinstance(listed, Iterable)
        names = [keys.worker(one.decode()) for one in listed]
        if names:
            alive = await self._redis.call("EXISTS", *names)
            assert isinstance(alive, int)
            self.live_workers = max(1, alive)


def _windows(hints: Hints) -> list[tuple[float, float, float, float]]:
    """(limit, left, seconds to its reset, what a request costs) of each window that the provider told whole."""
    found: list[tuple[float, float, float, float]] = []
    limit, left, reset_s = hints.requests_limit, hints.requests_remaining, hints.requests_reset_s
    asked = 0.0
    if limit and left is not None:
        asked = max(0.0, limit - left)
        found.append((limit, max(0.0, left), reset_s or 0.0, 1.0))
    limit, left, reset_s = hints.tokens_limit, hints.tokens_remaining, hints.tokens_reset_s
    if limit and left is not None:
        cost = (limit - left) / asked if asked and limit > left else limit / ASSUMED_REQUESTS
        found.append((limit, max(0.0, left), reset_s or 0.0, cost))
    return found


def _ignore(future: asyncio.Future[object]) -> None:
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
