"""What single requests asked and were answered. Rows go in once, and go by age and by the size of all."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.store import tables
from admin_api.store.upsert import insert_or
from gateway.domain.bodies import StoredBodies

_bodies = tables.request_bodies


async def insert_bodies(connection: AsyncConnection, found: Sequence[StoredBodies]) -> None:
    """Those that are not there yet."""
    rows = [_row(bodies) for bodies in {bodies.id: bodies for bodies in found}.values()]
    if rows:
        await connection.execute(insert_or(connection, _bodies).on_conflict_do_nothing(), rows)


async def load_bodies(connection: AsyncConnection, record_id: str) -> StoredBodies | None:
    row = (await connection.execute(sa.select(_bodies).where(_bodies.c.id == record_id))).first()
    if row is None:
        return None
    return StoredBodies(row.id, row.at, row.asked, row.asked_bytes, row.answered, row.answered_bytes)


async def purge_bodies_before(connection: AsyncConnection, instant: float, limit: int) -> int:
    """Delete the oldest, at most `limit`; gives how many."""
    oldest = sa.select(_bodies.c.id).where(_bodies.c.at < instant).order_by(_bodies.c.at).limit(limit)
    return (await connection.execute(sa.delete(_bodies).where(_bodies.c.id.in_(oldest)))).rowcount


async def purge_bodies_over(connection: AsyncConnection, most_bytes: int, limit: int) -> int:
    """Delete the oldest until the others are no more than `most_bytes`, at most `limit`; gives how many."""
    total = (await connection.execute(sa.select(sa.func.coalesce(sa.func.sum(_bodies.c.size), 0)))).scalar_one()
    excess, ids = int(total) - most_bytes, list[str]()
    if excess <= 0:
        return 0
    statement = sa.select(_bodies.c.id, _bodies.c.size).order_by(_bodies.c.at, _bodies.c.id).limit(limit)
    for body_id, size in await connection.execute(statement):
        if excess <= 0:
            break
        ids.append(body_id)
        excess -= size
    await connection.execute(sa.delete(_bodies).where(_bodies.c.id.in_(ids)))
    return len(ids)


def _row(bodies: StoredBodies) -> dict[str, Any]:
    return {
        "id": bodies.id,
        "at": bodies.at,
        "asked": bodies.asked,
        "asked_bytes": bodies.asked_bytes,
        "answered": bodies.answered,
        "answered_bytes": bodies.answered_bytes,
        "size": len(bodies.asked.encode()) + len(bodies.answered.encode()),
    }
