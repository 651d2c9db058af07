"""A TCP proxy that breaks connections on purpose, for tests of what happens when Redis, a database or a provider is
slow, cut off or gone. Set its attributes at any time; they count for connections that are open as well.

    async with FaultProxy("127.0.0.1", redis_port) as proxy:
        proxy.latency_s = 0.2        # each block of bytes, in both directions, comes this much later
        proxy.cut_after_bytes = 100  # end the connection (with `use_reset`: by RST) once the answer has this many bytes
        proxy.is_blackhole = True    # take bytes and connections, and pass nothing on
        proxy.reset_all()            # RST to every open connection now
        proxy.is_refusing = True     # RST to every new connection as soon as it is made

Plain bytes: it knows no protocol, and must not import the product. A unix socket is given as a path: FaultProxy("/x/y").
"""

import asyncio
import contextlib
import socket
import struct
from typing import Self

BLOCK_BYTES = 64 * 1024
CONNECT_LIMIT_S = 5.0


class FaultProxy:
    """Listens on a free port of 127.0.0.1 (`port`) and passes bytes to the target, as well as it is told to."""

    def __init__(self, host: str, port: int | None = None) -> None:
        self.port = 0
        self.latency_s = 0.0
        self.cut_after_bytes: int | None = None
        self.use_reset = False
        self.is_blackhole = False
        self.is_refusing = False
        self.connections_total = 0
        self._target = (host, port)
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def connections_open(self) -> int:
        return len(self._open) // 2

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def reset_all(self) -> None:
        """End every open connection, on both sides, with a TCP reset."""
        for writer in list(self._open):
            _reset(writer)

    def heal(self) -> None:
        """Pass bytes on again, for connections made from now on and for open ones that were not ended."""
        self.latency_s = 0.0
        self.cut_after_bytes = None
        self.use_reset = self.is_blackhole = self.is_refusing = False

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections_total += 1
        if self.is_refusing:
            _reset(writer)
            return
        task = asyncio.get_running_loop().create_task(self._join(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            target_reader, target_writer = await asyncio.wait_for(self._dial(), CONNECT_LIMIT_S)
        except OSError:
            _reset(writer)
            return
        pair = {writer, target_writer}
        self._open |= pair
        try:
            ask = asyncio.create_task(self._pass_on(reader, target_writer, is_answer=False))
            answer = asyncio.create_task(self._pass_on(target_reader, writer, is_answer=True))
            try:
                await asyncio.wait((ask, answer), return_when=asyncio.FIRST_COMPLETED)
            finally:
                ask.cancel()
                answer.cancel()
                await asyncio.gather(ask, answer, return_exceptions=True)
        finally:
            self._open -= pair
            for one in pair:
                one.close()
                with contextlib.suppress(OSError, TimeoutError):
                    await asyncio.wait_for(one.wait_closed(), 1.0)

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self._target
        if port is None:
            return await asyncio.open_unix_connection(host)
        return await asyncio.open_connection(host, port)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool) -> None:
        """Copy until an end or a fault. The answer's bytes are counted, so that it can be cut at an exact place."""
        passed = 0
        while block := await _read(reader):
            if self.latency_s:
                await asyncio.sleep(self.latency_s)
            if self.is_blackhole:
                continue
            limit = self.cut_after_bytes if is_answer else None
            if limit is not None:
                block = block[: max(0, limit - passed)]
            passed += len(block)
            writer.write(block)
            with contextlib.suppress(OSError):
                await writer.drain()
            if limit is not None and passed >= limit:
                await self._cut(writer)
                return

    async def _cut(self, writer: asyncio.StreamWriter) -> None:
        if self.use_reset:
            await asyncio.sleep(0.02)  # a reset may overtake bytes that the peer has not read
            _reset(writer)


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(BLOCK_BYTES)
    except OSError:
        return b""


def _reset(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket | None = writer.get_extra_info("socket")
    if sock is not None and sock.family == socket.AF_INET:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
