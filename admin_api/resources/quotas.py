"""How much of each limit is used and when it is whole again: `/api/usage/quota`.

A connection's `quotas` are its limits here (`requestsPerMinute`, `openRequests`) and what its provider's newest answer said of its own
(`providerRequests`, `providerTokens`, as of `toldAt`; most providers say something, some nothing). `exhausted` is what it was
refused for, `learnedGap` how far apart requests start because little is left. Budgets of keys are behind by a second or so.
"""

from typing import Annotated, Any

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from redis.exceptions import RedisError

from admin_api.http.errors import ApiError, not_found
from admin_api.services.keep_settings import load_settings
from admin_api.services.plane import Plane
from admin_api.services.quotas import connection_quota, key_quotas, standings, tier_quotas
from admin_api.store.connections import connections
from admin_api.store.keys import load_budget_keys
from admin_api.store.limit_defaults import LimitDefaults

MAX_CONNECTIONS = 5_000
MAX_KEYS = 1_000


@get("/api/usage/quota")
async def get_quota(
    plane: NamedDependency[Plane],
    connection_id: Annotated[str, QueryParameter(name="connectionId", max_length=100)] = "",
) -> dict[str, Any]:
    """Of all that have a limit (the first MAX_CONNECTIONS and MAX_KEYS), or of one connection."""
    now = plane.now()
    async with plane.database.read() as connection:
        settings = {name: row.value for name, row in (await load_settings(connection)).items()}
        if connection_id:
            row = await connections.get(connection, connection_id)
            if row is None:
                raise not_found("connection", connection_id)
            rows, keys = [row], []
        else:
            rows = (await connections.load_page(connection, "", MAX_CONNECTIONS)).rows
            keys = await key_quotas(connection, await load_budget_keys(connection, "", MAX_KEYS), now)
    defaults = LimitDefaults(**settings.get("rateLimitDefaults", {}))
    try:
        known = await standings(plane.redis, [row.id for row in rows])
        tiers = await tier_quotas(plane.redis, settings.get("tierBudgets", {}), now)
    except (RedisError, OSError) as error:
        raise ApiError(503, "shared state is away: nobody can tell how limits stand") from error
    found = [connection_quota(row, defaults, one) for row, one in zip(rows, known, strict=True)]
    if connection_id:
        return found[0]
    return {"connections": [one for one in found if _says_something(one)], "keys": keys, "tiers": tiers}


def _says_something(view: dict[str, Any]) -> bool:
    return bool(view["quotas"] or view["exhausted"] or view["learnedGap"] or view["adaptiveLimit"])


handlers = (get_quota,)
