"""Budgets' counters against the ledger. Redis may lose them; the rows of a period say again what a key has spent.

A counter is never lowered: what is charged comes to the ledger later, and what a dead worker held counts as spent. It
is raised only when it was too low on two looks, since a worker that wrote to disk while Redis was away charges when
Redis is back.
"""

from collections.abc import Sequence

import structlog

from admin_api.services.plane import Plane
from admin_api.store.keys import KeyRow, load_budget_keys
from admin_api.store.record_lists import load_own_calls_cost
from admin_api.store.usage_sums import DAY, load_spent
from gateway.domain.budget import TOTAL, Period, period_of
from gateway.state.money_admin import is_money_known, note_money_known, raise_spent, read_spent

PAGE = 500
PAGES = 10
"""A look at so many pages a run; at all of them when Redis was emptied."""
MOST_SEEN = 20_000

log = structlog.get_logger()


class ReconcileJob:
    """Goes through the keys with a budget, and begins anew at the end. `seen`: counters that were too low last time."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._after = ""
        self._seen: set[tuple[str, str]] = set()

    async def __call__(self) -> None:
        is_known = await is_money_known(self._plane.redis)
        if not is_known:
            self._after = ""
        raised = amount = pages = 0
        low: set[tuple[str, str]] = set()
        while pages < PAGES or not is_known or self._seen:
            async with self._plane.database.read() as connection:
                rows = await load_budget_keys(connection, self._after, PAGE)
            counted, sum_nano_usd = await self._compare(rows, low)
            raised, amount, pages = raised + counted, amount + sum_nano_usd, pages + 1
            self._after = rows[-1].id if len(rows) == PAGE else ""
            if not self._after:
                break
        if raised:
            log.warning("budget_counters_raised", keys=raised, nano_usd=amount)
        self._seen = low
        if low:
            self._after = ""  # look at them again
        await note_money_known(self._plane.redis)

    async def _compare(self, rows: Sequence[KeyRow], low: set[tuple[str, str]]) -> tuple[int, int]:
        """How many counters were raised, and by how much. What is too low for the first time goes to `low`."""
        now = self._plane.now()
        raised = amount = 0
        for kind in {budget.period for row in rows for budget in row.budgets}:
            of_kind = [row for row in rows if any(budget.period == kind for budget in row.budgets)]
            period = period_of(kind, now)
            async with self._plane.database.read() as connection:
                spent = await load_spent(connection, [row.id for row in of_kind], _days(period, now))
            charged = await read_spent(self._plane.redis, [(row.counter, period) for row in of_kind])
            for row, known in zip(of_kind, charged, strict=True):
                if spent.get(row.id, 0) <= known:
                    continue
                due = spent[row.id] - await self._own_calls(row.id, period)
                if due <= known:
                    continue
                if (row.id, period.name) in self._seen:
                    amount += await raise_spent(self._plane.redis, row.counter, period, due, now)
                    raised += 1
                elif len(low) < MOST_SEEN:
                    low.add((row.id, period.name))
        return raised, amount

    async def _own_calls(self, key_id: str, period: Period) -> int:
        """What calls that the gateway made for itself cost in the key's name: no budget has it."""
        async with self._plane.database.read() as connection:
            return await load_own_calls_cost(connection, key_id, period.starts_at)


def _days(period: Period, now: float) -> list[int] | None:
    if period == TOTAL:
        return None
    return list(range(int(period.starts_at), int(now) // DAY * DAY + 1, DAY))
