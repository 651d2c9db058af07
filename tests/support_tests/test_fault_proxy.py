"""The fault proxy passes bytes on unharmed until told otherwise, and then breaks what it was told to break."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.support.fault_proxy import FaultProxy


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    async with FaultProxy("127.0.0.1", server.sockets[0].getsockname()[1]) as fault:
        yield fault
    server.close()
    await server.wait_closed()


async def dial(proxy: FaultProxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", proxy.port)


async def test_it_passes_bytes_on_unharmed(proxy: FaultProxy) -> None:
    reader, writer = await dial(proxy)
    sent = bytes(range(256)) * 4000
    writer.write(sent)
    assert await asyncio.wait_for(reader.readexactly(len(sent)), 5) == sent
    assert proxy.connections_open == 1
    writer.close()


async def test_latency_counts_in_both_directions(proxy: FaultProxy) -> None:
    proxy.latency_s = 0.05
    reader, writer = await dial(proxy)
    began = time.monotonic()
    writer.write(b"x")
    await asyncio.wait_for(reader.readexactly(1), 5)
    assert time.monotonic() - began >= 0.1
    writer.close()


@pytest.mark.parametrize("use_reset", [False, True])
async def test_an_answer_is_cut_at_the_byte(proxy: FaultProxy, use_reset: bool) -> None:
    proxy.cut_after_bytes, proxy.use_reset = 100, use_reset
    reader, writer = await dial(proxy)
    writer.write(b"x" * 500)
    assert await asyncio.wait_for(reader.readexactly(100), 5) == b"x" * 100
    if use_reset:
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 5)
    else:
        assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


async def test_a_blackhole_answers_nothing_until_healed(proxy: FaultProxy) -> None:
    reader, writer = await dial(proxy)
    proxy.is_blackhole = True
    writer.write(b"lost")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.1)
    proxy.heal()
    writer.write(b"found")
    assert await asyncio.wait_for(reader.readexactly(5), 5) == b"found"
    writer.close()


async def test_reset_all_and_refusing_end_old_and_new_connections(proxy: FaultProxy) -> None:
    reader, writer = await dial(proxy)
    writer.write(b"x")
    await asyncio.wait_for(reader.readexactly(1), 5)
    proxy.reset_all()
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 5)
    writer.close()
    proxy.is_refusing = True
    reader, writer = await dial(proxy)
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 5)
    writer.close()


async def test_a_target_that_is_gone_is_a_reset_not_a_silence() -> None:
    async with FaultProxy("127.0.0.1", 1) as proxy:
        reader, writer = await dial(proxy)
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 5)
        writer.close()
