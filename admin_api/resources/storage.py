"""How what keeps things is doing: `/api/storage/health`.

The database (`integrity` is what a daily look at all its pages found, SQLite only), its backups, the disk of the data dir, the state
store (`writesLast`: what it holds outlives it), the cache store, the spool of records that wait for Redis, and records set aside.
"""

from typing import Any

from litestar import get
from litestar.di import NamedDependency

from admin_api.services.plane import Plane
from admin_api.services.storage_view import storage_view


@get("/api/storage/health")
async def storage_health(plane: NamedDependency[Plane]) -> dict[str, Any]:
    """`status` is `healthy`, or `degraded` with what is wrong in `problems`. Sizes are bytes, instants unix seconds."""
    return await storage_view(plane)


handlers = (storage_health,)
