"""Record stream → SQL. Forgotten in the stream after the commit, so a crash anywhere repeats rows and never loses one.

Only the holder of the lease reads. Should two read at once (a lease that ran out in the middle), each row is still
inserted once, and what one forgets the other has in its own commit or reads no more.
"""

from admin_api.services.keep_records import keep_records
from admin_api.services.plane import Plane
from gateway.state.records_admin import forget_records, read_records

BATCH = 2000
_MAX_BATCHES = 50


class LedgerJob:
    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    async def __call__(self) -> None:
        """Handle what is there now, so much of it at most as one run may take."""
        redis = self._plane.redis
        for _ in range(_MAX_BATCHES):
            entries = await read_records(redis, BATCH)
            if not entries:
                return
            await keep_records(self._plane, [blob for _, blob in entries])
            is_gone = await forget_records(redis, entries)
            if not is_gone or len(entries) < BATCH:
                return
