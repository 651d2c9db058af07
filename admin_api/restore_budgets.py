"""What keys have spent of their budgets, from the ledger to Redis: after Redis was emptied, and for a budget that is new.

The counters in Redis are what `take` obeys; in a healthy system they are never behind the ledger. They are only raised.
"""

from collections.abc import Sequence

from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.store.keys import KeyRow
from admin_api.store.usage_sums import load_key_costs
from gateway.domain.budget import Period, period_of
from gateway.state import keys as redis_keys
from gateway.state.resp import Script

_BATCH = 500
_RAISE = Script("raise_spent").text.decode()


def counter_of(row: KeyRow, period: Period) -> str:
    """The name in Redis of what a key has spent in a period."""
    return redis_keys.key_money(row.counted_as or row.digest, period.name)


async def load_spent(connection: AsyncConnection, rows: Sequence[KeyRow], now: float) -> dict[str, int]:
    """What keys with a budget have spent in its period, nano-dollars by key id, as the ledger says."""
    spent: dict[str, int] = {}
    for kind in sorted({row.budget_period for row in rows}):
        ids = [row.id for row in rows if row.budget_period == kind]
        since = period_of(kind, now).starts_at
        for start in range(0, len(ids), _BATCH):
            spent |= await load_key_costs(connection, ids[start : start + _BATCH], since)
    return spent


async def restore_budgets(redis: Redis, connection: AsyncConnection, rows: Sequence[KeyRow], now: float) -> int:
    """Raise the counters of these keys to what the ledger says; gives how many were behind. Raises RedisError."""
    with_budget = [row for row in rows if row.budget_nano_usd and row.is_active]
    spent = await load_spent(connection, with_budget, now)
    behind = [row for row in with_budget if spent.get(row.id)]
    raised = 0
    for start in range(0, len(behind), _BATCH):
        names: list[str] = []
        arguments: list[str] = []
        for row in behind[start : start + _BATCH]:
            period = period_of(row.budget_period, now)
            left = int(period.ends_at + redis_keys.PERIOD_SLACK_S - now) if period.ends_at else 0
            names.append(counter_of(row, period))
            arguments += [str(spent[row.id]), str(left)]
        raised += int(await redis.eval(_RAISE, len(names), *names, *arguments))
    return raised
