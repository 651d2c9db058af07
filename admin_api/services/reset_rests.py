"""Let rest no longer what rests, for more than one path of the API."""

from redis.exceptions import RedisError

from admin_api.http.errors import ApiError
from admin_api.services.plane import Plane
from gateway.state.rests_admin import reset_rests


async def reset_states(plane: Plane, ids: list[str] | None = None) -> int:
    """How many rests were ended. Raises ApiError 503."""
    try:
        count = await reset_rests(plane.redis, ids)
    except (RedisError, OSError) as error:
        raise ApiError(503, "shared state is away: nothing can be reset") from error
    await plane.audit_done("resilience.reset", "resilience", after={"ids": ids, "reset": count})
    return count
