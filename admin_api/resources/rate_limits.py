"""Limits of connections as they are now: `/api/rate-limits`. The limits themselves are a part of the connection.

`enabled` says whether the default limits (`/api/resilience`) count for a connection that has none of its own.
"""

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from redis.exceptions import RedisError

from admin_api.http.answers import saved
from admin_api.http.errors import ApiError
from admin_api.services.ownership import editable
from admin_api.services.plane import Plane
from admin_api.services.rate_limits import rate_limits
from admin_api.store.connections import connections
from gateway.state.paces_admin import forget_paces

MAX_IDS = 1_000


class EnableBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    connection_id: str
    enabled: bool


class ResetBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ids of connections; left out or null = all of them."""

    ids: list[str] | None = None


@get(["/api/rate-limits", "/api/rate-limit"])
async def get_rate_limits(plane: NamedDependency[Plane]) -> dict[str, Any]:
    return await rate_limits(plane)


@post(["/api/rate-limits", "/api/rate-limit"], status_code=200)
async def enable_rate_limit(data: JSONBody[EnableBody], plane: NamedDependency[Plane]) -> Response[dict[str, Any]]:
    """Whether the default limits count for a connection."""
    async with plane.change() as change:
        old = editable(await connections.get(change.connection, data.connection_id), "connection", data.connection_id)
        extra = {**old.extra, "rateLimitProtection": data.enabled}
        await connections.replace(
            change.connection,
            msgspec.structs.replace(old, extra=extra, updated_at=plane.now(), version=change.revision),
        )
    answer = {"success": True, "connectionId": data.connection_id, "enabled": data.enabled}
    return saved(answer, await plane.published())


@post("/api/rate-limits/reset", status_code=200)
async def reset_rate_limits(data: JSONBody[ResetBody], plane: NamedDependency[Plane]) -> dict[str, Any]:
    """Forget what was learned of connections' limits, from their headers and by trying. Open requests go on counting."""
    if data.ids is not None and len(data.ids) > MAX_IDS:
        raise ApiError(400, f"at most {MAX_IDS} ids")
    ids = data.ids
    if ids is None:
        async with plane.database.read() as connection:
            ids = [row.id for row in await connections.load_all(connection)]
    try:
        count = await forget_paces(plane.redis, ids)
    except (RedisError, OSError) as error:
        raise ApiError(503, "shared state is away: nothing can be reset") from error
    await plane.audit_done("limits.reset", "limits", after={"ids": data.ids, "reset": count})
    return {"reset": count}


handlers = (get_rate_limits, enable_rate_limit, reset_rate_limits)
