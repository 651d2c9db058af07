"""No limit is passed, by one request or one token, while workers are killed with SIGKILL under random load.

The judge is the provider: it counts what arrives (`support/judge.py`). `make check` runs it for a short time, less
than a minute, so all of it is one window; `make test-exactness` runs it for OMNIROUTE_EXACTNESS_S seconds.
"""

import asyncio
import json
import os
import random
import signal
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis

from gateway.state import keys as redis_keys
from tests.support.judge import Arrival, arrivals, most_in, most_open
from tests.support.product import wait_for
from tests.support.real_gateway import MESSAGES, RealGateway, running_gateway

LASTS_S = float(os.environ.get("OMNIROUTE_EXACTNESS_S", "16"))
SEED = int(os.environ.get("OMNIROUTE_EXACTNESS_SEED", "1"))
pytestmark = [pytest.mark.process, pytest.mark.timeout(LASTS_S + 150)]

WORKERS, CALLERS = 4, 10
KILL_EVERY_S = (0.8, 2.5)
LIVES_S = 6.5
"""A worker that dies younger than 5.5 s is a crash loop to granian, which then ends all of them."""
SLOW_MACHINE_S = 40.0
"""So much longer the load goes on where it takes its time to reach the limits."""
RELEASED_WITHIN_S = 15.0

RPM, TPM, MOST_OPEN, BUDGET_USD = 60, 1200, 3, 0.0015
NANO_INPUT, NANO_OUTPUT = 1000, 2000
SLOT_RPM, SLOT_GAP_S, SLOT_OPEN = 50, 0.2, 2
KEYS: dict[str, dict[str, Any]] = {
    "rpm": {"rpm": RPM},
    "tpm": {"tpm": TPM},
    "open": {"concurrency": MOST_OPEN},
    "money": {"budget": {"usd": BUDGET_USD, "period": "monthly"}},
    "every": {"rpm": 40, "tpm": 900, "concurrency": 2, "budget": {"usd": 0.001, "period": "total"}},
    "free": {},
}
NODES: dict[str, dict[str, Any]] = {
    "plain": {},
    "paced": {"rpm": SLOT_RPM},
    "gapped": {"min_gap_ms": int(SLOT_GAP_S * 1000)},
    "narrow": {"max_concurrency": SLOT_OPEN},
}
MOST_TOKENS = 50
"""Of one request, reservation included."""
LATE_S = 1.0
"""From its admission to its arrival a request may need so long on a busy machine: windows are judged so much shorter."""


def secret(key: str) -> str:
    return f"sk-or-exactness-key-{key}"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with running_gateway(tmp_path_factory.mktemp("exact"), OMNIROUTE_WORKERS=str(WORKERS)) as running:
        running.fake.requests = deque(maxlen=500_000)
        config = json.loads(running.config.read_text())
        base = {"dialect": "openai_chat", "base_url": running.fake.base_url, "allow_private": True}
        config["nodes"] += [{"id": name, "prefix": name, **base} for name in NODES]
        config["connections"] += [
            {"provider": name, "name": name, "api_key": f"sk-node-{name}", **limits} for name, limits in NODES.items()
        ]
        config["keys"] += [{"name": name, "secret": secret(name), **limits} for name, limits in KEYS.items()]
        config["prices"] = [
            {"model": f"{name}/*", "input": NANO_INPUT / 1000, "output": NANO_OUTPUT / 1000} for name in NODES
        ]
        config["settings"]["waiting"] = {"max_wait_s": 0.5}
        running.reload(json.dumps(config))
        wait_for(
            lambda: running.chat("plain/m1", key=secret("free")).status_code == 200, 10, lambda: running.product.errors
        )
        time.sleep(1.0)  # every worker has the new configuration
        yield running


@dataclass(slots=True)
class Load:
    """Callers that ask at random, each request on a connection of its own, so any worker may get it."""

    port: int
    chance: random.Random
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    must_stop: bool = False

    def has_reached_all_limits(self) -> bool:
        return all(self.answers[key, 429] for key, limits in KEYS.items() if limits)

    async def caller(self) -> None:
        while not self.must_stop:
            key, node = self.chance.choice(list(KEYS)), self.chance.choice(list(NODES))
            if key != "free":
                node = "plain" if self.chance.random() < 0.8 else node
            status = 0
            with suppress(OSError, asyncio.IncompleteReadError, TimeoutError, ValueError):
                status = await self._ask(key, node)
            self.answers[key, status] += 1
            await asyncio.sleep(self.chance.uniform(0.005, 0.06))

    async def _ask(self, key: str, node: str) -> int:
        """The status; 0 when the connection broke."""
        said = {"key": key, "chunks": self.chance.randint(1, 9), "gap": self.chance.choice((0, 0, 0.03, 0.15))}
        stream = self.chance.random() < 0.6
        body = json.dumps(
            {"model": f"{node}/m1", "messages": MESSAGES, "stream": stream, "max_tokens": 12, "user": json.dumps(said)}
        ).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                b"Authorization: Bearer %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (secret(key).encode(), len(body), body)
            )
            async with asyncio.timeout(20):
                answer = await reader.read(-1)
            return int(answer.split(b" ", 2)[1])
        except IndexError:
            return 0
        finally:
            writer.close()


async def kill_at_random(gateway: RealGateway, load: Load, chance: random.Random) -> int:
    """SIGKILL to one worker after another, and until every limit has been reached. Returns how many."""
    until = time.monotonic() + LASTS_S
    at_most = until + SLOW_MACHINE_S
    born: dict[int, float] = {}
    killed = 0
    while (now := time.monotonic()) < until or (now < at_most and not load.has_reached_all_limits()):
        await asyncio.sleep(chance.uniform(*KILL_EVERY_S))
        pids = await asyncio.to_thread(gateway.product.workers)
        born = {pid: born.get(pid, now if killed else 0.0) for pid in pids}
        grown = [pid for pid in pids if born[pid] < time.monotonic() - LIVES_S]
        if grown:
            with suppress(ProcessLookupError):
                os.kill(chance.choice(grown), signal.SIGKILL)
                killed += 1
    return killed


def decided_locally(gateway: RealGateway) -> int:
    """Admissions that had no answer within 50 ms, as happens on a busy machine: a worker's own share decided them."""
    return int(gateway.product.metrics().get('omniroute_redis_errors_total{operation="take"}', 0))


def state(gateway: RealGateway) -> "redis.Redis":
    return redis.Redis(unix_socket_path=str(gateway.product.data_dir / "run" / "valkey.sock"))


def held(gateway: RealGateway) -> dict[str, int]:
    """What still counts as open, by key of the shared state: places and slots, and money held, of workers in time."""
    found: dict[str, int] = {}
    with closing(state(gateway)) as client:
        for kind, unit in (("open", 1), ("money", 1), ("slots:open", 1000)):
            for name in client.scan_iter(f"{redis_keys.SCHEMA}:{kind}:*"):
                fields = {key.decode(): int(value) for key, value in client.hgetall(name).items()}
                now = client.time()[0] * unit
                live = sum(
                    count
                    for who, count in fields.items()
                    if who.startswith("c:") and fields.get("u:" + who[2:], 0) > now
                )
                if live:
                    found[name.decode()] = live
    return found


def charged(gateway: RealGateway, period: str) -> int:
    """Nano-dollars of the one counter of that kind: spent, and held by those who died."""
    with closing(state(gateway)) as client:
        (name,) = client.scan_iter(f"{redis_keys.SCHEMA}:money:*:{period}*")
        fields: dict[bytes, bytes] = client.hgetall(name)
        return sum(int(value) for key, value in fields.items() if not key.startswith(b"u:"))


def cost(asked: Arrival) -> int:
    return asked.tokens * NANO_INPUT + asked.output * (NANO_OUTPUT - NANO_INPUT)


async def test_no_limit_is_passed_while_workers_are_killed(gateway: RealGateway) -> None:
    chance = random.Random(SEED)
    mark, load = gateway.mark, Load(gateway.product.port, chance)
    callers = [asyncio.create_task(load.caller()) for _ in range(CALLERS)]
    killed = await kill_at_random(gateway, load, chance)
    last_kill_at = time.monotonic()
    load.must_stop = True
    await asyncio.gather(*callers)

    await asyncio.to_thread(
        wait_for, lambda: not held(gateway), RELEASED_WITHIN_S + 2, lambda: f"still held: {held(gateway)}"
    )
    released_s = time.monotonic() - last_kill_at
    seen = arrivals(gateway.seen(mark))
    print(f"killed={killed} asked={load.answers.total()} arrived={len(seen)} released_s={released_s:.1f}")
    print(dict(sorted(load.answers.items())))
    late = decided_locally(gateway)
    print(f"decided locally: {late}")
    window_s = 60 - LATE_S
    for name, limits in KEYS.items():
        of_key = [one for one in seen if one.key == name]
        tokens = most_in(window_s, of_key, lambda one: one.tokens)
        money = sum(cost(one) for one in of_key)
        print(f"{name}: {most_in(window_s, of_key)} a minute, {tokens} tokens, {most_open(of_key)} open, {money} nano")
        assert most_in(window_s, of_key) <= limits.get("rpm", 1 << 60) + late
        assert tokens <= limits.get("tpm", 1 << 60) + late * MOST_TOKENS
        assert most_open(of_key) <= limits.get("concurrency", 1 << 60) + late
        assert money <= limits.get("budget", {"usd": 1e9})["usd"] * 1e9
        assert load.answers[name, 429] > 0 or not limits, f"{name} was never at its limit"
    assert most_in(60, [one for one in seen if one.key == "rpm"]) > RPM * 0.8, "a killed worker takes a few with it"
    for name in NODES:
        there = [one for one in seen if one.connection == f"sk-node-{name}"]
        print(f"{name}: {most_in(window_s, there)} a minute, {most_open(there)} open, {len(there)} in all")
        assert len(there) > 5
    assert most_in(window_s, [one for one in seen if one.connection == "sk-node-paced"]) <= SLOT_RPM
    assert most_open(one for one in seen if one.connection == "sk-node-narrow") <= SLOT_OPEN
    gapped = [one.at for one in seen if one.connection == "sk-node-gapped"]
    assert len(gapped) - 1 <= (gapped[-1] - gapped[0] + LATE_S) / SLOT_GAP_S
    assert killed >= LASTS_S / 5
    for name, period in (("money", "monthly"), ("every", "total")):
        used = sum(cost(one) for one in seen if one.key == name)
        counted = charged(gateway, period)
        print(f"{name}: {used} nano-dollars were used, {counted} are charged")
        assert used <= counted <= KEYS[name]["budget"]["usd"] * 1e9, "also what killed workers had under way"
