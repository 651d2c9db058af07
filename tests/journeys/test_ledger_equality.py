"""The ledger says what the provider said, to the token, however workers, admin and Valkey are killed under load.

The judge is the provider: a request tells it how many pieces to answer with, and each is one token. A call is finished when
its caller has all of it. `make check` runs it for a short time; OMNIROUTE_LEDGER_S=300 for as many seconds, OMNIROUTE_LEDGER_SEED
for other accidents.
"""

import asyncio
import itertools
import json
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.fake_behaviours import PROMPT_TOKENS
from tests.support.product import wait_for
from tests.support.real_gateway import KEY, MESSAGES, RealGateway, running_gateway

LASTS_S = float(os.environ.get("OMNIROUTE_LEDGER_S", "12"))
SEED = int(os.environ.get("OMNIROUTE_LEDGER_SEED", "1"))
pytestmark = [pytest.mark.process, pytest.mark.timeout(LASTS_S + 600)]

CALLERS = 8
WORKERS = 2
KILL_EVERY_S = (0.7, 2.0)
LIVES_S = 6.5
"""A worker that dies younger than 5.5 s is a crash loop to granian, which then ends all of them."""
SETTLED_WITHIN_S = 60.0
"""A dead worker's heartbeat lasts 15 s, and it is looked for twice."""
AFTER_S = 3.0
"""So long after an outage of Valkey a worker may not know of its end: what it began then may be noted nowhere if it is killed."""


@dataclass(slots=True)
class Call:
    """What the caller knows: unix seconds of its begin and end, and whether the whole answer came, then or when asked again."""

    chunks: int
    began: float
    ended: float = 0.0
    is_finished: bool = False
    again: "Call | None" = None


@dataclass(slots=True)
class Load:
    """Callers that ask at random until they are stopped, each request on a connection of its own; some ask again, once."""

    port: int
    chance: random.Random
    asks_again: bool = False
    calls: dict[str, Call] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    must_stop: bool = False
    asking_again: int = 0

    async def caller(self) -> None:
        while not self.must_stop:
            call = await self._call()
            if self.asks_again and not call.is_finished:
                self.asking_again += 1
                await asyncio.sleep(0.1)
                call.again = await self._call()
                self.asking_again -= 1
            await asyncio.sleep(self.chance.uniform(0.002, 0.04))

    async def _call(self) -> Call:
        name = f"ledger-{next(self.numbers):07d}"
        call = self.calls[name] = Call(self.chance.randint(1, 40), time.time())
        with suppress(OSError, TimeoutError, ValueError):
            call.is_finished = await self._ask(name, call)
        call.ended = time.time()
        return call

    async def _ask(self, name: str, call: Call) -> bool:
        said = {"id": name, "chunks": call.chunks, "gap": self.chance.choice((0, 0, 0.005, 0.03))}
        is_stream = self.chance.random() < 0.6
        more: dict[str, Any] = (
            {"stream_options": {"include_usage": True}} if self.chance.random() < 0.5 and is_stream else {}
        )
        body = json.dumps(
            {"model": "local/m1", "messages": MESSAGES, "stream": is_stream, "user": json.dumps(said), **more}
        ).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Request-Id: %b\r\n"
                b"Authorization: Bearer %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (name.encode(), KEY.encode(), len(body), body)
            )
            async with asyncio.timeout(30):
                head, _, answer = (await reader.read(-1)).partition(b"\r\n\r\n")
        finally:
            writer.close()
        if not head.startswith(b"HTTP/1.1 200"):
            return False
        return b"data: [DONE]" in answer if is_stream else answer.rstrip().endswith(b"}")


@dataclass(slots=True)
class Accidents:
    """SIGKILL to one process after another. `outages`: when Valkey was away, unix seconds."""

    gateway: RealGateway
    chance: random.Random
    killed: Counter[str] = field(default_factory=Counter)
    outages: list[tuple[float, float]] = field(default_factory=list)
    born: dict[int, float] = field(default_factory=dict)

    async def happen(self, lasts_s: float) -> None:
        until = time.monotonic() + lasts_s
        while time.monotonic() < until or len(self.killed) < 3:
            await asyncio.sleep(self.chance.uniform(*KILL_EVERY_S))
            await asyncio.to_thread(self._one)

    async def strike(self, kind: str, load: Load) -> None:
        """Kill one process while nobody asks again; until it is replaced and all that was under way has ended."""
        await asyncio.to_thread(wait_for, lambda: self._victim(kind), 60)
        pid = await asyncio.to_thread(self._victim, kind)
        await asyncio.to_thread(wait_for, lambda: not load.asking_again, 30)
        killed_at, before = time.time(), set(load.calls)
        os.kill(pid, signal.SIGKILL)
        self.killed[kind] += 1
        await asyncio.to_thread(wait_for, lambda: self._replaced(kind, pid), 60)
        if kind == "valkey":
            self.outages.append((killed_at, time.time() + AFTER_S))
        await asyncio.to_thread(wait_for, lambda: all(load.calls[name].ended for name in before), 60)

    def _victim(self, kind: str) -> int:
        """Its process id once all of its kind are up, else 0."""
        if kind != "worker":
            return self.gateway.product.child(kind)
        workers = self.gateway.product.workers()
        return self.chance.choice(workers) if len(workers) == WORKERS else 0

    def _replaced(self, kind: str, pid: int) -> bool:
        if kind != "worker":
            return self.gateway.product.child(kind) not in (0, pid)
        workers = self.gateway.product.workers()
        return pid not in workers and len(workers) == WORKERS and self.gateway.product.answers()

    def _one(self) -> None:
        kind = self.chance.choice(("worker", "worker", "admin", "valkey"))
        pid = self._grown_worker() if kind == "worker" else self.gateway.product.child(kind)
        if not pid:
            return
        killed_at = time.time()
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self.killed[kind] += 1
        if kind == "valkey":
            wait_for(lambda: self.gateway.product.child("valkey") not in (0, pid), 15)
            self.outages.append((killed_at, time.time() + AFTER_S))

    def _grown_worker(self) -> int:
        now, pids = time.monotonic(), self.gateway.product.workers()
        self.born = {pid: self.born.get(pid, now if self.born else 0.0) for pid in pids}
        return next((pid for pid in self.chance.sample(pids, len(pids)) if self.born[pid] < now - LIVES_S), 0)

    def had_valkey(self, call: Call) -> bool:
        return all(call.ended < start or call.began > end for start, end in self.outages)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with running_gateway(tmp_path_factory.mktemp("ledger")) as gateway:
        gateway.fake.keep_requests(1_000_000)
        yield gateway


def ledger(gateway: RealGateway) -> tuple[list[dict[str, Any]], tuple[int, ...]]:
    """Rows of the load and the sums of all hours, as of the same instant."""
    with closing(
        sqlite3.connect(f"file:{gateway.product.data_dir / 'omniroute.db'}?mode=ro", uri=True, timeout=60)
    ) as db:
        db.row_factory = sqlite3.Row
        db.execute("BEGIN")
        rows = [dict(row) for row in db.execute("SELECT * FROM request_records")]
        sums = db.execute(
            "SELECT SUM(requests), SUM(input_tokens), SUM(output_tokens) FROM usage_sums WHERE kind = 'all' AND span = 'h'"
        ).fetchone()
    return rows, tuple(int(one or 0) for one in sums)


async def test_rows_say_to_the_token_what_the_provider_said(gateway: RealGateway) -> None:
    chance, mark = random.Random(SEED), gateway.mark
    load, accidents = Load(gateway.product.port, chance), Accidents(gateway, chance)
    callers = [asyncio.create_task(load.caller()) for _ in range(CALLERS)]
    await accidents.happen(LASTS_S)
    load.must_stop = True
    await asyncio.gather(*callers)
    assert await books_balance(gateway, load, accidents, mark) > LASTS_S * 5


async def test_who_asks_again_once_is_answered_whichever_process_is_killed(gateway: RealGateway) -> None:
    """One after the other, the next when all that the last one broke was asked again; what is asked again is counted as such."""
    chance, mark = random.Random(SEED + 1), gateway.mark
    load = Load(gateway.product.port, chance, asks_again=True, numbers=itertools.count(1_000_000))
    accidents = Accidents(gateway, chance)
    callers = [asyncio.create_task(load.caller()) for _ in range(CALLERS)]
    try:
        for kind in ("worker", "valkey", "worker", "admin"):
            await accidents.strike(kind, load)
    finally:
        load.must_stop = True
        await asyncio.gather(*callers)
    twice = [call.again for call in load.calls.values() if call.again is not None]
    print(f"asked again: {len(twice)}")
    assert twice, "the kills of workers broke something"
    assert all(call.is_finished for call in twice)
    assert await books_balance(gateway, load, accidents, mark) > CALLERS


async def books_balance(gateway: RealGateway, load: Load, accidents: Accidents, mark: int) -> int:
    """Each call of this load has its row, once and to the token. Gives how many were finished."""
    told = {json.loads(one.json()["user"])["id"]: one for one in gateway.seen(mark)}
    finished = {name for name, call in load.calls.items() if call.is_finished}
    noted = {name for name in told if name in finished or accidents.had_valkey(load.calls[name])}
    print(
        f"killed={dict(accidents.killed)} asked={len(load.calls)} told={len(told)} finished={len(finished)} must_have_rows={len(noted)}"
    )
    assert finished <= told.keys()

    def missing() -> set[str]:
        return noted - {row["request_id"] for row in ledger(gateway)[0]}

    await asyncio.to_thread(
        wait_for, lambda: not missing(), SETTLED_WITHIN_S, lambda: f"without a row: {sorted(missing())[:20]}"
    )
    rows, sums = ledger(gateway)
    by_name = Counter(row["request_id"] for row in rows if row["request_id"].startswith("ledger-"))
    assert max(by_name.values()) == 1, "one row a request"
    final = {row["request_id"]: row for row in rows if row["request_id"] in finished}
    wrong = {name: row for name, row in final.items() if row["state"] != "final" or row["is_estimated"]}
    assert not wrong, "what was finished is final"
    for name, row in final.items():
        assert (row["input_tokens"], row["output_tokens"]) == (PROMPT_TOKENS, load.calls[name].chunks), row
    expected = sum(load.calls[name].chunks for name in finished)
    print(
        f"output tokens of finished calls: {expected}; rows: {len(rows)}, states: {Counter(row['state'] for row in rows)}"
    )
    assert sum(row["output_tokens"] for row in final.values()) == expected
    counted = [len(rows), *(sum(row[name] for row in rows) for name in ("input_tokens", "output_tokens"))]
    assert list(sums) == counted, "roll-ups are the sums of rows"
    return len(finished)
