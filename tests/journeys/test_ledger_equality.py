"""The ledger equals the provider's own count, to the token, after workers, admin and Valkey were killed under load.

Of calls that were read to their end; those that broke with their worker may be guesses. And roll-ups equal the rows.
"""

import asyncio
import json
import os
import random
import re
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

import httpx
import pytest

from tests.support.fake_behaviours import PROMPT_TOKENS
from tests.support.product import wait_for
from tests.support.real_gateway import KEY, MESSAGES, RealGateway, running_gateway

pytestmark = [pytest.mark.process, pytest.mark.timeout(150)]

CALLERS = 8
LASTS_S = 14.0
VICTIMS = ("admin", "valkey", "worker", "admin", "valkey")
LEAST = 60
"""Whole calls; on a slow machine the load goes on until there were so many."""
FIRST_KILL_S = 6.5
"""A worker that dies younger than 5.5 s is a crash loop to granian, which then ends all of them."""
_COLUMNS = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "cost_nano_usd",
)  # fmt: skip


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with running_gateway(tmp_path_factory.mktemp("equality")) as running:
        yield running


@dataclass(slots=True)
class Told:
    """What the provider said of calls that were whole, by the caller's request id."""

    whole: dict[str, int] = field(default_factory=dict)
    broken: int = 0
    must_stop: bool = False


async def call_on(gateway: RealGateway, told: Told, chance: random.Random) -> None:
    while not told.must_stop:
        request_id, is_stream = gateway.new_id(), chance.random() < 0.5
        body = {
            "model": "local/m1", "messages": MESSAGES, "stream": is_stream,
            "user": json.dumps({"chunks": chance.randint(1, 40)}),
        } | ({"stream_options": {"include_usage": True}} if is_stream else {})  # fmt: skip
        headers = {"authorization": f"Bearer {KEY}", "x-request-id": request_id}
        try:
            async with httpx.AsyncClient(base_url=str(gateway.client.base_url), timeout=20) as client:
                answer = await client.post("/v1/chat/completions", json=body, headers=headers)
        except httpx.HTTPError:
            told.broken += 1
            continue
        usage = re.search(r'"completion_tokens":\s?(\d+)', answer.text)
        if answer.status_code == 200 and usage and (not is_stream or "[DONE]" in answer.text):
            told.whole[request_id] = int(usage[1])
        else:
            told.broken += 1
        await asyncio.sleep(0.02)


async def kill_some(gateway: RealGateway, chance: random.Random) -> None:
    await asyncio.sleep(FIRST_KILL_S)
    for victim in VICTIMS:
        if victim == "worker":
            os.kill(chance.choice(gateway.product.workers()), signal.SIGKILL)
        else:
            gateway.product.kill(victim)
        await asyncio.sleep((LASTS_S - FIRST_KILL_S) / len(VICTIMS))


def query(gateway: RealGateway, *statements: str) -> list[list[tuple[int, ...]]]:
    """Answers of one moment."""
    path = gateway.product.data_dir / "omniroute.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        return [connection.execute(statement).fetchall() for statement in statements]


async def test_the_ledger_equals_what_the_provider_told_after_random_kills(gateway):
    seed = int(os.environ.get("OMNIROUTE_EXACTNESS_SEED", "1"))
    chance, told = random.Random(seed), Told()
    callers = [asyncio.create_task(call_on(gateway, told, random.Random(seed + n))) for n in range(CALLERS)]
    await kill_some(gateway, chance)
    await asyncio.to_thread(
        wait_for, lambda: len(told.whole) >= LEAST, 60, lambda: f"{len(told.whole)} calls were whole"
    )
    told.must_stop = True
    await asyncio.gather(*callers)

    def missing() -> set[str]:
        return set(told.whole) - {row["request_id"] for row in gateway.rows()}

    await asyncio.to_thread(wait_for, lambda: not missing(), 40, lambda: f"no row of {sorted(missing())[:5]}")
    await asyncio.sleep(1.0)  # a second row of one would have come by now
    rows = [row for row in gateway.rows() if row["request_id"] in told.whole]
    print(f"whole={len(told.whole)} broken={told.broken}")
    assert len(rows) == len(told.whole)
    assert {row["request_id"]: row["output_tokens"] for row in rows} == told.whole
    assert {(row["state"], row["input_tokens"], row["is_estimated"]) for row in rows} == {("final", PROMPT_TOKENS, 0)}
    sums = ", ".join(f"COALESCE(SUM({name}), 0)" for name in _COLUMNS)
    spans = {"all": "h", "provider": "h", "model": "h", "connection": "h", "key": "d"}
    counted, *summed = query(
        gateway,
        f"SELECT COUNT(*), {sums} FROM request_records",
        *(
            f"SELECT SUM(requests), {sums} FROM usage_sums WHERE kind = '{k}' AND span = '{s}'"
            for k, s in spans.items()
        ),
        f"SELECT SUM(requests), {sums} FROM usage_sums WHERE kind = 'key' AND span = 'e'",
    )
    assert summed == [counted] * len(summed)
