"""What a restored database needs so that workers believe it and not what they knew before."""

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.store import tables
from admin_api.store.backup_files import FACTS
from admin_api.store.database import raise_revision
from admin_api.store.keys import bury_key, keys


async def take_revision(
    connection: AsyncConnection, *, above: int, live_versions: Mapping[str, int], now: float
) -> int:
    """Raise the revision above one, and every key's version above the one it had: workers ask for a key anew then.

    `live_versions`: by digest, of the keys that work now; those that are not in here get a tombstone. Gives the revision.
    """
    revision = await raise_revision(connection, above=above)
    rows = await keys.load_all(connection)
    raised = [
        {
            "of": row.id,
            "to": max(row.version, *(live_versions.get(digest, 0) for digest in row.digests)) + 1,
            "at": revision,
        }
        for row in rows
    ]
    if raised:
        statement = sa.update(tables.api_keys).where(tables.api_keys.c.id == sa.bindparam("of"))
        await connection.execute(statement.values(version=sa.bindparam("to"), revision=sa.bindparam("at")), raised)
    known = {digest for row in rows if row.is_active for digest in row.digests}
    for digest in live_versions.keys() - known:
        await bury_key(connection, digest, revision, now)
    await connection.execute(sa.text(f"DROP TABLE IF EXISTS {FACTS}"))
    return revision
