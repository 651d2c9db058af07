"""What keys have spent of their budgets, as the ledger says."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.store.keys import KeyRow
from admin_api.store.usage_sums import DAY, load_spent
from gateway.domain.budget import TOTAL, Period, period_of

_BATCH = 500


async def spent_by_key(connection: AsyncConnection, rows: Sequence[KeyRow], now: float) -> dict[tuple[str, str], int]:
    """Nano-dollars by key id and period of a budget (`daily` …), each in the one that holds `now`; those with usage only."""
    spent: dict[tuple[str, str], int] = {}
    for kind in sorted({budget.period for row in rows for budget in row.budgets}):
        ids = [row.id for row in rows if any(budget.period == kind for budget in row.budgets)]
        days = _days(period_of(kind, now), now)
        for start in range(0, len(ids), _BATCH):
            found = await load_spent(connection, ids[start : start + _BATCH], days)
            spent |= {(key_id, kind): nano_usd for key_id, nano_usd in found.items()}
    return spent


def _days(period: Period, now: float) -> list[int] | None:
    """The first seconds of its days so far; None = ever."""
    if period == TOTAL:
        return None
    return list(range(int(period.starts_at), int(now) // DAY * DAY + 1, DAY))
