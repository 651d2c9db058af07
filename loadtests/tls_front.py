"""TLS before the C mock where no nginx is installed: bytes in one side, bytes out the other, as little Python as does it.

    python -m loadtests.tls_front MOCK_PORT CHAIN KEY

Prints its port. Its own cost is on the tools' core and counted nowhere, but it carries only some 15,000 answers or
60,000 chunks a second: enough for a gateway on one core, not for a look at TLS itself.
"""

import asyncio
import ssl
import sys
from typing import Any

import uvloop


class Inner(asyncio.Protocol):
    """The connection to the mock."""

    def __init__(self, outer: "Outer") -> None:
        self.outer = outer
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.outer.transport.write(data)

    def pause_writing(self) -> None:
        self.outer.transport.pause_reading()

    def resume_writing(self) -> None:
        self.outer.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.outer.transport.close()


class Outer(asyncio.Protocol):
    """The connection from the gateway, decrypted by the loop."""

    def __init__(self, mock: int) -> None:
        self.mock = mock
        self.transport: Any = None
        self.inner: Inner | None = None
        self.early: list[bytes] = []
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.task = asyncio.get_running_loop().create_task(self.dial())

    async def dial(self) -> None:
        loop = asyncio.get_running_loop()
        _, inner = await loop.create_connection(lambda: Inner(self), "127.0.0.1", self.mock)
        self.inner = inner
        inner.transport.writelines(self.early)
        self.early.clear()

    def data_received(self, data: bytes) -> None:
        if self.inner is None:
            self.early.append(data)
        else:
            self.inner.transport.write(data)

    def pause_writing(self) -> None:
        if self.inner is not None:
            self.inner.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.inner is not None:
            self.inner.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.inner is not None:
            self.inner.transport.abort()
        elif self.task is not None:
            self.task.cancel()


async def serve(mock: int, chain: str, key: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Outer(mock), "127.0.0.1", 0, ssl=context, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
