"""What is the same in every `take` and `settle` of a key with limits, packed once for a while: the request path adds the rest.

The scripts say what their arguments are.
"""

import struct
from collections.abc import Callable, Iterable, Sequence

import msgspec

from gateway.domain.budget import Period, period_of
from gateway.domain.caller import Caller
from gateway.state import keys
from gateway.state.resp import Script, packed_part, packed_run

TAKE, SETTLE = Script("take"), Script("settle")

MAX_PACKED, PACKED_S = 10_000, 60.0
"""Keys whose part of a `take` is kept ready, and how long that of a key with limits is: it holds the time left of a period."""


class Budget(msgspec.Struct, frozen=True):
    """One budget of a key in its present period: nano-dollars, and the counter of what is spent and held of it.

    `ends_at` is the period's end, unix seconds, 0 = never. From `told_from` on what is used is told, 0 = not at all.
    """

    most: int
    kind: str
    told_from: int
    money: str
    ends_at: float


class PackedLimits(msgspec.Struct, frozen=True):
    """What is the same in every `take` and `settle` of a key with limits, in one period of its budgets, for a while.

    A take is `start`, id, note, `limits`, tokens, nano-dollars; a settlement `settle_start`, id, record, `settle_limits`,
    tokens, nano-dollars, what to do when nothing is held, `settle_end`.
    """

    version: int
    made_at: float
    fresh_until: float
    start: bytes
    limits: bytes
    settle_start: bytes
    settle_limits: bytes
    settle_end: bytes
    budgets: tuple[Budget, ...]

    def is_fresh(self, now: float) -> bool:
        """False too when the clock was set back, perhaps into the period before."""
        return self.made_at <= now < self.fresh_until


class LimitsPacker:
    """For one worker; at most MAX_PACKED keys. `wall` is unix seconds."""

    def __init__(self, worker: str, max_stream_entries: int, wall: Callable[[], float]) -> None:
        self._worker = worker
        self._max_stream_entries = max_stream_entries
        self._wall = wall
        self._inflight, self._held = keys.inflight(worker), keys.held(worker)
        self._known: dict[str, PackedLimits] = {}
        self._periods: dict[str, Period] = {}

    def __len__(self) -> int:
        return len(self._known)

    def of(self, caller: Caller) -> PackedLimits:
        """The key's limits in the present period of its budgets."""
        packed = self._known.get(caller.digest)
        if packed is None or packed.version != caller.version or not packed.is_fresh(self._wall()):
            packed = self._pack(caller)
        return packed

    def settle_end(self, packed: PackedLimits) -> bytes:
        """The last part of a settlement, by what is left of the periods now."""
        if packed.budgets and not packed.is_fresh(self._wall()):
            return packed_part(self.lifetimes(packed.budgets))
        return packed.settle_end

    def _pack(self, caller: Caller) -> PackedLimits:
        now, limits = self._wall(), keys.key_limits(caller.counter)
        budgets = self._budgets(caller)
        money = tuple(budget.money for budget in budgets)
        names = (keys.key(caller.digest), keys.KEYRING_EPOCH, self._inflight, limits, self._held, *money)
        settle_names = (keys.RECORDS, self._inflight, self._held, limits, *money)
        limits_and_budgets = [keys.OPEN_TTL_S, caller.rpm, caller.concurrency, caller.tpm, keys.HELD_TTL_S]
        for budget in budgets:
            limits_and_budgets += [budget.most, self._lifetime(budget), budget.told_from]
        if len(self._known) >= MAX_PACKED:
            del self._known[next(iter(self._known))]
        packed = self._known[caller.digest] = PackedLimits(
            version=caller.version,
            made_at=now,
            fresh_until=min([now + PACKED_S, *[budget.ends_at for budget in budgets if budget.ends_at]]),
            start=packed_run(TAKE, 1 + len(names) + 7, len(names), *names, caller.version),
            limits=_parts(self._worker.encode(), _doubles(limits_and_budgets)),
            settle_start=packed_run(SETTLE, 1 + len(settle_names) + 8, len(settle_names), *settle_names),
            settle_limits=_parts(b"%d" % self._max_stream_entries, self._worker.encode()),
            settle_end=packed_part(self.lifetimes(budgets)),
            budgets=budgets,
        )
        return packed

    def _budgets(self, caller: Caller) -> tuple[Budget, ...]:
        found = []
        for most, kind, told_from in (
            (caller.budget_nano_usd, caller.budget_period, caller.warn_nano_usd),
            (caller.second_budget_nano_usd, caller.second_budget_period, caller.second_warn_nano_usd),
        ):
            if most:
                period = self.period(kind)
                money = keys.key_money(caller.counter, period.name)
                found.append(Budget(most, kind, told_from, money, period.ends_at))
        return tuple(found)

    def period(self, kind: str) -> Period:
        now = self._wall()
        period = self._periods.get(kind)
        if period is None or not period.has(now):
            period = self._periods[kind] = period_of(kind, now)
        return period

    def _lifetime(self, budget: Budget) -> int:
        """Of its counter from now, s; 0 = for ever, -1 = its period is long over."""
        if not budget.ends_at:
            return 0
        left = int(budget.ends_at + keys.PERIOD_SLACK_S - self._wall())
        return left if left > 0 else -1

    def lifetimes(self, budgets: Iterable[Budget]) -> bytes:
        return _doubles([self._lifetime(budget) for budget in budgets])


def _parts(*values: bytes) -> bytes:
    return b"".join(packed_part(value) for value in values)


def _doubles(numbers: Sequence[int]) -> bytes:
    """As the scripts take and keep numbers."""
    return struct.pack(f"<{len(numbers)}d", *numbers)
