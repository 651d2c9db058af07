"""What keys used and have spent, beside the keys themselves. From roll-ups: keys are summed by whole UTC days."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.services.budget_spending import spent_by_key
from admin_api.services.key_rules import NANO
from admin_api.services.usage_views import Range, begin_of, sums_view
from admin_api.store.keys import KeyBudget, KeyRow
from admin_api.store.usage_sums import DAY, SUMS, load_courses, load_ever, load_named
from gateway.domain.budget import period_of


async def usage_of_keys(
    connection: AsyncConnection, rows: Sequence[KeyRow], wanted: Range, now: float
) -> list[dict[str, Any]]:
    """Of each key, in order: `usage` (sums of the range) and `budgets`, with what is spent in the period that runs."""
    ids, since = [row.id for row in rows], begin_of(wanted, now)
    used = await load_named(connection, "key", since, ids) if since else await load_ever(connection, ids)
    spent = await spent_by_key(connection, rows, now)
    nothing = dict.fromkeys(SUMS, 0)
    return [
        {
            "usage": sums_view(used.get(row.id, nothing)),
            "budgets": [_budget(budget, spent.get((row.id, budget.period), 0), now) for budget in row.budgets],
        }
        for row in rows
    ]


async def course_of_key(connection: AsyncConnection, key_id: str, wanted: Range, now: float) -> list[dict[str, Any]]:
    """Sums of each day of a range that had any, oldest first."""
    since = begin_of(wanted, now) // DAY * DAY
    found = await load_courses(connection, since, DAY, "key", [key_id])
    return [{"at": at, **sums_view(sums)} for at, sums in found.get(key_id, [])]


def _budget(budget: KeyBudget, spent: int, now: float) -> dict[str, Any]:
    return {
        "period": budget.period,
        "limitUsd": budget.nano_usd / NANO,
        "spentUsd": spent / NANO,
        "warningThreshold": budget.warn_share,
        "resetsAt": period_of(budget.period, now).ends_at or None,
    }
