"""Can the sealed secrets be opened at all? With a changed `STORAGE_ENCRYPTION_KEY` they cannot, and it should be said."""

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.services.plane import Plane
from admin_api.store.connections import ConnectionRow, connections
from gateway.config.envelope import EnvelopeError, open_sealed

log = structlog.get_logger()


async def count_unreadable_secrets(plane: Plane) -> int:
    """How many connections have a secret that this key does not open; logged when there are any."""
    async with plane.database.read() as connection:
        unreadable = await count_unreadable(plane, connection)
    if unreadable:
        log.error(
            "secrets_unreadable", connections=unreadable, fix="restore STORAGE_ENCRYPTION_KEY, or enter them anew"
        )
    return unreadable


async def count_unreadable(plane: Plane, connection: AsyncConnection) -> int:
    """The same, of any database."""
    rows = await connections.load_all(connection)
    return sum(not opens(plane, row) for row in rows)


def opens(plane: Plane, row: ConnectionRow) -> bool:
    """Whether the secrets of a connection open with the key there is."""
    try:
        for text in (row.api_key, row.proxy):
            open_sealed(text, row.id, plane.encryption_key)
    except EnvelopeError:
        return False
    return True
