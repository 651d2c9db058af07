"""Credentials that expire: a 401 or 403 of an OAuth account is met with one refresh and one more try, then it rests.

However many requests meet it at once, this worker asks once for each connection. Where the fresh credential comes from,
and who else is told, is behind the seam `Credentials`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from gateway.domain.target import Connection

_log = structlog.get_logger()

REFRESH_S = 10.0
MAX_FRESH = 10_000


class Credentials(Protocol):
    """Fetches credentials."""

    async def refresh(self, connection: Connection) -> tuple[bytes, ...] | None:
        """The connection's `headers` with a fresh credential among them; None when there is none to be had."""


class NoCredentials:
    """No provider with OAuth is configured: nothing can be fetched."""

    async def refresh(self, connection: Connection) -> tuple[bytes, ...] | None:
        return None


@dataclass(slots=True)
class _Fresh:
    """`stale` are the headers that the fresh ones replace; a configuration with others knows better."""

    stale: tuple[bytes, ...]
    headers: tuple[bytes, ...]
    made_of: Connection
    made: Connection


class Refreshes:
    """The refreshes of one worker."""

    def __init__(self, credentials: Credentials, limit_s: float = REFRESH_S) -> None:
        self._credentials = credentials
        self._limit_s = limit_s
        self._fresh: dict[str, _Fresh] = {}
        self._under_way: dict[str, asyncio.Task[tuple[bytes, ...] | None]] = {}

    @property
    def fresh(self) -> int:
        """Connections with a credential newer than the configuration's."""
        return len(self._fresh)

    @property
    def under_way(self) -> int:
        return len(self._under_way)

    def current(self, connection: Connection) -> Connection:
        """The connection with the newest credential known here."""
        known = self._fresh.get(connection.id)
        if known is None:
            return connection
        if known.stale != connection.headers:
            del self._fresh[connection.id]
            return connection
        if known.made_of is not connection:
            known.made_of, known.made = connection, replace(connection, headers=known.headers)
        return known.made

    async def renewed(
        self, connection: Connection, refused: Connection, on_leaving: Callable[[Callable[[], None]], None]
    ) -> Connection | None:
        """The connection with another credential than the `refused` one, or None. Waits `limit_s` at most.

        `on_leaving` is given what ends the wait when the caller leaves; the refresh goes on for others.
        """
        newest = self.current(connection)
        if newest.headers != refused.headers:
            return newest  # another request has fetched it meanwhile
        task = self._under_way.get(connection.id)
        if task is None:
            task = self._under_way[connection.id] = asyncio.get_running_loop().create_task(
                self._fetch(connection, newest)
            )
        over = asyncio.Event()
        on_leaving(over.set)
        task.add_done_callback(lambda _: over.set())
        try:
            async with asyncio.timeout(self._limit_s):
                await over.wait()
        except TimeoutError:
            return None
        if not task.done() or task.cancelled() or task.result() is None:
            return None
        return self.current(connection)

    async def close(self) -> None:
        """Stop asking."""
        tasks = tuple(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _fetch(self, connection: Connection, newest: Connection) -> tuple[bytes, ...] | None:
        headers: tuple[bytes, ...] | None = None
        try:
            async with asyncio.timeout(self._limit_s):
                headers = await self._credentials.refresh(newest)
        except Exception as error:  # noqa: BLE001  (whatever a provider's OAuth does, the request goes on to its next target)
            _log.warning("refresh_failed", connection=connection.id, cause=type(error).__name__)
        finally:
            self._under_way.pop(connection.id, None)
        if headers is None or headers == newest.headers:
            return None
        if len(self._fresh) >= MAX_FRESH:
            del self._fresh[next(iter(self._fresh))]
        self._fresh[connection.id] = _Fresh(
            connection.headers, headers, connection, replace(connection, headers=headers)
        )
        return headers
