"""What all requests to connections of a tier have cost in a period, counted over all workers, for tiers with a budget.

Each worker adds up its own requests and tells the sum (`scripts/tell_spent.lua`): with each settlement, in the same write,
and a few times a second. A sum that is told twice counts once, and one that was lost is in the next. Other workers' sums are
known within that time. While Redis is away a worker goes by what it knew and what it spends itself.
"""

import asyncio
import time
from collections.abc import Callable, Mapping

import msgspec

from gateway.domain.budget import Period, TierBudget, period_of
from gateway.state import keys
from gateway.state.resp import Argument, RespClient, Script, StateAway

_NANO = 1_000_000_000
_TELL_SPENT = Script("tell_spent")


class _Counter(msgspec.Struct):
    """One tier in one period, in nano-dollars: of this worker, what of it was told, and what all had spent then."""

    tier: str
    period: Period
    own: int = 0
    told: int = 0
    of_all: int = 0

    @property
    def spent(self) -> int:
        return self.of_all + self.own - self.told


class TierMoney:
    """One worker's share. `budgets` gives those of now; `wall` is unix seconds.

    At most one counter for each tier and period that is not over.
    """

    def __init__(
        self,
        redis: RespClient,
        worker: str,
        budgets: Callable[[], Mapping[str, TierBudget]],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._redis = redis
        self._worker = worker
        self._read_budgets = budgets
        self._wall = wall
        self._budgets: Mapping[str, TierBudget] = {}
        self._counters: dict[tuple[str, str], _Counter] = {}
        self._spent: frozenset[str] = frozenset()
        self._will_tell = False
        self.has_budgets = False
        """Whether `spend` has anything to do."""

    def __len__(self) -> int:
        return len(self._counters)

    def is_spent(self, tier: str) -> bool:
        """Whether the budget of the tier's present period is used up."""
        return tier in self._spent

    def spent_usd(self) -> dict[str, float]:
        """Tier → what is known to be spent of its budget now."""
        return {tier: self._counter_of(tier, self._wall()).spent / _NANO for tier in self._budgets}

    def spend(self, tier: str, nano_usd: int, at: float) -> None:
        """A request that began at `at` (unix seconds) has cost so much. Call it once a request, before its settlement."""
        if tier not in self._budgets or nano_usd <= 0:
            return
        counter = self._counter_of(tier, at)
        counter.own += nano_usd
        self._judge()
        if not self._will_tell:
            self._will_tell = True
            asyncio.get_running_loop().call_soon(self._tell)

    async def refresh(self) -> None:
        """Follow the settings, tell what is not told, learn what the others spent. Never fails."""
        now = self._wall()
        self._budgets = self._read_budgets()
        self.has_budgets = bool(self._budgets)
        if not self.has_budgets and not self._counters:
            return
        for tier in self._budgets:
            self._counter_of(tier, now)
        self._counters = {name: one for name, one in self._counters.items() if self._lifetime(one, now) >= 0}
        counters = [one for one in self._counters.values() if one.own > one.told or one.tier in self._budgets]
        sums = [one.own for one in counters]
        try:
            answer = await self._redis.run(_TELL_SPENT, *self._told(counters, now)) if counters else []
        except StateAway:
            answer = None
        self._learn(counters, sums, answer)

    def _counter_of(self, tier: str, at: float) -> _Counter:
        kind = self._budgets[tier].period
        for counter in self._counters.values():
            if counter.tier == tier and counter.period.has(at) and counter.period.name.startswith(kind):
                return counter
        period = period_of(kind, at)
        return self._counters.setdefault((tier, period.name), _Counter(tier, period))

    def _lifetime(self, counter: _Counter, now: float) -> int:
        """Of the counter from now, s; 0 = for ever, -1 = its period is long over."""
        if not counter.period.ends_at:
            return 0
        left = int(counter.period.ends_at + keys.PERIOD_SLACK_S - now)
        return left if left > 0 else -1

    def _told(self, counters: list[_Counter], now: float) -> tuple[list[Argument], list[Argument]]:
        """Names and arguments of the script."""
        names: list[Argument] = [keys.tier_money(one.tier, one.period.name) for one in counters]
        arguments: list[Argument] = [self._worker]
        for one in counters:
            arguments += (one.own, one.told, one.of_all, max(0, self._lifetime(one, now)))
        return names, arguments

    def _tell(self) -> None:
        """In the write that carries the settlements of this tick, without waiting."""
        self._will_tell = False
        now = self._wall()
        counters = [one for one in self._counters.values() if one.own > one.told and self._lifetime(one, now) >= 0]
        if not counters:
            return
        sums = [one.own for one in counters]
        names, arguments = self._told(counters, now)

        def learn(sent: asyncio.Future[object]) -> None:
            if not sent.cancelled() and sent.exception() is None:
                self._learn(counters, sums, sent.result())

        try:
            sent = self._redis.send("EVALSHA", _TELL_SPENT.sha, len(names), *names, *arguments)
        except StateAway:
            return  # `refresh` tells it when Redis is back
        sent.add_done_callback(learn)

    def _learn(self, counters: list[_Counter], sums: list[int], answer: object) -> None:
        """What the script answered, when it did; an error (the script is not loaded yet) is told again by `refresh`."""
        if isinstance(answer, list):
            for counter, own, spent in zip(counters, sums, answer, strict=True):
                if own >= counter.told:
                    counter.told = own
                    counter.of_all = max(int(spent), counter.of_all)
        self._judge()

    def _judge(self) -> None:
        now = self._wall()
        self._spent = frozenset(
            counter.tier
            for counter in self._counters.values()
            if (budget := self._budgets.get(counter.tier)) is not None
            and counter.period.has(now)
            and counter.period.name.startswith(budget.period)
            and counter.spent >= budget.nano_usd
        )
