"""Limits for connections that have none of their own, unless they are switched off there (`rateLimitProtection`)."""

import msgspec

from admin_api.store.connections import ConnectionRow
from gateway.config.snapshot import Connection


class LimitDefaults(msgspec.Struct, frozen=True):
    """Starts a minute, least gap and open requests; 0 = none. By default nothing is limited."""

    rpm: int = 0
    min_gap_ms: int = 0
    max_concurrency: int = 0

    def applied(self, row: ConnectionRow, entry: Connection) -> Connection:
        """The connection as workers are to see it."""
        if not is_protected(row) or self == LimitDefaults():
            return entry
        return msgspec.structs.replace(
            entry,
            rpm=entry.rpm or self.rpm,
            min_gap_ms=entry.min_gap_ms or self.min_gap_ms,
            max_concurrency=entry.max_concurrency or self.max_concurrency,
        )


def is_protected(row: ConnectionRow) -> bool:
    """Whether the defaults count for the connection: they do until somebody says no."""
    return row.extra.get("rateLimitProtection") is not False
