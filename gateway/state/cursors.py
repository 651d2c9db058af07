"""Whose turn it is, counted over all workers: each worker takes blocks of tickets ahead of need and hands them out.

`routing.plan` asks for tickets; every ticket of a block is handed out in order, so turns are exact within a block, and
over workers they differ by the blocks under way. While Redis is away a worker goes on counting alone.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from zlib import crc32

from gateway.state import keys
from gateway.state.resp import RespClient, Script, StateAway

RUNS_A_BLOCK = 32
"""Runs of equal choices in a block."""
MAX_CURSORS = 10_000
RETRY_S = 1.0

_CURSOR = Script("cursor")


@dataclass(slots=True)
class _Cursor:
    """Tickets `next` .. `end` - 1 are ours; from `spare` on `size` more, when `size` > 0. Beyond them we count alone."""

    next: int
    end: int = 0
    spare: int = 0
    size: int = 0
    is_leasing: bool = False
    retry_at: float = 0.0


class Cursors:
    """The cursors of one worker, at most MAX_CURSORS; the longest unused one is forgotten."""

    def __init__(self, redis: RespClient, worker: str, clock: Callable[[], float]) -> None:
        self._redis = redis
        self._clock = clock
        self._alone_from = crc32(worker.encode())
        """Where counting begins before the first block: workers that start together do not all choose the same."""
        self._cursors: dict[str, _Cursor] = {}
        self._leasing: set[asyncio.Task[None]] = set()
        self.alone = 0
        """Tickets that were counted without Redis."""

    def __len__(self) -> int:
        return len(self._cursors)

    def ticket(self, name: str, sticky_limit: int = 1) -> int:
        """The next ticket of the cursor. Never waits: a block is asked for in the background when half of one is left."""
        cursor = self._used_now(name)
        if cursor.next >= cursor.end and cursor.size:
            cursor.next, cursor.end, cursor.size = cursor.spare, cursor.spare + cursor.size, 0
        left = cursor.end - cursor.next
        if not cursor.size and not cursor.is_leasing and left <= RUNS_A_BLOCK * sticky_limit // 2:
            self._lease_soon(name, cursor, sticky_limit)
        if left <= 0:
            self.alone += 1
        ticket = cursor.next
        cursor.next += 1
        return ticket

    async def lease(self, name: str, sticky_limit: int = 1) -> None:
        """Take a block, so that the next tickets are shared ones. Raises StateAway."""
        sticky_limit = max(1, sticky_limit)
        size = RUNS_A_BLOCK * sticky_limit
        first = await self._redis.run(_CURSOR, (keys.cursor(name),), (size, sticky_limit, keys.CURSOR_TTL_S))
        assert isinstance(first, int)
        cursor = self._used_now(name)
        if cursor.next >= cursor.end:
            cursor.next, cursor.end = first, first + size
        else:
            cursor.spare, cursor.size = first, size

    async def close(self) -> None:
        """Stop asking."""
        for task in tuple(self._leasing):
            task.cancel()
        await asyncio.gather(*self._leasing, return_exceptions=True)

    def _used_now(self, name: str) -> _Cursor:
        cursor = self._cursors.pop(name, None)
        if cursor is None:
            cursor = _Cursor(self._alone_from)
            if len(self._cursors) >= MAX_CURSORS:
                del self._cursors[next(iter(self._cursors))]
        self._cursors[name] = cursor
        return cursor

    def _lease_soon(self, name: str, cursor: _Cursor, sticky_limit: int) -> None:
        if not self._redis.is_up or self._clock() < cursor.retry_at:
            return
        cursor.is_leasing = True
        task = asyncio.get_running_loop().create_task(self._try_lease(name, cursor, sticky_limit))
        self._leasing.add(task)
        task.add_done_callback(self._leasing.discard)

    async def _try_lease(self, name: str, cursor: _Cursor, sticky_limit: int) -> None:
        try:
            await self.lease(name, sticky_limit)
        except StateAway:
            cursor.retry_at = self._clock() + RETRY_S
        finally:
            cursor.is_leasing = False
