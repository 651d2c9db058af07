"""Budgets that go to their end: the audit log tells of each key once a period for each step."""

from admin_api.services.budget_spending import spent_by_key
from admin_api.services.plane import Plane
from admin_api.store.audit import audit_conditions, load_audit
from admin_api.store.keys import KeyRow, load_keys_with_budget
from gateway.domain.budget import period_of


class BudgetsJob:
    """One run looks at every key with a budget."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._told: dict[str, str] = {}
        """Key id -> the period and the step that the log has already; as many as there are keys with a budget."""

    async def __call__(self) -> None:
        now = self._plane.now()
        async with self._plane.database.read() as connection:
            rows = await load_keys_with_budget(connection)
            spent = await spent_by_key(connection, rows, now)
        self._told = {row.id: told for row in rows if (told := self._told.get(row.id))}
        for row in rows:
            await self._tell(row, spent.get(row.id, 0), now)

    async def _tell(self, row: KeyRow, nano_usd: int, now: float) -> None:
        """Once a period for each step: warned, exhausted."""
        step = "exhausted" if nano_usd >= row.budget_nano_usd else "warned"
        if step == "warned" and not (row.warn_share and nano_usd >= row.budget_nano_usd * row.warn_share):
            return
        period = period_of(row.budget_period, now)
        if self._told.get(row.id) == f"{period.name} {step} {row.budget_nano_usd}":
            return
        self._told[row.id] = f"{period.name} {step} {row.budget_nano_usd}"
        after = {"period": period.name, "limit_nano_usd": row.budget_nano_usd}
        where = audit_conditions(action=f"budget.{step}", object_id=row.id, since=max(period.starts_at, 1.0))
        async with self._plane.database.read() as connection:
            known = await load_audit(connection, where, "", 1)
        if not known or {name: known[0]["after"].get(name) for name in after} != after:
            told = {**after, "spent_nano_usd": nano_usd}
            await self._plane.audit(f"budget.{step}", "key", row.id, name=row.name, after=told)
