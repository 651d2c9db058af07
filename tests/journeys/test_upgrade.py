"""The version before the newest migration is replaced while callers stream: what has begun ends whole, every row is there and exact."""

import asyncio
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import httpx
import pytest

from tests.support.fake_behaviours import PROMPT_TOKENS
from tests.support.older_tree import older_tree
from tests.support.product import REAL, Product, products, wait_for
from tests.support.real_gateway import ADMIN_TOKEN, KEY, MESSAGES, config_text, running_fake
from tests.support.real_postgres import RealPostgres
from tests.support.real_valkey import RealValkey

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]

AS_ADMIN = {"authorization": f"Bearer {ADMIN_TOKEN}"}
OF_ADMIN = {"OMNIROUTE_ADMIN_TOKEN": ADMIN_TOKEN, "INITIAL_PASSWORD": "correct horse battery"}
Rows = list[tuple[str, int, int, str]]
"""Request id, input and output tokens, state."""


@dataclass(slots=True)
class Callers:
    """Callers that ask those who are ready, as a balancer does, until they are stopped."""

    gateways: list[Product]
    finished: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    asked: Counter[int] = field(default_factory=Counter)
    must_stop: bool = False

    async def ask_again_and_again(self, number: int, *, stream: bool) -> None:
        async with httpx.AsyncClient(headers={"authorization": f"Bearer {KEY}"}, timeout=30) as client:
            count = 0
            while not self.must_stop:
                count += 1
                gateway = self.gateways[(number + count) % len(self.gateways)]
                await self.ask(client, gateway, f"up-{number}-{count:05d}", count % 20 + 1, stream=stream)
                await asyncio.sleep(0.03)

    async def ask(
        self, client: httpx.AsyncClient, gateway: Product, name: str, chunks: int, *, stream: bool, gap: float = 0.05
    ) -> None:
        said = {"id": name, "chunks": chunks, "gap": gap if stream else 0}
        body = {"model": "local/m1", "messages": MESSAGES, "stream": stream, "user": json.dumps(said)}
        self.asked[gateway.port] += 1
        try:
            answer = await client.post(
                f"{gateway.url}/v1/chat/completions", json=body, headers={"x-request-id": name, "connection": "close"}
            )
            answer.raise_for_status()
        except httpx.HTTPError as error:
            self.failed.append(f"{name}: {error!r}")
            return
        if stream and "[DONE]" not in answer.text:
            self.failed.append(f"{name}: cut: {answer.text[-200:]}")
        else:
            self.finished[name] = chunks


def judge(callers: Callers, rows: Rows) -> None:
    print(f"{len(callers.finished)} finished, {len(rows)} rows, asked {dict(callers.asked)}")
    assert not callers.failed, callers.failed[:5]
    by_name = {row[0]: row[1:] for row in rows}
    assert len(by_name) == len(rows)
    assert {name: by_name.get(name) for name in callers.finished} == {
        name: (PROMPT_TOKENS, chunks, "final") for name, chunks in callers.finished.items()
    }


def serves(product: Product) -> bool:
    with suppress(httpx.HTTPError):
        body = {"model": "local/m1", "messages": MESSAGES}
        headers = {"authorization": f"Bearer {KEY}"}
        return httpx.post(f"{product.url}/v1/chat/completions", json=body, headers=headers, timeout=60).is_success
    return False


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return older_tree(tmp_path_factory.mktemp("before"))


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Path]:
    with running_fake() as fake:
        path = tmp_path / "omniroute.yaml"
        path.write_text(config_text(fake.port, fake.port, {}, 5.0))
        yield path


async def test_gateways_and_admin_are_replaced_one_by_one_and_no_caller_notices(
    before: Path, config: Path, tmp_path: Path
) -> None:
    with RealPostgres() as postgres, RealValkey(password="of-the-upgrade") as valkey, products() as make:
        database_url = postgres.make_database()
        shared = {"REDIS_URL": valkey.url, "API_KEY_SECRET": "pepper", "STORAGE_ENCRYPTION_KEY": "5a" * 32,
                  "OMNIROUTE_WORKERS": "1", "SHUTDOWN_DELAY_S": "1", "OMNIROUTE_REDIS_BUDGET_MS": "2000"}  # fmt: skip
        of_admin = {**shared, **OF_ADMIN, "DATABASE_URL": database_url, "OMNIROUTE_CONFIG": str(config)}
        old_admin = make(tmp_path / "old-admin", REAL, role="admin", tree=before, **of_admin)
        old = [make(tmp_path / f"old{n}", REAL, role="gateway", tree=before, **shared) for n in range(2)]
        for product in (old_admin, *old):
            product.wait_ready()
        for product in old:
            wait_for(lambda product=product: serves(product), 20, lambda product=product: product.errors[-2000:])
        old_schema = schema(postgres, database_url)
        callers = Callers(list(old))
        asking = [asyncio.create_task(callers.ask_again_and_again(n, stream=n % 2 == 0)) for n in range(6)]
        await asyncio.sleep(1)

        new_admin = make(tmp_path / "new-admin", REAL, role="admin", **of_admin)
        await asyncio.to_thread(new_admin.wait_ready)
        assert schema(postgres, database_url) > old_schema
        await asyncio.sleep(1)
        assert await asyncio.to_thread(old_admin.stop) == 0
        for number, leaving in enumerate(old):
            coming = make(tmp_path / f"new{number}", REAL, role="gateway", **shared)
            await asyncio.to_thread(coming.wait_ready)
            await asyncio.to_thread(wait_for, lambda coming=coming: serves(coming), 20)
            callers.gateways.append(coming)  # for a while versions serve side by side
            await asyncio.sleep(1.5)
            callers.gateways.remove(leaving)
            assert await asyncio.to_thread(leaving.stop) == 0
        await asyncio.sleep(1)
        callers.must_stop = True
        await asyncio.gather(*asking)

        async def load() -> Rows:
            connection = await asyncpg.connect(database_url)
            try:
                found = await connection.fetch(
                    "SELECT request_id, input_tokens, output_tokens, state FROM request_records WHERE request_id LIKE 'up-%'"
                )
                return [tuple(row) for row in found]
            finally:
                await connection.close()

        deadline = time.monotonic() + 20
        while len(rows := await load()) < len(callers.finished) and time.monotonic() < deadline:
            await asyncio.sleep(0.2)
        judge(callers, rows)
        assert len(callers.asked) == 4
        assert min(callers.asked.values()) > 5, "each of the four served"
        page = await asyncio.to_thread(httpx.get, f"{new_admin.url}/api/keys", headers=AS_ADMIN, timeout=60)
        assert page.status_code == 200


def schema(postgres: RealPostgres, database_url: str) -> str:
    return postgres.execute("SELECT version_num FROM alembic_version", database_url.rpartition("/")[2])[0]


async def test_one_machine_goes_on_with_the_data_dir_of_the_version_before(
    before: Path, config: Path, tmp_path: Path
) -> None:
    """A stream that has begun ends whole before the old one goes; nothing that it counted is lost."""
    data_dir = tmp_path / "data"
    with products() as make:
        variables = {**OF_ADMIN, "OMNIROUTE_CONFIG": str(config), "OMNIROUTE_INITIAL_KEY": "sk-or-journey-key-0000"}
        old = make(data_dir, REAL, tree=before, **variables).wait_ready()
        wait_for(lambda: serves(old), 20, lambda: old.errors[-2000:])
        callers = Callers([old])
        async with httpx.AsyncClient(headers={"authorization": f"Bearer {KEY}"}, timeout=30) as client:
            await asyncio.gather(
                *(callers.ask(client, old, f"up-short-{n}", n % 7 + 1, stream=False) for n in range(20))
            )
            long = asyncio.create_task(callers.ask(client, old, "up-long", 20, stream=True, gap=0.2))
            await asyncio.sleep(1)
            assert await asyncio.to_thread(old.stop) == 0
            await long
            new = make(data_dir, REAL, **variables)
            await asyncio.to_thread(new.wait_ready)
            await asyncio.to_thread(wait_for, lambda: serves(new), 20)
            callers.gateways = [new]
            await asyncio.gather(
                *(callers.ask(client, new, f"up-after-{n}", n % 7 + 1, stream=True) for n in range(10))
            )

        def load() -> Rows:
            with closing(sqlite3.connect(f"file:{data_dir / 'omniroute.db'}?mode=ro", uri=True, timeout=60)) as db:
                return db.execute(
                    "SELECT request_id, input_tokens, output_tokens, state FROM request_records WHERE request_id LIKE 'up-%'"
                ).fetchall()

        await asyncio.to_thread(wait_for, lambda: len(load()) >= len(callers.finished), 10)
        judge(callers, load())
        assert "up-long" in callers.finished
        assert httpx.get(f"{new.url}/api/keys", headers=AS_ADMIN, timeout=60).status_code == 200
