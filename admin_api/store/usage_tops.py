"""The keys that used most in a range of days. There may be 100,000 of them: then a job sums them now and then, not a view."""

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.store import tables
from admin_api.store.usage_sums import DAY, Sums, load_by_name, load_top_ever

MOST = 100
RANGES = (1, 7, 30, 90, 366)
"""Days for which the job keeps the top; a range in between is shown by the next longer one."""
LIVE_ROWS = 20_000
"""So many rows of keys are summed while a view waits."""

_sums = tables.usage_sums
_tops = tables.usage_tops


async def load_top_keys(
    connection: AsyncConnection, since: float, now: float, limit: int, live_rows: int = LIVE_ROWS
) -> tuple[list[tuple[str, Sums]], float | None]:
    """Dearest first, and since when they stand so: None = they are of this moment."""
    if since <= 0:
        return await load_top_ever(connection, limit), None
    if await _is_small(connection, since, live_rows):
        return await load_by_name(connection, "key", since, limit), None
    days = next((one for one in RANGES if now // DAY * DAY - (one - 1) * DAY <= since), RANGES[-1])
    statement = sa.select(_tops).where(_tops.c.days == days).order_by(_tops.c.rank).limit(limit)
    rows = list(await connection.execute(statement))
    found = [(str(row.name), msgspec.json.decode(row.sums, type=dict[str, int])) for row in rows]
    return found, float(rows[0].as_of) if rows else 0.0


async def sum_tops(connection: AsyncConnection, now: float, days: int) -> list[tuple[str, Sums]]:
    """The top of the last `days`, from the rows: seconds where there are millions of them."""
    return await load_by_name(connection, "key", now // DAY * DAY - (days - 1) * DAY, MOST)


async def keep_tops(connection: AsyncConnection, now: float, days: int, top: list[tuple[str, Sums]]) -> None:
    await connection.execute(sa.delete(_tops).where(_tops.c.days == days))
    if top:
        rows = [
            {"days": days, "rank": rank, "name": name, "sums": msgspec.json.encode(sums).decode(), "as_of": now}
            for rank, (name, sums) in enumerate(top)
        ]
        await connection.execute(sa.insert(_tops), rows)


async def has_many_keys(connection: AsyncConnection, now: float, live_rows: int = LIVE_ROWS) -> bool:
    """Whether any range needs the job."""
    return not await _is_small(connection, now - RANGES[-1] * DAY, live_rows)


async def _is_small(connection: AsyncConnection, since: float, live_rows: int) -> bool:
    rows = (
        sa.select(sa.literal(1))
        .where(_sums.c.kind == "key", _sums.c.span == "d", _sums.c.at >= int(since) // DAY * DAY)
        .limit(live_rows + 1)
        .subquery()
    )
    return int((await connection.execute(sa.select(sa.func.count()).select_from(rows))).scalar_one()) <= live_rows
