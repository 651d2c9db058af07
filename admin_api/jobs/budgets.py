"""Budgets that go to their end: the audit log tells of each key once a period for each step."""

from admin_api.services.budget_spending import spent_by_key
from admin_api.services.plane import Plane
from admin_api.store.audit import audit_conditions, load_audit
from admin_api.store.keys import KeyBudget, KeyRow, load_keys_with_budget
from gateway.domain.budget import period_of

_LOOKED_AT = 20
"""Entries of a period: a step for each budget, and again for each limit that was set meanwhile."""


class BudgetsJob:
    """One run looks at every key with a budget."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._told: dict[tuple[str, str], str] = {}
        """Key id and kind of period -> the period and step that the log has already; as many as there are budgets."""

    async def __call__(self) -> None:
        now = self._plane.now()
        async with self._plane.database.read() as connection:
            rows = await load_keys_with_budget(connection)
            spent = await spent_by_key(connection, rows, now)
        every = [((row.id, budget.period), row, budget) for row in rows for budget in row.budgets]
        self._told = {name: told for name, _, _ in every if (told := self._told.get(name))}
        for name, row, budget in every:
            await self._tell(row, budget, spent.get(name, 0), now)

    async def _tell(self, row: KeyRow, budget: KeyBudget, nano_usd: int, now: float) -> None:
        """Once a period for each step: warned, exhausted."""
        step = "exhausted" if nano_usd >= budget.nano_usd else "warned"
        if step == "warned" and not (budget.warn_share and nano_usd >= budget.nano_usd * budget.warn_share):
            return
        period = period_of(budget.period, now)
        words = f"{period.name} {step} {budget.nano_usd}"
        if self._told.get((row.id, budget.period)) == words:
            return
        self._told[row.id, budget.period] = words
        after = {"period": period.name, "limit_nano_usd": budget.nano_usd}
        where = audit_conditions(action=f"budget.{step}", object_id=row.id, since=max(period.starts_at, 1.0))
        async with self._plane.database.read() as connection:
            known = await load_audit(connection, where, "", _LOOKED_AT)
        if not any(after.items() <= one["after"].items() for one in known):
            told = {**after, "spent_nano_usd": nano_usd}
            await self._plane.audit(f"budget.{step}", "key", row.id, name=row.name, after=told)
