"""Gateway keys for a few minutes, with which the dashboard sends requests as a client would. The ledger names them `test: <user>`."""

import msgspec

from admin_api.services.key_rules import new_key_row
from admin_api.services.plane import Plane
from admin_api.store.keys import KeyRow, bury_key, keys, load_expired_keys
from gateway.config.keys import new_key_secret

PREFIX = "test: "
LIFETIME_S = 600.0
MOST_REMOVED = 100
"""At once, of those that have expired; the next one takes the rest."""
_RPM = 120
_OPEN_REQUESTS = 4


async def issue_tester_key(plane: Plane) -> tuple[KeyRow, str]:
    """A key of whoever asks, and its secret; no answer it gets is a kept or a shared one. Expired ones are removed."""
    secret, now = new_key_secret(), plane.now()
    async with plane.change() as change:
        for old in await load_expired_keys(change.connection, PREFIX, now, MOST_REMOVED):
            await keys.delete(change.connection, old.id)
            for digest in old.digests:
                await bury_key(change.connection, digest, change.revision, now)
        row = msgspec.structs.replace(
            new_key_row(plane, secret, PREFIX + plane.actor.name[:100], change.revision),
            rpm=_RPM,
            concurrency=_OPEN_REQUESTS,
            cache="off",
            single_flight="off",
            expires_at=now + LIFETIME_S,
        )
        await keys.insert(change.connection, row)
    return row, secret
