"""The wire of the fake provider: read one HTTP/1.1 request, write one answer, note what became of both.

Strict enough to catch a bad client, small enough to read. It decides nothing about what is answered
(`fake_behaviours` does), and must not import the product: a fake that shares code with what it tests proves nothing.
"""

import asyncio
import contextlib
import hashlib
import json
import socket
import struct
import time
from dataclasses import dataclass, field
from typing import Any

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 64 * 1024 * 1024
KEPT_BODY_BYTES = 4 * 1024 * 1024
LONGEST_SILENCE_S = 600.0
KEEP_ALIVE_S = 120.0
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


class PeerGoneError(Exception):
    """The client closed its side while an answer was under way."""


class BadRequestError(Exception):
    """The bytes received are no HTTP/1.1 request this server reads."""


@dataclass(slots=True)
class RequestRecord:
    """One request as it arrived, and how its answer ended. Times are `time.monotonic()` seconds."""

    number: int
    connection: int
    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes
    body_size: int
    body_sha256: str
    received_at: float
    arrived_at: float = 0.0
    """The same instant as `received_at`, in unix seconds: the clock by which Valkey counts."""
    behaviour: str = ""
    status: int = 0
    bytes_accepted: int = 0
    """Bytes of the answer that the socket has taken; stands still while the client does not read."""
    chunks_sent: int = 0
    last_chunk_at: float | None = None
    """When the latest chunk began to be sent: before that no client can have known what it holds."""
    finished_at: float | None = None
    closed_at: float | None = None
    """When the peer closed the connection, whether or not this answer was complete by then."""
    closed_mid_answer: bool = False
    peer_port: int = 0
    asked: dict[str, Any] | None = None
    """What a scenario of `fake_dialects` understood of it."""

    def header(self, name: str) -> str | None:
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    def json(self) -> Any:
        return json.loads(self.body)

    def as_dict(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in self.__slots__}
        plain["body"] = self.body[: 64 * 1024].decode("utf-8", "replace")
        return plain


class Wire(asyncio.StreamReaderProtocol):
    """One connection: asyncio's stream protocol, plus the moment at which the peer went away."""

    def __init__(self, reader: asyncio.StreamReader, opened: Any, number: int) -> None:
        super().__init__(reader, opened)
        self.number = number
        self.gone = asyncio.Event()
        self.current: RequestRecord | None = None
        self.ended_by_us = False

    def eof_received(self) -> bool | None:
        self._note_gone()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._note_gone()
        super().connection_lost(exc)

    def _note_gone(self) -> None:
        if self.gone.is_set():
            return
        self.gone.set()
        record = self.current
        if record is not None and not self.ended_by_us:
            record.closed_at = time.monotonic()
            record.closed_mid_answer = record.finished_at is None


@dataclass(slots=True)
class Exchange:
    """One request with the means to answer it. A behaviour gets this and nothing else."""

    record: RequestRecord
    request: dict[str, Any]
    wire: Wire
    writer: asyncio.StreamWriter
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def credential(self) -> str:
        """The key that the client showed, in whichever header its dialect has for it."""
        bearer = (self.record.header("authorization") or "").removeprefix("Bearer ")
        return bearer or self.record.header("x-api-key") or self.record.header("x-goog-api-key") or ""

    async def send(self, data: bytes) -> None:
        if self.wire.gone.is_set():
            raise PeerGoneError
        before = self.record.bytes_accepted
        self.writer.write(data)
        # The high-water mark is 0, so drain() returns when the socket has taken every byte.
        try:
            await self.writer.drain()
        except ConnectionError as error:
            raise PeerGoneError from error
        self.record.bytes_accepted = before + len(data)

    async def head(
        self, status: int, content_type: str, *, length: int | None, extra: dict[str, str] | None = None
    ) -> None:
        """Send the status line and headers; `length=None` means chunked."""
        self.record.status = status
        framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        lines = [
            f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}",
            f"Content-Type: {content_type}",
            f"x-request-id: req_fake_{self.record.number:06d}",
            *(f"{name}: {value}" for name, value in (extra or {}).items()),
            framing,
        ]
        await self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    async def chunk(self, data: bytes) -> None:
        self.record.last_chunk_at = time.monotonic()
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))
        self.record.chunks_sent += 1

    async def last(self, data: bytes) -> None:
        # Noted before the write: a client may close as soon as it has read the last byte.
        self.record.finished_at = time.monotonic()
        await self.send(data)

    async def end_chunks(self) -> None:
        await self.last(b"0\r\n\r\n")

    async def whole(self, status: int, body: bytes, content_type: str = "application/json", **extra: str) -> None:
        await self.head(status, content_type, length=len(body), extra=extra)
        await self.last(body)

    async def pause(self, seconds: float) -> None:
        """Wait, but no longer than the client stays."""
        if seconds <= 0:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.wire.gone.wait(), seconds)
            raise PeerGoneError

    async def silence(self) -> None:
        await self.pause(LONGEST_SILENCE_S)

    async def reset(self) -> None:
        """End the connection with a TCP reset, after the client had time to read what was sent."""
        await self.pause(0.02)
        self.wire.ended_by_us = True
        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


async def read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> RequestRecord | None:
    """The next request of a connection, or None when the client has closed it. `number` is given by the server."""
    try:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), KEEP_ALIVE_S)
    except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
        return None
    except asyncio.LimitOverrunError as error:
        raise BadRequestError("headers too long") from error
    received_at, arrived_at = time.monotonic(), time.time()
    request_line, *lines = head[:-4].decode("latin-1").split("\r\n")
    method, _, rest = request_line.partition(" ")
    path, _, version = rest.rpartition(" ")
    if version != "HTTP/1.1" or not path:
        raise BadRequestError(f"request line {request_line!r}")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    body = await _read_body(reader, writer, {name.lower(): value for name, value in headers})
    return RequestRecord(
        number=0,
        connection=0,
        method=method,
        path=path,
        headers=headers,
        body=body[:KEPT_BODY_BYTES],
        body_size=len(body),
        body_sha256=hashlib.sha256(body).hexdigest(),
        received_at=received_at,
        arrived_at=arrived_at,
        peer_port=writer.get_extra_info("peername")[1],
    )


async def _read_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, headers: dict[str, str]) -> bytes:
    if "content-length" in headers and "transfer-encoding" in headers:
        raise BadRequestError("both Content-Length and Transfer-Encoding")
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return await _read_chunked(reader)
    size = int(headers.get("content-length", "0"))
    if size > MAX_BODY_BYTES:
        raise BadRequestError("body too long")
    return await reader.readexactly(size)


async def _read_chunked(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    total = 0
    while size := int((await reader.readline()).split(b";")[0], 16):
        total += size
        if total > MAX_BODY_BYTES:
            raise BadRequestError("body too long")
        parts.append(await reader.readexactly(size))
        await reader.readline()
    while (await reader.readline()).strip():
        pass
    return b"".join(parts)
