"""How the control plane is: `/api/monitoring/health`. Answers whatever is away, within its limits."""

from typing import Any

from litestar import delete, get
from litestar.di import NamedDependency

from admin_api.services.health_view import health_view
from admin_api.services.plane import Plane
from admin_api.services.reset_rests import reset_states


@get("/api/monitoring/health")
async def health(plane: NamedDependency[Plane]) -> dict[str, Any]:
    """`status` is `healthy`, or `degraded` when SQL or Redis is away, the config file is broken or a job fails.

    While SQL is away only `OMNIROUTE_ADMIN_TOKEN` comes so far; what SQL would say is null then.
    """
    return await health_view(plane)


@delete("/api/monitoring/health", status_code=200)
async def reset_health(plane: NamedDependency[Plane]) -> dict[str, Any]:
    """Let nothing rest any longer. The seed has this without a role; here it needs one."""
    return {"success": True, "reset": await reset_states(plane)}


handlers = (health, reset_health)
