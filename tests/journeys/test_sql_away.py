"""SQL is away for an hour. No call fails, no usage is lost, what waits is bounded, and afterwards every row is there once.

An hour at full load is more records than Redis may hold; here the bound is 150 and some seconds bring as many. SQL is away in
each way it can be: it refuses, it says nothing, and the admin process is killed and started meanwhile.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from redis import Redis

from gateway.state import keys
from tests.support.fake_behaviours import PROMPT_TOKENS
from tests.support.fault_proxy import FaultProxy
from tests.support.product import REAL, Product, products, wait_for
from tests.support.real_gateway import ADMIN_TOKEN, KEY, MESSAGES, config_text, running_fake, running_proxy
from tests.support.real_postgres import RealPostgres

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]

MAX_WAITING = 150
BACK_WITHIN_S = 90.0
"""A job that failed pauses 10 s at most; a connection that says nothing is given up after a minute."""
AS_ADMIN = {"authorization": f"Bearer {ADMIN_TOKEN}"}


@dataclass(slots=True)
class Setting:
    """What runs, and what callers got: pieces of each whole answer by request id."""

    product: Product
    sql: FaultProxy
    database_url: str
    finished: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    async def ask(self, count: int) -> None:
        """So many requests, eight at once, every second one streamed."""
        begun = len(self.finished)
        turns = asyncio.Semaphore(8)
        headers = {"authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(base_url=self.product.url, headers=headers, timeout=60) as client:

            async def one(number: int) -> None:
                name, chunks = f"hour-{number:05d}", number % 20 + 1
                said = json.dumps({"id": name, "chunks": chunks})
                body = {"model": "local/m1", "messages": MESSAGES, "user": said, "stream": number % 2 == 0}
                if body["stream"]:
                    body["stream_options"] = {"include_usage": True}
                async with turns:
                    try:
                        answer = await client.post("/v1/chat/completions", json=body, headers={"x-request-id": name})
                        answer.raise_for_status()
                    except httpx.HTTPError as error:
                        self.failed.append(f"{name}: {error!r}")
                    else:
                        self.finished[name] = chunks

            await asyncio.gather(*(one(begun + number) for number in range(count)))

    def waiting(self) -> int:
        """Records in Redis."""
        with Redis(unix_socket_path=str(self.product.data_dir / "run" / "valkey.sock")) as redis:
            return int(redis.xlen(keys.RECORDS))

    def spooled(self) -> int:
        """Records on disk."""
        lines = 0
        for path in (self.product.data_dir / "spool").glob("*.ndjson"):
            with suppress(FileNotFoundError):
                lines += path.read_bytes().count(b"\n")
        return lines

    def health(self) -> dict[str, Any]:
        answer = httpx.get(f"{self.product.url}/api/monitoring/health", headers=AS_ADMIN, timeout=30)
        found: dict[str, Any] = answer.json() if answer.is_success else {}
        return found

    async def rows(self) -> list[dict[str, Any]]:
        connection = await asyncpg.connect(self.database_url)
        try:
            found = await connection.fetch("SELECT * FROM request_records WHERE request_id LIKE 'hour-%'")
            return [dict(row) for row in found]
        finally:
            await connection.close()

    async def sums(self) -> tuple[int, int, int]:
        connection = await asyncpg.connect(self.database_url)
        try:
            statement = (
                "SELECT SUM(requests)::bigint, SUM(input_tokens)::bigint, SUM(output_tokens)::bigint"
                " FROM usage_sums WHERE kind = 'all' AND span = 'h'"
            )
            return tuple(await connection.fetchrow(statement))
        finally:
            await connection.close()


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    with (
        RealPostgres() as postgres,
        running_fake() as fake,
        running_proxy("127.0.0.1", postgres.port) as sql,
        products() as make,
    ):
        database_url = postgres.make_database()
        config = tmp_path / "omniroute.yaml"
        config.write_text(config_text(fake.port, fake.port, {}, 5.0))
        product = make(
            tmp_path / "data", REAL, DATABASE_URL=database_url.replace(f":{postgres.port}/", f":{sql.port}/"),
            OMNIROUTE_CONFIG=str(config), OMNIROUTE_ADMIN_TOKEN=ADMIN_TOKEN, INITIAL_PASSWORD="correct horse battery",
            OMNIROUTE_MAX_WAITING_RECORDS=str(MAX_WAITING), OMNIROUTE_REDIS_BUDGET_MS="2000",
        ).wait_ready()  # fmt: skip
        yield Setting(product, sql, database_url)


async def test_an_hour_without_sql_costs_no_call_and_no_row(setting: Setting) -> None:
    await setting.ask(20)
    await asyncio.to_thread(wait_for, lambda: setting.waiting() == 0, BACK_WITHIN_S)

    setting.sql.is_refusing = True
    setting.sql.reset_all()
    await setting.ask(MAX_WAITING)
    shown = await asyncio.to_thread(setting.health)
    assert (shown["status"], shown["database"]["up"]) == ("degraded", False)
    await asyncio.to_thread(setting.product.kill, "admin")
    await setting.ask(MAX_WAITING)
    assert setting.product.answers("/readyz")
    setting.sql.is_refusing, setting.sql.is_blackhole = False, True
    await setting.ask(MAX_WAITING)
    assert not setting.failed, setting.failed[:5]
    waiting, spooled = setting.waiting(), setting.spooled()
    print(f"{len(setting.finished)} finished, {waiting} wait in Redis, {spooled} on disk")
    assert waiting <= MAX_WAITING, "what waits in Redis is bounded"
    assert waiting + spooled >= 3 * MAX_WAITING, "the rest is on disk"

    setting.sql.heal()
    await setting.ask(50)
    deadline = asyncio.get_running_loop().time() + BACK_WITHIN_S
    while len(await setting.rows()) < len(setting.finished) and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.3)
    assert not setting.failed, setting.failed[:5]
    rows = await setting.rows()
    counts = Counter(row["request_id"] for row in rows)
    assert counts.keys() == setting.finished.keys(), f"{len(counts)} of {len(setting.finished)}"
    assert max(counts.values()) == 1
    said = {row["request_id"]: (row["input_tokens"], row["output_tokens"], row["state"]) for row in rows}
    assert said == {name: (PROMPT_TOKENS, chunks, "final") for name, chunks in setting.finished.items()}
    await asyncio.to_thread(wait_for, lambda: setting.waiting() == 0 and setting.spooled() == 0, BACK_WITHIN_S)
    expected = (len(rows), PROMPT_TOKENS * len(rows), sum(setting.finished.values()))
    assert await setting.sums() == expected, "roll-ups count each row once"
