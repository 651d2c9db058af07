"""Whether providers accept the credentials that are stored: `/api/token-health`.

`state` of a connection is `refused` when the last that is known of it is a 401 or 403 (to a request or a test), `unreadable` when its secret does
not open with this `STORAGE_ENCRYPTION_KEY`, `healthy` when it was accepted since, `unknown` when it was neither tested nor used in a
week. Tokens that expire come with accounts, which this version has not.
"""

from typing import Any

from litestar import get
from litestar.di import NamedDependency
from redis.exceptions import RedisError

from admin_api.services.credential_health import credential_health
from admin_api.services.plane import Plane
from admin_api.store.connection_tests import load_tests
from admin_api.store.connections import connections
from gateway.state.rests_admin import read_rests

MAX_CONNECTIONS = 5_000


@get("/api/token-health")
async def token_health(plane: NamedDependency[Plane]) -> dict[str, Any]:
    """Counts in the seed's words, and each connection (the first MAX_CONNECTIONS). Instants are unix seconds."""
    try:
        rests = await read_rests(plane.redis)
    except (RedisError, OSError):
        rests = []
    async with plane.database.read() as connection:
        rows = (await connections.load_page(connection, "", MAX_CONNECTIONS)).rows
        tests = await load_tests(connection, *(row.id for row in rows))
        shown = await credential_health(plane, connection, rows, tests, rests)
    states = [one["state"] for one in shown if one["isActive"]]
    errored = states.count("refused") + states.count("unreadable")
    return {
        "status": "error" if errored else "healthy",
        "total": len(shown),
        "healthy": states.count("healthy"),
        "errored": errored,
        "unknown": states.count("unknown"),
        "connections": shown,
    }


handlers = (token_health,)
