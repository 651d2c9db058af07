"""What happens now, as server-sent events: `GET /api/live`.

`begun` once, when from then on everything is told: `newest`, ids of what was recorded in the minute before, eight at most.
`health` every five seconds, `traffic` (the growth of all sums) every second, `requests` (the newest rows, thirty at most) and
`config` (its revision) when there is something to tell; a comment when there is not. Owners who ask for them hear `samples` too:
requests that pass, of each its dialects and what its bodies are built like, no text of anybody and no credential. Workers make
them only meanwhile. It ends when the session does.
"""

from typing import Any

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import Stream

from admin_api.auth.sessions import get_session_actor
from admin_api.http.errors import ApiError
from admin_api.services.live import Live
from admin_api.services.plane import Plane
from admin_api.store.faults import FAILURES


@get("/api/live")
async def live_events(
    request: Request[Any, Any, Any],
    plane: NamedDependency[Plane],
    live: NamedDependency[Live],
    samples: FromQuery[bool] = False,
) -> Stream:
    """At most 100 listeners an admin process; 503 beyond. `?samples=true` is for owners."""
    if samples and plane.actor.role != "owner":
        raise ApiError(403, "only owners may watch requests pass")
    token = request.scope["state"]["session_token"]

    async def holds() -> bool:
        if not token:
            return True
        try:
            async with plane.database.read() as connection:
                actor = await get_session_actor(connection, token, plane.now())
                return actor is not None and (not samples or actor.role == "owner")
        except FAILURES:
            return True  # the database is away: no reason to show somebody the login

    events = live.listen(holds, watches=samples)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return Stream(events, media_type="text/event-stream", headers=headers)


handlers = (live_events,)
