"""The response cache and providers' prompt caches: `/api/cache`, `/api/cache/stats`. DELETE forgets all kept answers."""

from typing import Annotated, Any

from litestar import delete, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, Parameter
from redis.exceptions import RedisError

from admin_api.http.errors import ApiError
from admin_api.services.key_rules import NANO
from admin_api.services.plane import Plane
from admin_api.store.saved import load_prompt_cache, load_saved
from gateway.state.cache_admin import forget_answers, read_counts, read_store

_BY = {"connections": "connection", "models": "model", "keys": "key", "providers": "provider"}
_Days = Annotated[int, Parameter(ge=1, le=3660)]


@get(["/api/cache", "/api/cache/stats"])
async def cache_stats(plane: NamedDependency[Plane], days: FromQuery[_Days] = 30) -> dict[str, Any]:
    """Look-ups since all was forgotten last (hits by meaning are among the misses); what was saved, and what prompt caches gave, in the last `days`."""
    now = plane.now()
    since = now - days * 86_400
    async with plane.database.read() as connection:
        saved = await load_saved(connection, since)
        prompts = {
            name: [_prompt_view(row) for row in await load_prompt_cache(connection, column, since, now)]  # type: ignore[arg-type]  # a word of its list
            for name, column in _BY.items()
        }
    return {
        **await _lookups(plane),
        "days": days,
        "requests": saved["requests"],
        "cachedRequests": saved["cached"],
        "saved": {
            "input": saved["saved_input_tokens"],
            "output": saved["saved_output_tokens"],
            "nanoUsd": saved["saved_nano_usd"],
            "usd": saved["saved_nano_usd"] / NANO,
        },
        "store": await read_store(plane.cache_store),
        "promptCache": prompts,
    }


@delete(["/api/cache", "/api/cache/stats"], status_code=200)
async def clear_cache(plane: NamedDependency[Plane]) -> dict[str, Any]:
    """Every worker has forgotten what was kept within a second."""
    try:
        await forget_answers(plane.redis, plane.cache_store)
    except (RedisError, OSError) as error:
        raise ApiError(503, "shared state is away: nothing can be forgotten") from error
    await plane.audit_done("cache.cleared", "cache")
    return {"success": True}


async def _lookups(plane: Plane) -> dict[str, Any]:
    try:
        counts = await read_counts(plane.redis)
    except (RedisError, OSError):
        return dict.fromkeys(("hits", "misses", "hitRate", "kept", "semanticHits", "shadowHits"))
    hits, misses = counts.get("front", 0) + counts.get("store", 0), counts.get("miss", 0)
    rate = hits / (hits + misses) if hits + misses else None
    return {
        "hits": hits,
        "misses": misses,
        "hitRate": rate,
        "kept": counts.get("kept", 0),
        "semanticHits": counts.get("semantic", 0),
        "shadowHits": counts.get("shadow", 0),
    }


def _prompt_view(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "hitRate": row["read"] / row["input"] if row["input"] else None}


handlers = (cache_stats, clear_cache)
