"""A real Valkey, a real SQLite file, and the application behind its guard."""

import shutil
import tempfile
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.support.admin_plane import ADMIN_TOKEN, Valkey, client_of, close_plane, make_plane, make_settings


def _valkey():
    folder = Path(tempfile.mkdtemp(prefix="or-", dir="/tmp"))
    server = Valkey(folder).start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


shared_valkey = pytest.fixture(scope="session", name="shared_valkey")(_valkey)
own_valkey = pytest.fixture(name="own_valkey")(_valkey)


@pytest.fixture
async def redis(shared_valkey):
    client = Redis.from_url(shared_valkey.url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
async def plane(tmp_path, redis, shared_valkey):
    plane = await make_plane(make_settings(tmp_path, shared_valkey.url))
    assert await plane.publisher.publish()
    yield plane
    await close_plane(plane)


@pytest.fixture
async def client(plane):
    async with client_of(plane) as client:
        yield client


@pytest.fixture
async def admin(plane):
    async with client_of(plane, headers={"authorization": f"Bearer {ADMIN_TOKEN}"}) as client:
        yield client
