"""Conversations that keep their connection: `/api/sessions`.

Which connection that is, is worked out anew for each request from the conversation's name, alike in every worker: there is no table of
conversations that could be full, stale or lost. So the list is empty, and says why; what a request chose is in its log (`/api/usage/logs`).
"""

from typing import Any

from litestar import get
from litestar.di import NamedDependency

from admin_api.services.keep_settings import load_settings
from admin_api.services.plane import Plane
from gateway.config.snapshot import RoutingSettings

_WHY = "a conversation's connection is worked out from its name for each request; none is stored"


@get("/api/sessions")
async def list_conversations(plane: NamedDependency[Plane]) -> dict[str, Any]:
    """`affinity` says which conversations keep their connection: `named`, `turns` (all) or `off`."""
    async with plane.database.read() as connection:
        settings = await load_settings(connection)
    kept = settings["sessionAffinity"].value if "sessionAffinity" in settings else RoutingSettings().session_affinity
    return {"sessions": [], "count": 0, "affinity": kept, "note": _WHY}


handlers = (list_conversations,)
