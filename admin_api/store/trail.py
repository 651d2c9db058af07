"""What one transaction changed, row by row. `Collection` notes it here; `services/audit.py` writes it down.

Bounded: of a change of very many rows (a config file of 100,000 keys) the first are noted, the rest counted.
"""

from typing import Literal

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

MAX_ENTRIES = 1000
OPTION = "trail"
"""The execution option of a connection whose rows are noted."""

Verb = Literal["created", "changed", "deleted"]

_KINDS = {
    "provider_connections": "connection",
    "provider_nodes": "node",
    "combos": "combo",
    "custom_models": "model",
    "aliases": "alias",
    "fallback_chains": "fallback_chain",
    "api_keys": "key",
    "prices": "price",
    "settings": "setting",
    "users": "user",
    "admin_tokens": "token",
}
_UNTOLD = frozenset({"sessions"})
"""Tables whose rows say nothing by themselves: what begins and ends a session is told, without its digest."""

_NAMES = ("name", "pattern", "model")


class Entry(msgspec.Struct, frozen=True):
    """One thing that happened: `before` and `after` are rows or documents as they are, secrets and all."""

    action: str
    kind: str
    object_id: str
    object_name: str = ""
    before: object = None
    after: object = None


class Trail:
    """Entries of one transaction, in order. `left_out` counts those beyond MAX_ENTRIES."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.left_out = 0

    def note(
        self, action: str, kind: str, object_id: str, *, name: str = "", before: object = None, after: object = None
    ) -> None:
        """Something that is no row, or says more than one: `action` as `<kind>.<verb>`."""
        if len(self.entries) >= MAX_ENTRIES:
            self.left_out += 1
            return
        self.entries.append(Entry(action, kind, object_id, name, before, after))

    def note_row(self, verb: Verb, table: str, key: str, before: object, after: object) -> None:
        """A row of `table` by its primary key."""
        if table in _UNTOLD:
            return
        kind = _KINDS.get(table, table)
        row = after if after is not None else before
        name = next((str(value) for field in _NAMES if (value := getattr(row, field, None))), "")
        self.note(f"{kind}.{verb}", kind, key, name=name, before=before, after=after)


def trail_of(connection: AsyncConnection) -> Trail | None:
    """The trail of the transaction, if it has one."""
    inner = connection.sync_connection
    trail = inner.get_execution_options().get(OPTION) if inner is not None else None
    return trail if isinstance(trail, Trail) else None
