"""What rests after failures, for all workers: `/api/resilience`. Its rules are a part of `/api/settings`."""

from typing import Any

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from redis.exceptions import RedisError

from admin_api.http.errors import ApiError
from admin_api.services.plane import Plane
from gateway.state.rests_admin import breaker_bodies, read_rests, reset_rests

MAX_IDS = 1_000


class ResetBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ids of connections; left out or null = everything."""

    ids: list[str] | None = None


@get("/api/resilience")
async def get_resilience(plane: NamedDependency[Plane]) -> dict[str, Any]:
    """`breakers` in the seed's shape, and `cooldowns`: who rests, why, and until when (ms since 1970)."""
    try:
        states = await read_rests(plane.redis)
    except (RedisError, OSError) as error:
        raise ApiError(503, "shared state is away: nobody can tell what rests") from error
    cooldowns = [
        {
            "connectionId": state.connection_id,
            "model": state.model,
            "reason": state.why,
            "until": int(state.until * 1000),
        }
        for state in states
        if state.kind == "cooldown"
    ]
    return {"breakers": breaker_bodies(states), "cooldowns": cooldowns}


@post("/api/resilience/reset", status_code=200)
async def reset_resilience(data: JSONBody[ResetBody], plane: NamedDependency[Plane]) -> dict[str, Any]:
    """Let rest no longer: everything, or the connections named with all their models."""
    if data.ids is not None and len(data.ids) > MAX_IDS:
        raise ApiError(400, f"at most {MAX_IDS} ids")
    try:
        return {"reset": await reset_rests(plane.redis, data.ids)}
    except (RedisError, OSError) as error:
        raise ApiError(503, "shared state is away: nothing can be reset") from error


handlers = (get_resilience, reset_resilience)
