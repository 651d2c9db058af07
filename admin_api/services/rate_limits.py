"""How the limits of connections stand now, as the API shows it."""

from typing import Any

import msgspec
from redis.exceptions import RedisError

from admin_api.http.errors import ApiError
from admin_api.services.plane import Plane
from admin_api.store.connections import ConnectionRow, connections
from admin_api.store.limit_defaults import LimitDefaults, is_protected
from admin_api.store.settings import settings_rows
from gateway.state.paces_admin import Pace, read_paces

MAX_SHOWN = 5_000


async def rate_limits(plane: Plane) -> dict[str, Any]:
    """`connections`, at most MAX_SHOWN, and the `defaults`. Raises ApiError 503."""
    async with plane.database.read() as connection:
        rows = (await connections.load_page(connection, "", MAX_SHOWN)).rows
        settings = {row.name: row.value for row in await settings_rows.load_all(connection)}
    limits = LimitDefaults(**settings.get("rateLimitDefaults", {}))
    try:
        paces = await read_paces(plane.redis, [row.id for row in rows])
    except (RedisError, OSError) as error:
        raise ApiError(503, "shared state is away: nobody can tell how limits stand") from error
    return {
        "connections": [_view(row, limits, pace) for row, pace in zip(rows, paces, strict=True)],
        "defaults": msgspec.to_builtins(limits),
    }


def _view(row: ConnectionRow, limits: LimitDefaults, pace: Pace) -> dict[str, Any]:
    own = limits if is_protected(row) else LimitDefaults()
    return {
        "connectionId": row.id,
        "provider": row.provider,
        "name": row.name,
        "enabled": is_protected(row),
        "managed": row.managed,
        "rpm": row.rpm or own.rpm,
        "minGapMs": row.min_gap_ms or own.min_gap_ms,
        "maxConcurrency": row.max_concurrency or own.max_concurrency,
        "startsLastMinute": pace.starts,
        "open": pace.open,
        "learnedGapMs": pace.learned_gap_ms,
        "learnedUntil": pace.learned_until_ms,
        "adaptiveLimit": pace.adaptive_limit,
    }
