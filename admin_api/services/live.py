"""What happens now, for open dashboards: one look a second for all of them, and none while nobody listens.

Owners who ask for them hear samples of requests too (`services/samples.py`). A listener has a bounded queue; who does not keep up is cut and comes back. Sums are the growth of the roll-ups, so
they are exact however many rows there are; of the rows themselves only the newest are shown.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Any

import msgspec
import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.http.errors import ApiError
from admin_api.services.health_view import health_view
from admin_api.services.plane import Plane
from admin_api.services.samples import Samples
from admin_api.store import tables
from admin_api.store.database import get_revision
from admin_api.store.faults import FAILURES
from admin_api.store.usage_sums import HOUR

MAX_LISTENERS = 100
QUEUE_EVENTS = 32
EVERY_S = 1.0
HEALTH_EVERY = 5
"""Looks between two events of health."""
HEARTBEAT_S = 10.0
ROWS = 30
NEWEST = 8
"""As many as the shortest list that is followed has."""
JUST_S = 60.0
"""How long before a stream begins a page may have read what it shows."""
_SEEN = 1000
_LOOK_LIMIT_S = 10.0

log = structlog.get_logger()

_records, _sums = tables.request_records, tables.usage_sums
_SUMS = ("requests", "errors", "input_tokens", "output_tokens", "cost_nano_usd", "cached")
_ROW = (
    "id", "at", "model", "requested_model", "provider", "combo", "status", "state", "duration_ms", "input_tokens",
    "output_tokens", "cost_nano_usd", "cache",
)  # fmt: skip
_HOURS = sa.select(_sums.c.at, *(_sums.c[name] for name in _SUMS)).where(
    _sums.c.kind == "all", _sums.c.span == "h", _sums.c.at >= sa.bindparam("since")
)
_NEWEST = sa.select(*(_records.c[name] for name in _ROW)).order_by(_records.c.at.desc()).limit(ROWS)

SessionHolds = Callable[[], Awaitable[bool]]
"""Whether the session that a stream was opened with is still one."""
Hours = dict[int, tuple[int, ...]]
"""Sums in the order of _SUMS, by the hour's begin."""


class Live:
    """One per admin process."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._queues: set[asyncio.Queue[bytes | None]] = set()
        self._watching: set[asyncio.Queue[bytes | None]] = set()
        """Those of them that hear samples."""
        self._new: set[asyncio.Queue[bytes | None]] = set()
        """Those of them that were not told yet what was recorded before they began to hear."""
        self._samples = Samples(plane)
        self._watch: asyncio.Task[None] | None = None

    def listen(self, session_holds: SessionHolds, *, watches: bool = False) -> AsyncIterator[bytes]:
        """Server-sent events until the listener leaves, its session ends, or everything does; samples if it `watches`. Raises 503 when full."""
        if len(self._queues) >= MAX_LISTENERS or self._is_ending():
            raise ApiError(503, "no more live views just now", headers={"retry-after": "10"})
        return self._stream(session_holds, watches=watches)

    async def _stream(self, session_holds: SessionHolds, *, watches: bool) -> AsyncIterator[bytes]:
        queue = self._enter(watches=watches)
        checked_at = self._plane.now()
        try:
            yield b": live\n\n"
            while True:
                try:
                    event = await asyncio.wait_for(queue.get(), HEARTBEAT_S)
                except TimeoutError:
                    event = b": still here\n\n"
                if event is None:
                    return
                if self._plane.now() > checked_at + HEARTBEAT_S:
                    checked_at = self._plane.now()
                    if not await session_holds():
                        return
                yield event
        finally:
            self._leave(queue)

    def _enter(self, *, watches: bool) -> asyncio.Queue[bytes | None]:
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUE_EVENTS)
        self._queues.add(queue)
        self._new.add(queue)
        if watches:
            self._watching.add(queue)
            self._samples.watch()
        self._count()
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._run(), name="live")
        return queue

    def _leave(self, queue: asyncio.Queue[bytes | None]) -> None:
        self._queues.discard(queue)
        self._new.discard(queue)
        self._watching.discard(queue)
        self._count()

    def _count(self) -> None:
        counts = self._plane.live_counts
        counts.listeners, counts.watchers = len(self._queues), len(self._watching)

    def _is_ending(self) -> bool:
        return self._plane.stopping.is_set() or self._plane.settings.drain_notice.exists()

    async def _run(self) -> None:
        """Look and tell, while somebody listens."""
        try:
            await self._tell_all(_Watch(self._plane))
        finally:
            self._samples.stop()

    async def _tell_all(self, watch: "_Watch") -> None:
        while self._queues:
            if self._is_ending():
                self._end_all()
                return
            try:
                async with asyncio.timeout(_LOOK_LIMIT_S):
                    for name, data in await watch.look():
                        self._tell(_event(name, data), self._queues)
                    if self._new:
                        self._tell(_event("begun", {"newest": await watch.newest()}), self._new)
                        self._new.clear()
            except (*FAILURES, TimeoutError) as error:
                log.info("live_look_failed", error=f"{type(error).__name__}: {error}")
            if not self._watching:
                self._samples.stop()
            elif samples := self._samples.take():
                self._tell(_event("samples", samples), self._watching)
            try:
                await asyncio.wait_for(self._plane.stopping.wait(), EVERY_S)
            except TimeoutError:
                continue

    def _tell(self, event: bytes, queues: Collection[asyncio.Queue[bytes | None]]) -> None:
        for queue in tuple(queues):
            if queue.full():
                self._plane.live_counts.dropped += 1
                self._cut(queue)
            else:
                queue.put_nowait(event)

    def _end_all(self) -> None:
        for queue in tuple(self._queues):
            self._cut(queue)

    def _cut(self, queue: asyncio.Queue[bytes | None]) -> None:
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)
        self._leave(queue)


class _Watch:
    """Remembers what was told last."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._hours: Hours | None = None
        self._looked_at = 0.0
        self._revision = -1
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._looks = 0

    async def look(self) -> list[tuple[str, dict[str, Any]]]:
        """Events since the look before: name and data."""
        now = self._plane.now()
        found: list[tuple[str, dict[str, Any]]] = []
        async with self._plane.database.read() as connection:
            revision = await get_revision(connection)
            hours = await _load_hours(connection, now)
            grown = growth(self._hours, hours)
            if self._hours is not None:
                traffic = {"at": now, "seconds": round(now - self._looked_at, 3), **_named(grown)}
                found.append(("traffic", traffic))
            if self._hours is None or grown[0]:
                rows = await self._new_rows(connection)
                if rows and self._hours is not None:
                    found.append(("requests", {"rows": rows, "more": grown[0] > len(rows)}))
        if self._revision not in (-1, revision):
            found.append(("config", {"revision": revision}))
        self._hours, self._looked_at, self._revision = hours, now, revision
        if self._looks % HEALTH_EVERY == 0:
            found.append(("health", _health(await health_view(self._plane))))
        self._looks += 1
        return found

    async def newest(self) -> list[str]:
        """Ids of what has ended shortly before, newest first: a page may have read its rows before they came. What comes after is told."""
        ended_after = self._plane.now() - JUST_S
        async with self._plane.database.read() as connection:
            rows = (await connection.execute(_NEWEST)).mappings()
            return [row["id"] for row in rows if row["at"] + row["duration_ms"] / 1000 > ended_after][:NEWEST]

    async def _new_rows(self, connection: AsyncConnection) -> list[dict[str, Any]]:
        """The newest that were not told yet, oldest first. The first time they are only remembered."""
        rows = [row for row in (await connection.execute(_NEWEST)).mappings() if row["id"] not in self._seen]
        for row in rows:
            self._seen[row["id"]] = None
        while len(self._seen) > _SEEN:
            self._seen.popitem(last=False)
        return [_row_view(dict(row)) for row in reversed(rows)]


def growth(before: Hours | None, after: Hours) -> tuple[int, ...]:
    """How much the sums have grown, hour by hour: one that was not there began at nothing."""
    total = [0] * len(_SUMS)
    for at, sums in after.items():
        old = (before or {}).get(at, (0,) * len(_SUMS))
        for index, value in enumerate(sums):
            total[index] += value - old[index]
    return tuple(max(0, value) for value in total)


async def _load_hours(connection: AsyncConnection, now: float) -> Hours:
    """Of the hour and the one before: what began late in an hour is counted where it began."""
    rows = await connection.execute(_HOURS, {"since": now // HOUR * HOUR - HOUR})
    return {int(row[0]): tuple(int(value or 0) for value in row[1:]) for row in rows}


def _named(sums: tuple[int, ...]) -> dict[str, int]:
    names = ("requests", "errors", "inputTokens", "outputTokens", "costNanoUsd", "cached")
    return dict(zip(names, sums, strict=True))


def _row_view(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "timestamp": row["at"],
        "model": row["model"],
        "requestedModel": row["requested_model"],
        "provider": row["provider"],
        "combo": row["combo"],
        "status": row["status"],
        "state": row["state"],
        "durationMs": row["duration_ms"],
        "inputTokens": row["input_tokens"],
        "outputTokens": row["output_tokens"],
        "costNanoUsd": row["cost_nano_usd"],
        "cache": row["cache"],
    }


def _health(view: dict[str, Any]) -> dict[str, Any]:
    return {
        "status": view["status"],
        "redis": view["redis"]["up"],
        "workers": len(view["workers"]),
        "revision": view["revision"],
        "publishedRevision": view["publishedRevision"],
    }


def _event(name: str, data: dict[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"
