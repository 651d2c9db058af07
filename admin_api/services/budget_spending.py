"""What keys have spent of their budgets, as the ledger says."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.store.keys import KeyRow
from admin_api.store.usage_sums import DAY, load_spent
from gateway.domain.budget import TOTAL, Period, period_of

_BATCH = 500


async def spent_by_key(connection: AsyncConnection, rows: Sequence[KeyRow], now: float) -> dict[str, int]:
    """Nano-dollars by key id, each in the period of its budget that holds `now`; those with usage only."""
    spent: dict[str, int] = {}
    for kind in sorted({row.budget_period for row in rows}):
        ids = [row.id for row in rows if row.budget_period == kind]
        days = _days(period_of(kind, now), now)
        for start in range(0, len(ids), _BATCH):
            spent |= await load_spent(connection, ids[start : start + _BATCH], days)
    return spent


def _days(period: Period, now: float) -> list[int] | None:
    """The first seconds of its days so far; None = ever."""
    if period == TOTAL:
        return None
    return list(range(int(period.starts_at), int(now) // DAY * DAY + 1, DAY))
