"""Secrets that were replaced: once they are valid no longer they leave their keys, and Redis."""

import msgspec

from admin_api.services.plane import Plane
from admin_api.store.keys import bury_key, keys, load_outlived


async def end_old_secrets(plane: Plane) -> None:
    """Workers refuse them by the clock; here they are forgotten."""
    now = plane.now()
    async with plane.database.read() as connection:
        if not await load_outlived(connection, now):
            return
    async with plane.change() as change:
        for row in await load_outlived(change.connection, now):
            after = msgspec.structs.replace(
                row, old_digest="", old_until=0.0, version=row.version + 1, revision=change.revision
            )
            await keys.replace(change.connection, after)
            await bury_key(change.connection, row.old_digest, change.revision, now)
