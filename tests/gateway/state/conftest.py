"""Clients of a real Valkey."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from redis import Redis

from gateway.state.resp import RespClient
from tests.support.patience import PATIENCE
from tests.support.real_valkey import RealValkey


@pytest.fixture
def sync(valkey: RealValkey) -> Iterator[Redis]:
    with valkey.client() as client:
        yield client


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., RespClient]]:
    """Make connected clients; each is closed at the end."""
    made: list[RespClient] = []

    async def connect(url: str, **more: float) -> RespClient:
        client = RespClient(url, **more)
        made.append(client)
        client.start()
        await until(lambda: client.is_up)
        return client

    yield connect  # type: ignore[misc]
    for client in made:
        await client.close()
    await asyncio.sleep(0)


async def until(wish: Callable[[], bool], within: float = 5.0) -> None:
    async with asyncio.timeout(within * PATIENCE):
        while not wish():
            await asyncio.sleep(0.002)
