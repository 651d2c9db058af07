"""What the cache and the providers' own prompt caches saved, from roll-ups."""

from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.store import tables

MOST = 100
"""Rows of a list, the ones with the most cached tokens first."""

_rollups = tables.usage_rollups


async def load_saved(connection: AsyncConnection, since: float) -> dict[str, int]:
    """Sums since an instant (unix seconds): `requests` in all, `cached` of them, and what these saved."""
    names = ("requests", "cached", "saved_input_tokens", "saved_output_tokens", "saved_nano_usd")
    sums = (sa.func.coalesce(sa.func.sum(_rollups.c[name]), 0).label(name) for name in names)
    row = (await connection.execute(sa.select(*sums).where(_rollups.c.hour_at >= int(since)))).one()
    return {name: int(row._mapping[name]) for name in names}


async def load_prompt_cache(
    connection: AsyncConnection, by: Literal["connection_id", "model", "key_id", "provider"], since: float
) -> list[dict[str, Any]]:
    """Input tokens, and how many of them providers read from and wrote to their prompt caches, by one column."""
    name, read = _rollups.c[by], sa.func.sum(_rollups.c.cache_read_tokens)
    sums = (sa.func.sum(_rollups.c.input_tokens), read, sa.func.sum(_rollups.c.cache_write_tokens))
    statement = (
        sa.select(name, *sums).where(_rollups.c.hour_at >= int(since), name != "").group_by(name)
        .order_by(read.desc(), name).limit(MOST)
    )  # fmt: skip
    return [
        {"name": row[0], "input": int(row[1]), "read": int(row[2]), "written": int(row[3])}
        for row in await connection.execute(statement)
    ]
