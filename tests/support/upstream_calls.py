"""Requests for transports, reading what they answer, and servers that answer with exact bytes."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.target import Connection
from gateway.upstream.seam import Transport, UpstreamCall, UpstreamFault, UpstreamRequest
from tests.support.catalogs import connection
from tests.support.fake_provider import FakeProvider
from tests.support.patience import PATIENCE


def at(fake: FakeProvider, **more: object) -> Connection:
    return connection(url=f"{fake.base_url}/chat/completions", **more)  # type: ignore[arg-type]  # fields by name


def request(
    one: Connection,
    model: str = "ok",
    *,
    stream: bool = False,
    headers: tuple[bytes, ...] = (),
    url: str = "",
    connect_s: float = 2.0 * PATIENCE,
    **more: object,
) -> UpstreamRequest:
    body = json.dumps({"model": model, "stream": stream, "messages": [], **more}).encode()
    lines = (b"Content-Type: application/json", *headers)
    return UpstreamRequest(one, url or one.paths["chat"], lines, body, connect_s)


async def body_of(call: UpstreamCall) -> bytes:
    async with asyncio.timeout(5):
        await call.head()
        parts = []
        while part := await call.read():
            parts.append(part)
    return b"".join(parts)


async def fault_of(transport: Transport, asked: UpstreamRequest) -> str:
    with pytest.raises(UpstreamFault) as fault:
        await body_of(await transport.start(asked))
    assert "127.0.0.1" not in str(fault.value)
    return fault.value.kind


def open_sockets() -> int:
    return sum(
        path.readlink().name.startswith("socket:") for path in Path("/proc/self/fd").iterdir() if path.is_symlink()
    )


class RawServer:
    """What a server that answers with exact bytes has seen."""

    def __init__(self, port: int, host: str = "127.0.0.1", scheme: str = "http") -> None:
        self.port = port
        self.connections = 0
        self.requests: list[bytes] = []
        place = f"[{host}]" if ":" in host else host
        self.to = connection(url=f"{scheme}://{place}:{port}/v1/chat/completions")


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@asynccontextmanager
async def serving(
    handle: Handler, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawServer]:
    """`handle` is called for each connection; all are ended at the end."""
    tasks: set[asyncio.Task[None]] = set()

    async def safely(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())  # type: ignore[arg-type]  # it runs in one
        raw.connections += 1
        try:
            with contextlib.suppress(
                ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError
            ):
                await handle(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(safely, host, 0, ssl=tls)
    raw = RawServer(server.sockets[0].getsockname()[1], host, "https" if tls else "http")
    try:
        yield raw
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def answering(
    *answers: bytes, keeps: bool = False, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawServer]:
    """Answers request n with answer n (the last one for good); closes after each unless `keeps`."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while asked := await read_request(reader):
            raw.requests.append(asked)
            writer.write(answers[min(len(raw.requests), len(answers)) - 1])
            await writer.drain()
            if not keeps:
                writer.write_eof() if tls is None else writer.close()
                await reader.read()
                return

    async with serving(handle, host, tls) as raw:
        yield raw


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """One request with a length; empty when the client has left."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return head + await reader.readexactly(length)
