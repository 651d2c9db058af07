"""The one place that writes the audit log.

What `Plane.change()` and `Plane.act()` do to rows is written by itself, in the same transaction: a change without its
row in the log cannot be committed. What is no row (a log-in, a reset in Redis) is told with `Change.trail.note` or
`Plane.audit`.
"""

import secrets
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.auth.actor import Actor
from admin_api.services.masking import masked_change
from admin_api.store.audit import insert_audit
from admin_api.store.trail import Entry, Trail
from gateway.domain.ids import uuid7


async def write_trail(connection: AsyncConnection, trail: Trail, actor: Actor, at: float, revision: int) -> None:
    """Keep what a transaction did. `at` is unix seconds, `revision` that of the configuration."""
    entries = _folded(trail.entries)
    if trail.left_out:
        entries.append(Entry("config.changed", "config", "", f"and {trail.left_out} rows more"))
    await insert_audit(connection, [_row(entry, index, actor, at, revision) for index, entry in enumerate(entries)])


def _folded(entries: list[Entry]) -> list[Entry]:
    """A row that was deleted and made anew in one transaction (as the config file's are) was changed."""
    folded: list[Entry] = []
    deleted: dict[tuple[str, str], int] = {}
    for entry in entries:
        key = (entry.kind, entry.object_id)
        if entry.action.endswith(".deleted"):
            deleted[key] = len(folded)
        elif entry.action.endswith(".created") and key in deleted:
            place = deleted.pop(key)
            action = f"{entry.kind}.changed"
            folded[place] = msgspec.structs.replace(entry, action=action, before=folded[place].before)
            continue
        folded.append(entry)
    return folded


def _row(entry: Entry, index: int, actor: Actor, at: float, revision: int) -> dict[str, Any]:
    before, after = masked_change(entry.before, entry.after)
    # The place in the transaction stands where a UUIDv7 is random first, so that its order is kept.
    return {
        "id": uuid7(int(at * 1000), index.to_bytes(2, "big") + secrets.token_bytes(8)),
        "at": at,
        "actor_kind": actor.kind,
        "actor": actor.name[:200],
        "actor_id": actor.id,
        "role": actor.role,
        "address": actor.address[:100],
        "action": entry.action,
        "kind": entry.kind,
        "object_id": entry.object_id[:400],
        "object_name": entry.object_name[:400],
        "before": before,
        "after": after,
        "revision": revision,
    }
