"""A real Valkey, a real database, and the application behind its guard.

The database is SQLite. A module (or test) marked `both_databases` runs on a real PostgreSQL too.
"""

import asyncio
import shutil
import tempfile
from pathlib import Path

import pytest
from redis.asyncio import Redis

from admin_api.store.database import open_database
from tests.support.admin_plane import ADMIN_TOKEN, Valkey, client_of, make_plane, make_settings
from tests.support.real_postgres import RealPostgres

MIGRATED = "migrated"


def pytest_generate_tests(metafunc):
    if "database_url" in metafunc.fixturenames and metafunc.definition.get_closest_marker("both_databases"):
        metafunc.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


def _valkey():
    folder = Path(tempfile.mkdtemp(prefix="or-", dir="/tmp"))
    server = Valkey(folder).start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


shared_valkey = pytest.fixture(scope="session", name="shared_valkey")(_valkey)
own_valkey = pytest.fixture(name="own_valkey")(_valkey)


@pytest.fixture(scope="session")
def postgres():
    """One server for all tests of a run, started for the first that asks."""
    with RealPostgres() as server:
        yield server


@pytest.fixture(scope="session")
def migrated_template(postgres, tmp_path_factory):
    """The name of a database that has the newest schema: copying it is quicker than making it."""
    url = postgres.make_database(MIGRATED)

    async def migrate():
        database = open_database(url, tmp_path_factory.mktemp("postgres"))
        await database.migrate()
        await database.close()

    asyncio.run(migrate())
    return MIGRATED


@pytest.fixture
def database_url(request):
    """The URL of a database of the test's own; empty for SQLite in the data dir."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield ""
        return
    postgres = request.getfixturevalue("postgres")
    url = postgres.make_database(template=request.getfixturevalue("migrated_template"))
    yield url
    postgres.drop_database(url)


@pytest.fixture
async def redis(shared_valkey):
    client = Redis.from_url(shared_valkey.url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
async def plane(tmp_path, redis, shared_valkey, database_url):
    plane = await make_plane(make_settings(tmp_path, shared_valkey.url, database_url=database_url))
    assert await plane.publisher.publish(60.0)
    yield plane
    await plane.close()


@pytest.fixture
async def client(plane):
    async with client_of(plane) as client:
        yield client


@pytest.fixture
async def admin(plane):
    async with client_of(plane, headers={"authorization": f"Bearer {ADMIN_TOKEN}"}) as client:
        yield client
