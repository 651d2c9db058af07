"""Two admin replicas and two gateways on one PostgreSQL and one Valkey: one of the two does each job, and when it is killed the other
takes over within the lease; every request has one row, with what the provider told.
"""

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from tests.support.fake_behaviours import PROMPT_TOKENS
from tests.support.product import REAL, Product, products, wait_for
from tests.support.real_gateway import ADMIN_TOKEN, KEY, MESSAGES, config_text, running_fake
from tests.support.real_postgres import RealPostgres
from tests.support.real_valkey import RealValkey

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]

LEASE_S = 6.0
ON_A_BUSY_MACHINE_S = 10.0
SHARED_JOBS = ("ledger", "lost", "republish", "purge")
CALLERS = 4
AS_ADMIN = {"authorization": f"Bearer {ADMIN_TOKEN}"}


@dataclass(slots=True)
class Cluster:
    """What runs, and callers that ask until they are stopped: the pieces of each answer that came whole, by request id."""

    postgres: RealPostgres
    admins: list[Product]
    gateways: list[Product]
    database_url: str
    finished: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    must_stop: bool = False

    def owners(self, job: str) -> list[Product]:
        return [admin for admin in self.admins if jobs_of(admin).get(job, {}).get("is_mine")]

    async def caller(self, number: int) -> None:
        async with httpx.AsyncClient(headers={"authorization": f"Bearer {KEY}"}, timeout=60) as client:
            count = 0
            while not self.must_stop:
                count += 1
                name, chunks = f"r-{number}-{count:05d}", count % 30 + 1
                body = {"model": "local/m1", "messages": MESSAGES, "user": json.dumps({"id": name, "chunks": chunks})}
                url = self.gateways[count % len(self.gateways)].url
                try:
                    answer = await client.post(f"{url}/v1/chat/completions", json=body, headers={"x-request-id": name})
                    answer.raise_for_status()
                    self.finished[name] = chunks
                except httpx.HTTPError as error:
                    self.failed.append(f"{name}: {error!r}")
                await asyncio.sleep(0.02)

    async def rows(self) -> list[dict[str, Any]]:
        connection = await asyncpg.connect(self.database_url)
        try:
            return [
                dict(row) for row in await connection.fetch("SELECT * FROM request_records WHERE request_id LIKE 'r-%'")
            ]
        finally:
            await connection.close()


def jobs_of(admin: Product) -> dict[str, dict[str, Any]]:
    with suppress(httpx.HTTPError, KeyError, ValueError):
        answer = httpx.get(f"{admin.url}/api/monitoring/health", headers=AS_ADMIN, timeout=60)
        found: dict[str, dict[str, Any]] = answer.json()["jobs"]
        return found
    return {}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with (
        RealPostgres() as postgres,
        RealValkey(password="of-replicas") as valkey,
        running_fake() as fake,
        products() as make,
    ):
        database_url = postgres.make_database()
        config = tmp_path / "omniroute.yaml"
        config.write_text(config_text(fake.port, fake.port, {}, 5.0))
        shared = {
            "REDIS_URL": valkey.url, "API_KEY_SECRET": "pepper", "STORAGE_ENCRYPTION_KEY": "5a" * 32,
            "OMNIROUTE_REDIS_BUDGET_MS": "2000",
        }  # fmt: skip
        of_admins = {
            "DATABASE_URL": f"{database_url}?sslmode=prefer", "OMNIROUTE_CONFIG": str(config),
            "OMNIROUTE_ADMIN_TOKEN": ADMIN_TOKEN, "INITIAL_PASSWORD": "correct horse battery",
        }  # fmt: skip
        # Both at once on an empty database: one of them migrates it and makes the first start, the other waits for it.
        admins = [make(tmp_path / f"admin{n}", REAL, role="admin", **shared, **of_admins) for n in range(2)]
        gateways = [
            make(tmp_path / f"gateway{n}", REAL, role="gateway", OMNIROUTE_WORKERS="1", **shared) for n in range(2)
        ]
        for product in (*admins, *gateways):
            product.wait_ready()
        cluster = Cluster(postgres, admins, gateways, database_url)
        for gateway in gateways:
            wait_for(lambda gateway=gateway: serves(gateway), 20, lambda gateway=gateway: gateway.errors[-2000:])
        yield cluster


def serves(gateway: Product) -> bool:
    with suppress(httpx.HTTPError):
        body = {"model": "local/m1", "messages": MESSAGES}
        headers = {"authorization": f"Bearer {KEY}"}
        return httpx.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers, timeout=60).is_success
    return False


async def test_the_other_replica_takes_over_and_no_row_is_lost_or_doubled(cluster: Cluster) -> None:
    callers = [asyncio.create_task(cluster.caller(number)) for number in range(CALLERS)]
    await asyncio.to_thread(wait_for, lambda: all(len(cluster.owners(job)) == 1 for job in SHARED_JOBS), 20)
    (leader,) = cluster.owners("ledger")
    (other,) = (admin for admin in cluster.admins if admin is not leader)
    await asyncio.sleep(3)

    killed_at = time.monotonic()
    for pid in (leader.process.pid, *leader.tree()):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    await asyncio.to_thread(
        wait_for,
        lambda: jobs_of(other).get("ledger", {}).get("is_mine"),
        LEASE_S + ON_A_BUSY_MACHINE_S,
        lambda: other.errors[-2000:],
    )
    print(f"taken over after {time.monotonic() - killed_at:.1f} s")
    await asyncio.sleep(2)
    cluster.must_stop = True
    await asyncio.gather(*callers)
    assert not cluster.failed, cluster.failed[:5]
    await judge(cluster)


async def test_the_database_crashes_and_comes_back_while_requests_go_on(cluster: Cluster) -> None:
    callers = [asyncio.create_task(cluster.caller(number)) for number in range(CALLERS)]
    await asyncio.sleep(2)
    for _ in range(2):
        await asyncio.to_thread(cluster.postgres.kill)
        before = len(cluster.finished)
        assert (
            await asyncio.to_thread(httpx.get, f"{cluster.admins[0].url}/api/combos", headers=AS_ADMIN, timeout=60)
        ).status_code == 503
        await asyncio.sleep(2)
        assert len(cluster.finished) > before, "no request needs SQL"
        cluster.postgres.start()  # in this thread: the server ends with the one that started it
        await asyncio.sleep(2)
    cluster.must_stop = True
    await asyncio.gather(*callers)
    assert not cluster.failed, cluster.failed[:5]
    await judge(cluster)


async def judge(cluster: Cluster) -> None:
    """Each finished call has one row that says what the provider said."""
    deadline = time.monotonic() + 30
    while len(rows := await cluster.rows()) < len(cluster.finished) and time.monotonic() < deadline:
        await asyncio.sleep(0.2)
    print(f"{len(cluster.finished)} finished, {len(cluster.failed)} not, {len(rows)} rows")
    assert len(cluster.finished) > 50
    by_name = Counter(row["request_id"] for row in rows)
    assert cluster.finished.keys() <= by_name.keys()
    assert max(by_name.values()) == 1
    said = {row["request_id"]: (row["input_tokens"], row["output_tokens"], row["state"]) for row in rows}
    assert {name: said[name] for name in cluster.finished} == {
        name: (PROMPT_TOKENS, chunks, "final") for name, chunks in cluster.finished.items()
    }
