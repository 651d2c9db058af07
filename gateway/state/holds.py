"""What a request has taken, and giving it back: the two trips of the request path, `take` and `settle`.

`take` reserves a place, tokens and money of the key's limits, exact across workers; `settle` turns what was reserved
into what was used. While Redis is away a key gets its share of the limits here (`local_limits.py`), a strict key is
refused, and records go to the spool; what was used meanwhile is charged when Redis is back.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Literal

import msgspec
import structlog

from gateway.config.snapshot import decode_key_entry
from gateway.domain.budget import told_spent
from gateway.domain.caller import Caller
from gateway.domain.errors import OverLimit, Unavailable
from gateway.domain.record import RequestRecord, encode_record
from gateway.domain.usage import Usage
from gateway.state import keys
from gateway.state.keyring import Keyring
from gateway.state.local_limits import LocalLimits, Slot
from gateway.state.packed_limits import MAX_PACKED, SETTLE, TAKE, Budget, LimitsPacker, PackedLimits
from gateway.state.resp import Argument, NotSent, RespClient, Script, StateAway, packed_part, packed_run
from gateway.state.spool import Spool, SpoolFull
from gateway.telemetry.metrics import Metrics

_log = structlog.get_logger()

MAX_STREAM_ENTRIES = 100_000
RECENT_S, MAX_RECENT = 10.0, 50_000
"""A server that loses its last second (AOF everysec) gets the last ten again; the ledger keeps one row an id."""

MAX_UNSETTLED, UNSETTLED_AT_ONCE, PAY_AGAIN_S = 50_000, 1000, 1.0
"""Settlements that did not arrive: how many are kept, are sent in one write, and how soon after one was lost again."""

STRICT_RETRY_S = 1.0

_RENEW_OPEN = Script("renew_open")
_CHARGE_LOCAL = Script("charge_local")


class Hold(msgspec.Struct, frozen=True):
    """What one request has taken.

    `slot_worker` is given to `settle` when something may be held in Redis: a place (`is_counted`), `tokens` (reserved), or `nano_usd`
    (held of each budget of `packed`). `if_unseen` says what `settle.lua` does when Redis knows nothing of it. `local` is where it was counted here, `is_owed` whether
    the shared windows have to be told of it.
    """

    digest: str = ""
    slot_worker: str = ""
    is_counted: bool = False
    tokens: int = 0
    nano_usd: int = 0
    if_unseen: Literal["", "noted", "always"] = ""
    local: Slot | None = None
    is_owed: bool = False
    packed: PackedLimits | None = None
    budget_warning: bytes = b""
    """What is spent and held of the key's budget, in words, once its operator wants it told."""

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """Those of which `nano_usd` is held."""
        return self.packed.budgets if self.packed is not None else ()


NO_HOLD = Hold()
"""Of a request that was refused before it took anything."""


class HeldMoney(msgspec.Struct):
    """What this worker's open requests hold of one counter."""

    ends_at: float
    requests: int = 0
    nano_usd: int = 0


class _Packed(msgspec.Struct, frozen=True):
    """What is the same in every `take` of a key without limits, and what it gets."""

    version: int
    start: bytes
    hold: Hold


class _Settlement(msgspec.Struct, frozen=True):
    names: tuple[Argument, ...]
    arguments: tuple[Argument, ...]
    if_unseen: str


class Holds:
    """Takes and settles for one worker. `clock` is monotonic seconds, `wall` unix seconds.

    `cached_share` says how much of a token read from a provider's cache counts for tokens a minute, 0..1.
    """

    def __init__(
        self,
        redis: RespClient,
        keyring: Keyring,
        spool: Spool,
        worker: str,
        metrics: Metrics,
        clock: Callable[[], float],
        *,
        wall: Callable[[], float] = time.time,
        cached_share: float = 1.0,
        max_stream_entries: int = MAX_STREAM_ENTRIES,
    ) -> None:
        self._redis = redis
        self._keyring = keyring
        self._spool = spool
        self._worker = worker
        self._inflight = keys.inflight(worker)
        self._held = keys.held(worker)
        names = (keys.RECORDS, self._inflight)
        self._settle_start = packed_run(SETTLE, 1 + len(names) + 3, len(names), *names)
        self._settle_end = packed_part(b"%d" % max_stream_entries)
        self._packed: dict[str, _Packed] = {}
        self._limits = LimitsPacker(worker, max_stream_entries, wall)
        self._is_listed = False
        self._metrics = metrics
        self._clock = clock
        self._wall = wall
        self.cached_share = cached_share
        self.open_by_key: dict[str, int] = {}
        """Open requests of keys that have a limit on them, by digest."""
        self.held_money: dict[str, HeldMoney] = {}
        """By counter in Redis."""
        self._asked: dict[str, Hold] = {}
        """By request id: takes that are not answered. What they would hold is in the counts above."""
        self._told_open: set[str] = set()
        self._told_money: dict[str, float] = {}
        self._local = LocalLimits(clock)
        self._unsettled: deque[_Settlement] = deque(maxlen=MAX_UNSETTLED)
        self._pay_from = 0.0
        self._recent: deque[tuple[float, bytes]] = deque(maxlen=MAX_RECENT)

    @property
    def recent(self) -> int:
        return len(self._recent)

    @property
    def packed(self) -> int:
        """Keys whose part of a `take` is kept ready."""
        return len(self._packed) + len(self._limits)

    @property
    def asking(self) -> int:
        """Requests of keys with limits that wait to be admitted."""
        return len(self._asked)

    @property
    def unsettled(self) -> int:
        """Settlements that wait for Redis to come back."""
        return len(self._unsettled)

    @property
    def local_keys(self) -> int:
        """Keys that are limited here, because Redis was away in the last minute."""
        return len(self._local)

    @property
    def live_workers(self) -> int:
        """Workers that share a key's limits while Redis is away, as last seen; whoever reads heartbeats sets it."""
        return self._local.live_workers

    @live_workers.setter
    def live_workers(self, count: int) -> None:
        self._local.live_workers = max(1, count)

    def take(
        self, caller: Caller, note: RequestRecord, *, reserve_tokens: int = 0, reserve_nano_usd: int = 0
    ) -> Awaitable[Hold | Caller]:
        """Admit the request and note it in flight. Returns a newer Caller when the key has changed: ask again.

        `note` is the record that the ledger writes if this worker dies. What is reserved counts for keys with a limit
        on tokens or a budget, until `settle` tells what was used. Raises Unauthorized, Unavailable, OverLimit.
        """
        blob = encode_record(note)
        if not self._is_listed:
            self._list_worker()
        if self._unsettled or self._local.owes:
            self._pay()
        if caller.has_limits:
            return self._take_limited(caller, note.id, blob, reserve_tokens, reserve_nano_usd)
        if not caller.digest:
            return self._take_nothing(note.id, blob)
        packed = self._packed.get(caller.digest)
        if packed is None or packed.version != caller.version:
            packed = self._pack_key(caller)
        command = b"%b$%d\r\n%b\r\n$%d\r\n%b\r\n" % (packed.start, len(note.id), note.id.encode(), len(blob), blob)
        return self._ask(caller, packed.hold, note.id, blob, command)

    async def _take_nothing(self, request_id: str, blob: bytes) -> Hold:
        self._note_only(request_id, blob)
        return NO_HOLD

    def _pack_key(self, caller: Caller) -> "_Packed":
        names = (keys.key(caller.digest), keys.KEYRING_EPOCH, self._inflight)
        start = packed_run(TAKE, 1 + len(names) + 3, len(names), *names, caller.version)
        if len(self._packed) >= MAX_PACKED:
            del self._packed[next(iter(self._packed))]
        packed = self._packed[caller.digest] = _Packed(caller.version, start, Hold(caller.counter))
        return packed

    async def _take_limited(
        self, caller: Caller, request_id: str, blob: bytes, reserve_tokens: int, reserve_nano_usd: int
    ) -> Hold | Caller:
        packed = self._limits.of(caller)
        hold = self._hold_of(caller, packed, reserve_tokens, reserve_nano_usd)
        tokens, nano_usd = b"%d" % hold.tokens, b"%d" % hold.nano_usd
        command = b"%b$%d\r\n%b\r\n$%d\r\n%b\r\n%b$%d\r\n%b\r\n$%d\r\n%b\r\n" % (
            packed.start, len(request_id), request_id.encode(), len(blob), blob, packed.limits, len(tokens), tokens,
            len(nano_usd), nano_usd,
        )  # fmt: skip
        if hold.slot_worker:
            self._count(hold)  # before it is sent, so that a renewal never takes it away
            self._asked[request_id] = hold
        is_admitted = False
        try:
            taken = await self._ask(caller, hold, request_id, blob, command)
            is_admitted = isinstance(taken, Hold)
        finally:
            if hold.slot_worker:
                self._asked.pop(request_id, None)
                if not is_admitted:
                    self._uncount(hold)
        return taken

    async def _ask(self, caller: Caller, hold: Hold, request_id: str, blob: bytes, command: bytes) -> Hold | Caller:
        try:
            answer = await self._redis.run_packed(command, TAKE)
        except NotSent:
            return self._take_locally(caller, hold, "always")
        except StateAway:
            return self._take_unheard(caller, hold, request_id, blob)
        except asyncio.CancelledError:
            if hold.slot_worker:
                self._take_back(request_id, hold)
            raise
        assert isinstance(answer, list)
        if answer[0] == 1:
            if len(answer) > 1:
                self._metrics.budget_warnings.add(())
                return msgspec.structs.replace(hold, budget_warning=_told(hold, answer[1:]))
            return hold
        if answer[0] == 3:
            raise self._over_limit(caller, answer[1].decode(), float(answer[2]))
        if answer[0] == 2:
            return self._keyring.learn(caller.digest, decode_key_entry(answer[1]))
        if answer[0] == -1:  # the server was emptied: what we checked before still holds
            self._note_only(request_id, blob)
            return self._take_locally(caller, hold, "noted", is_away=False)
        return await self._keyring.refresh(caller)

    def _hold_of(self, caller: Caller, packed: PackedLimits, tokens: int, nano_usd: int) -> Hold:
        if not (caller.concurrency or caller.tpm or packed.budgets):
            return Hold(caller.counter)
        return Hold(
            caller.counter,
            self._worker,
            caller.concurrency > 0,
            max(tokens, 0) if caller.tpm else 0,
            max(nano_usd, 0) if packed.budgets else 0,
            packed=packed,
        )

    def _over_limit(self, caller: Caller, limit: str, retry_after_s: float) -> OverLimit:
        most = {"rpm": caller.rpm, "tpm": caller.tpm, "concurrency": caller.concurrency}.get(limit)
        if most is not None:
            return OverLimit(limit, most, retry_after_s)
        most, kind = caller.budget_nano_usd, caller.budget_period
        if limit == "second_budget":
            most, kind = caller.second_budget_nano_usd, caller.second_budget_period
        ends_at = self._limits.period(kind).ends_at
        waits = retry_after_s if retry_after_s > 0 else (max(1.0, ends_at - self._wall()) if ends_at else None)
        return OverLimit("budget", most, waits, period=kind)

    def _count(self, hold: Hold) -> None:
        """Remember what is open, to renew it."""
        for budget in hold.budgets:
            held = self.held_money.get(budget.money)
            if held is None:
                held = self.held_money[budget.money] = HeldMoney(budget.ends_at)
            held.requests += 1
            held.nano_usd += hold.nano_usd
        if hold.is_counted:
            self.open_by_key[hold.digest] = self.open_by_key.get(hold.digest, 0) + 1

    def _uncount(self, hold: Hold) -> None:
        if hold.is_counted:
            left = self.open_by_key.get(hold.digest, 0) - 1
            if left > 0:
                self.open_by_key[hold.digest] = left
            else:
                self.open_by_key.pop(hold.digest, None)
        for budget in hold.budgets:
            held = self.held_money.get(budget.money)
            if held is not None:
                held.requests -= 1
                held.nano_usd -= hold.nano_usd
                if held.requests <= 0:
                    del self.held_money[budget.money]

    def _take_locally(
        self, caller: Caller, hold: Hold, if_unseen: Literal["noted", "always"], *, is_away: bool = True
    ) -> Hold:
        """Admit by this worker's share of the limits. Raises OverLimit, and Unavailable for a strict key."""
        if is_away:
            self._metrics.redis_errors.add(("take",))
        if caller.is_strict:
            raise Unavailable(
                "this API key's limits cannot be kept exactly now: shared state is away; try again soon",
                code="limits_unavailable",
                retry_after_s=STRICT_RETRY_S,
            )
        if not caller.has_limits:
            return hold
        owes = if_unseen == "always" or not is_away
        open_here = self.open_by_key.get(caller.counter, 0) - 1  # it is counted itself
        slot = self._local.admit(caller, hold.tokens, open_here, owes=owes)
        if not hold.slot_worker:
            return hold
        return msgspec.structs.replace(hold, if_unseen=if_unseen, local=slot, is_owed=owes)

    def _take_unheard(self, caller: Caller, hold: Hold, request_id: str, blob: bytes) -> Hold:
        """The server may have admitted it after we had stopped waiting: its end, or we here, give that back."""
        try:
            taken = self._take_locally(caller, hold, "noted")
        except (OverLimit, Unavailable):
            self._take_back(request_id, hold)
            raise
        if taken.slot_worker:
            self._send(("HSET", self._inflight, request_id, blob))
        return taken

    def _take_back(self, request_id: str, hold: Hold) -> None:
        """Give back what a take that nobody waits for may have taken; on one connection it is done after that take."""
        if hold.slot_worker:
            names, arguments = self._settling(request_id, hold, 0, 0)
            self._send(("EVALSHA", SETTLE.sha, len(names), *names, *arguments))
        else:
            self._send(("HDEL", self._inflight, request_id))

    async def settle(self, record: RequestRecord, hold: Hold) -> Literal["stream", "spool", "lost"]:
        """Hand the record over: in the stream, or on disk, before this returns (50 ms at most for the stream).

        What was held becomes what was used: `record.usage`, and `record.cost_nano_usd` of the key's budget.
        """
        blob = encode_record(record)
        if hold.slot_worker:
            used = self._counted_tokens(record.usage)
            self._close(hold, used)
            command = self._pack_settle(record, blob, hold, used)
        else:
            command = b"%b$%d\r\n%b\r\n$%d\r\n%b\r\n%b" % (
                self._settle_start,
                len(record.id),
                record.id.encode(),
                len(blob),
                blob,
                self._settle_end,
            )
        path: Literal["stream", "spool", "lost"] = "stream"
        try:
            answer = await self._redis.run_packed(command, SETTLE)
            self._remember(blob)
            if answer == 0:
                path = self._to_disk(blob)
        except StateAway:
            self._metrics.redis_errors.add(("settle",))
            path = self._to_disk(blob)
            if hold.slot_worker:
                settling = self._settling(record.id, hold, used, record.cost_nano_usd)
                self._unsettled.append(_Settlement(*settling, hold.if_unseen))
        except asyncio.CancelledError:
            self._metrics.records.add((self._to_disk(blob),))  # it may have arrived too: one row an id
            raise
        self._metrics.records.add((path,))
        return path

    def _pack_settle(self, record: RequestRecord, blob: bytes, hold: Hold, tokens: int) -> bytes:
        packed = hold.packed
        assert packed is not None, "a hold that names a worker was made from one"
        used, cost = b"%d" % tokens, b"%d" % record.cost_nano_usd
        end = self._limits.settle_end(packed)
        return b"%b$%d\r\n%b\r\n$%d\r\n%b\r\n%b$%d\r\n%b\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n%b" % (
            packed.settle_start, len(record.id), record.id.encode(), len(blob), blob, packed.settle_limits,
            len(used), used, len(cost), cost, len(hold.if_unseen), hold.if_unseen.encode(), end,
        )  # fmt: skip

    def _settling(
        self, request_id: str, hold: Hold, tokens: int, nano_usd: int
    ) -> tuple[tuple[Argument, ...], tuple[Argument, ...]]:
        """Names and arguments of a settlement that carries no record."""
        budgets = hold.budgets
        money = [budget.money for budget in budgets]
        names = (keys.RECORDS, self._inflight, self._held, keys.key_limits(hold.digest), *money)
        lifetimes = self._limits.lifetimes(budgets)
        return names, (request_id, b"", 0, hold.slot_worker, tokens, nano_usd, hold.if_unseen, lifetimes)

    def _counted_tokens(self, usage: Usage) -> int:
        uncounted = 0 if self.cached_share >= 1 else int(usage.cache_read * (1 - self.cached_share))
        return max(0, usage.input + usage.output - uncounted)

    def _close(self, hold: Hold, used: int) -> None:
        """Forget here what was open, and set right what was counted here."""
        self._uncount(hold)
        if hold.local is not None:
            self._local.set_right(hold.digest, hold.local, hold.tokens, used, owes=hold.is_owed)

    async def renew_open(self) -> None:
        """Tell that what the open requests of limited keys hold is still held. Raises StateAway.

        Amounts are read when each is sent. What was told last time and is no longer held is told once more, as 0.
        """
        if self._unsettled or self._local.owes:
            self._pay()
        self._told_open.update(self.open_by_key)
        self._told_money.update({name: held.ends_at for name, held in self.held_money.items()})
        for digest in tuple(self._told_open):
            asked = [name for name, hold in self._asked.items() if hold.is_counted and hold.digest == digest]
            count = self.open_by_key.get(digest, 0) - len(asked)
            await self._renew(keys.key_limits(digest), count, keys.LIMITS_TTL_S, "open", asked)
        for name, ends_at in tuple(self._told_money.items()):
            left = int(ends_at + keys.PERIOD_SLACK_S - self._wall()) if ends_at else 0
            if left > 0 or not ends_at:
                held = self.held_money.get(name)
                asked = [
                    request_id
                    for request_id, hold in self._asked.items()
                    if any(budget.money == name for budget in hold.budgets)
                ]
                amount = (held.nano_usd if held else 0) - sum(self._asked[one].nano_usd for one in asked)
                await self._renew(name, amount, left, "money", asked)
        if self._told_open or self._told_money:
            await self._redis.call("EXPIRE", self._held, keys.HELD_TTL_S)
        self._told_open &= self.open_by_key.keys()
        self._told_money = {name: at for name, at in self._told_money.items() if name in self.held_money}

    async def _renew(
        self, name: str, amount: int, lifetime_s: int, kind: Literal["open", "money"], asked: list[str]
    ) -> None:
        """`asked` are not in `amount`: they were sent ahead of this, so the server knows whether it admitted them."""
        await self._redis.run(
            _RENEW_OPEN,
            (name, self._held),
            (self._worker, amount, keys.OPEN_TTL_S, lifetime_s, kind, " ".join(asked)),
        )

    # -- what is owed from a time without Redis --

    def _pay(self) -> None:
        """Send what did not arrive, ahead of what comes next on the connection."""
        if not self._redis.is_up or self._clock() < self._pay_from:
            return
        for script in (SETTLE, _CHARGE_LOCAL):
            self._send(("SCRIPT", "LOAD", script.text))  # the server may be a new one
        for _ in range(min(len(self._unsettled), UNSETTLED_AT_ONCE)):
            self._settle_again(self._unsettled.popleft())
        for digest, age_s, requests, tokens in self._local.take_owed():
            self._charge(digest, age_s, requests, tokens)

    def _settle_again(self, one: _Settlement) -> None:
        """It changes nothing if it arrived before. One that Redis never saw is sent once: it has no mark to tell."""

        def check(sent: asyncio.Future[object]) -> None:
            is_lost = sent.cancelled() or sent.exception() is not None
            if (is_lost and one.if_unseen != "always") or (not is_lost and isinstance(sent.result(), Exception)):
                self._pay_from = self._clock() + PAY_AGAIN_S
                self._unsettled.append(one)

        command = ("EVALSHA", SETTLE.sha, len(one.names), *one.names, *one.arguments)
        if not self._send(command, check):
            self._unsettled.append(one)

    def _charge(self, digest: str, age_s: int, requests: int, tokens: int) -> None:
        second = int(self._clock()) - age_s

        def check(sent: asyncio.Future[object]) -> None:
            if sent.cancelled() or sent.exception() is not None or isinstance(sent.result(), Exception):
                self._pay_from = self._clock() + PAY_AGAIN_S
                self._local.owe_again(digest, second, requests, tokens)

        command = ("EVALSHA", _CHARGE_LOCAL.sha, 1, keys.key_limits(digest), age_s, requests, tokens)
        if not self._send(command, check):
            self._local.owe_again(digest, second, requests, tokens)

    def _send(
        self, command: tuple[Argument, ...], check: Callable[[asyncio.Future[object]], None] | None = None
    ) -> bool:
        """Without waiting. False when it cannot be sent."""
        try:
            sent = self._redis.send(*command)
        except StateAway:
            return False
        sent.add_done_callback(check or _look)
        return True

    def resend_recent(self) -> None:
        """Send the records of the last seconds again, to a server that may have lost them."""
        oldest = self._clock() - RECENT_S
        for at, blob in self._recent:
            if at >= oldest:
                try:
                    _ignore(self._redis.send("XADD", keys.RECORDS, "*", "r", blob))
                except StateAway:
                    return

    def _remember(self, blob: bytes) -> None:
        now = self._clock()
        recent = self._recent
        while recent and recent[0][0] < now - RECENT_S:
            recent.popleft()
        recent.append((now, blob))

    def _list_worker(self) -> None:
        """Goes ahead of the first notes: of a worker that dies before its heart has beaten they would not be found."""
        try:
            listed = self._redis.send("SADD", keys.WORKERS, self._worker)
        except StateAway:
            return
        listed.add_done_callback(self._note_listed)

    def _note_listed(self, listed: asyncio.Future[object]) -> None:
        if not listed.cancelled() and listed.exception() is None:
            self._is_listed = not isinstance(listed.result(), Exception)

    def note_again(self, notes: Iterable[RequestRecord]) -> None:
        """Note what is in flight on a server that may not know it: it was away when the requests began, or lost it."""
        self._list_worker()
        for note in notes:
            self._note_only(note.id, encode_record(note))

    def _note_only(self, request_id: str, blob: bytes) -> None:
        try:
            _ignore(self._redis.send("HSET", self._inflight, request_id, blob))
        except StateAway:
            self._metrics.redis_errors.add(("take",))

    def _to_disk(self, blob: bytes) -> Literal["spool", "lost"]:
        try:
            self._spool.append(blob)
        except (SpoolFull, OSError) as error:
            _log.error("record_lost", cause=type(error).__name__, record=blob.decode())
            return "lost"
        return "spool"


def _told(hold: Hold, amounts: list[int]) -> bytes:
    """What is used of the budgets of a key that are to be told; -1 = that one is not."""
    told = (
        told_spent(used, budget.most, budget.kind)
        for used, budget in zip(amounts, hold.budgets, strict=False)
        if used >= 0
    )
    return ", ".join(told).encode()


def _ignore(future: asyncio.Future[object]) -> None:
    future.add_done_callback(_look)


def _look(done: asyncio.Future[object]) -> None:
    """Nobody waits for it; an exception that nobody looks at would be logged."""
    if not done.cancelled():
        done.exception()
