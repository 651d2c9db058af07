"""What the cache and the providers' own prompt caches saved, from roll-ups."""

from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.store.usage_sums import load_prompt_cached, load_sums
from admin_api.store.usage_tops import load_top_keys

MOST = 100
"""Rows of a list, the ones with the most cached tokens first."""


async def load_saved(connection: AsyncConnection, since: float) -> dict[str, int]:
    """Sums since an instant (unix seconds): `requests` in all, `cached` of them, and what these saved."""
    return await load_sums(connection, "all", since)


async def load_prompt_cache(
    connection: AsyncConnection, by: Literal["connection", "model", "key", "provider"], since: float, now: float
) -> list[dict[str, Any]]:
    """Input tokens, and how many of them providers read from and wrote to their prompt caches, by one kind."""
    if by == "key":  # of many keys, those that cost most
        top, _ = await load_top_keys(connection, since, now, MOST)
        keys = [
            (name, one["input_tokens"], one["cache_read_tokens"], one["cache_write_tokens"])
            for name, one in top
            if name
        ]
        shown = sorted(keys, key=lambda key: (-key[2], key[0]))
        return [
            {"name": name, "input": read, "read": cached, "written": written} for name, read, cached, written in shown
        ]
    rows = await load_prompt_cached(connection, by, since, MOST)
    return [{"name": name, "input": read, "read": cached, "written": written} for name, read, cached, written in rows]
