"""The seam to providers: `UpstreamRequest` → status, headers, async byte chunks.

Every transport keeps three promises: `cancel` closes the connection at once; a reader that stops makes the provider
stop (back-pressure, at most HIGH_WATER_BYTES held); every failure is an UpstreamFault, never a library's exception.
One reader awaits `head` and `read`; wake-ups, not chunks, are what costs, so a read gives all that has come.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec

from gateway.domain.target import Connection

HIGH_WATER_BYTES = 256 * 1024

FaultKind = Literal[
    "refused", "dns", "blocked_address", "tls", "connect_timeout", "headers_timeout", "first_event_timeout",
    "gap_timeout", "total_timeout", "reset", "protocol", "too_large", "no_capacity", "draining",
]  # fmt: skip


class UpstreamFault(Exception):
    """The provider, or the way to it, failed. `kind` is a word of FaultKind; the text holds no secret."""

    def __init__(self, kind: FaultKind, message: str) -> None:
        super().__init__(message)
        self.kind: FaultKind = kind


class Cancelled(Exception):
    """We cancelled the call: the caller left, or the product is stopping."""


class UpstreamRequest(msgspec.Struct, frozen=True):
    """One HTTP request. `headers` are raw `Name: value` lines, without the connection's own ones and the length."""

    connection: Connection
    url: str
    headers: tuple[bytes, ...]
    body: bytes
    connect_s: float
    method: str = "POST"


class UpstreamCall:
    """The reader's side of one call; transports feed it from their callbacks.

    `status` is 0 until the head has come; `headers` have lower-case names. `bytes_in` counts body bytes.
    `loop`, when it is known, saves asking for it (a system call each time in CPython 3.11).
    `on_nudge` is awaited by the waiting reader when somebody calls `nudge`; then it waits on.
    """

    __slots__ = (
        "_chunks", "_is_nudged", "_loop", "_waiter", "bytes_in", "fault", "has_head", "headers", "held", "is_over",
        "on_cancel", "on_drained", "on_nudge", "reads", "status",
    )  # fmt: skip

    def __init__(
        self,
        on_cancel: Callable[[], None],
        on_drained: Callable[[], None],
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.has_head = False
        self.is_over = False
        self.fault: Exception | None = None
        self.held = 0
        self.bytes_in = 0
        self.reads = 0
        self.on_cancel = on_cancel
        self.on_drained = on_drained
        self.on_nudge: Callable[[], Awaitable[None]] | None = None
        self._loop = loop
        self._is_nudged = False
        self._chunks: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None

    @property
    def is_waiting(self) -> bool:
        """Somebody waits for the provider just now."""
        return self._waiter is not None

    async def head(self) -> None:
        """Wait for status and headers. Raises UpstreamFault, Cancelled."""
        while not self.has_head:
            if self.fault is not None:
                raise self.fault
            await self._wait()

    async def read(self) -> bytes:
        """All bytes that have come, at least one; empty at the clean end. Raises UpstreamFault, Cancelled."""
        while not self._chunks:
            if self.fault is not None:
                raise self.fault
            if self.is_over:
                return b""
            await self._wait()
        chunks = self._chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._chunks = []
        self.held = 0
        self.on_drained()
        return data

    async def read_to_end(self, most: int) -> bytes:
        """The whole body. Raises UpstreamFault (`too_large` beyond `most` bytes; the call is cancelled), Cancelled."""
        parts: list[bytes] = []
        while True:
            if self._chunks:
                parts += self._chunks
                self._chunks = []
                self.held = 0
                self.on_drained()
            if self.bytes_in > most:
                self.cancel()
                raise UpstreamFault("too_large", "the provider's answer is larger than the gateway takes")
            if self.fault is not None:
                raise self.fault
            if self.is_over:
                return parts[0] if len(parts) == 1 else b"".join(parts)
            await self._wait()

    def cancel(self, reason: Exception | None = None) -> None:
        """Close the connection now. The reader gets `reason`, or Cancelled."""
        if not self.is_over:
            self.is_over = True
            self.on_cancel()
        if self.fault is None:
            self.fault = reason or Cancelled()
        self._chunks = []
        self._wake()

    def nudge(self) -> None:
        """Have the reader await `on_nudge`, if it waits for the provider."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            self._is_nudged = True
            waiter.set_result(None)

    def feed_head(self, status: int, headers: dict[str, str]) -> None:
        self.status = status
        self.headers = headers
        self.has_head = True
        self._wake()

    def feed(self, data: bytes) -> None:
        self._chunks.append(data)
        self.held += len(data)
        self.bytes_in += len(data)
        self.reads += 1
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def feed_end(self, fault: UpstreamFault | None = None) -> None:
        """The answer is over; with a fault it was cut."""
        self.is_over = True
        if self.fault is None:
            self.fault = fault
        self._wake()

    async def _wait(self) -> None:
        self._waiter = (self._loop or asyncio.get_running_loop()).create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self._is_nudged:
            self._is_nudged = False
            if self.on_nudge is not None:
                await self.on_nudge()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


class Transport:
    """What `relay` needs of a transport."""

    async def start(self, request: UpstreamRequest) -> UpstreamCall:
        """Begin the call; returns before the head has come. Raises UpstreamFault."""
        raise NotImplementedError

    async def close(self) -> None:
        """Close all connections."""

    @property
    def open_calls(self) -> int:
        return 0
