"""No limit is passed, by one request or one token, while workers are killed with SIGKILL under random load.

The judge is the provider, with what the callers know (`support/judge.py`). Once with the workers of one `serve`, once with
four `omniroute gateway` on the same Valkey. `make check` runs it for a short time, less than a minute, so all of it is one window;
`make test-exactness` runs it for OMNIROUTE_EXACTNESS_S seconds.
"""

import asyncio
import itertools
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import redis

from gateway.state import keys as redis_keys
from tests.support.counters import live, money
from tests.support.judge import Arrival, Sent, arrivals, least_gap, most_in, most_open
from tests.support.product import REAL, Product, products, wait_for
from tests.support.real_gateway import MESSAGES, RealGateway, running_gateway

LASTS_S = float(os.environ.get("OMNIROUTE_EXACTNESS_S", "16"))
SEED = int(os.environ.get("OMNIROUTE_EXACTNESS_SEED", "1"))
pytestmark = [pytest.mark.process, pytest.mark.timeout(LASTS_S + 600)]

WORKERS, CALLERS = 4, 10
REDIS_BUDGET_MS = "15000"
"""On a busy machine too no worker goes on without Valkey's answer, which would not be exact: nothing here is decided alone."""
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
    "money": {"budget": [{"usd": BUDGET_USD, "period": "monthly"}, {"usd": BUDGET_USD * 1.2, "period": "weekly"}]},
    "every": {"rpm": 40, "tpm": 900, "concurrency": 2, "budget": {"usd": 0.001, "period": "total"}},
    "free": {},
}
NODES: dict[str, dict[str, Any]] = {
    "plain": {},
    "paced": {"rpm": SLOT_RPM},
    "gapped": {"min_gap_ms": int(SLOT_GAP_S * 1000)},
    "narrow": {"max_concurrency": SLOT_OPEN},
}
TOLERANCE_S = 0.001
"""Of gaps: Valkey's scripts count whole milliseconds."""


def secret(key: str) -> str:
    return f"sk-or-exactness-key-{key}"


@dataclass(frozen=True, slots=True)
class Cluster:
    """The product with its Valkey, and whose workers serve: its own, or those of gateways beside it."""

    home: RealGateway
    serving: Sequence[Product]

    def workers(self) -> list[int]:
        return [pid for product in self.serving for pid in product.workers()]

    def decided_alone(self) -> int:
        """Requests that a worker admitted, or sent to a connection, by its own share of the limits."""
        counted = [product.metrics() for product in self.serving]
        names = [f'omniroute_redis_errors_total{{operation="{name}"}}' for name in ("take", "take_slot")]
        return int(sum(one.get(name, 0) for one in counted for name in names))


@pytest.fixture(scope="module", params=["one_serve", "four_gateways"])
def cluster(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("exact")
    beside = 4 if request.param == "four_gateways" else 0
    workers = {"OMNIROUTE_WORKERS": "1" if beside else str(WORKERS), "OMNIROUTE_REDIS_BUDGET_MS": REDIS_BUDGET_MS}
    with ExitStack() as stack:
        home = stack.enter_context(running_gateway(folder, **workers))
        make = stack.enter_context(products())
        home.fake.keep_requests(500_000)
        kept = json.loads((home.product.data_dir / "secrets.json").read_text())
        shared = {name.upper(): kept[name] for name in ("api_key_secret", "storage_encryption_key")}
        shared["REDIS_URL"] = f"unix://{home.product.data_dir}/run/valkey.sock"
        gateways = [make(folder / f"beside{n}", REAL, role="gateway", **workers, **shared) for n in range(beside)]
        for gateway in gateways:
            gateway.wait_ready()
        home.reload(json.dumps(with_limits(json.loads(home.config.read_text()), home.fake.base_url)))
        cluster = Cluster(home, gateways or [home.product])
        for product in cluster.serving:
            wait_for(lambda product=product: serves(product), 10, lambda product=product: product.errors)
        home.wait_taken_up(*gateways)
        yield cluster


def with_limits(config: dict[str, Any], base_url: str) -> dict[str, Any]:
    base = {"dialect": "openai_chat", "base_url": base_url, "allow_private": True}
    config["nodes"] += [{"id": name, "prefix": name, **base} for name in NODES]
    config["connections"] += [
        {"provider": name, "name": name, "api_key": f"sk-node-{name}", **limits} for name, limits in NODES.items()
    ]
    config["keys"] += [{"name": name, "secret": secret(name), **limits} for name, limits in KEYS.items()]
    config["prices"] = [
        {"model": f"{name}/*", "input": NANO_INPUT / 1000, "output": NANO_OUTPUT / 1000} for name in NODES
    ]
    config["settings"]["waiting"] = {"max_wait_s": 0.5}
    return config


def serves(product: Product) -> bool:
    body = {"model": "plain/m1", "messages": MESSAGES}
    headers = {"authorization": f"Bearer {secret('free')}"}
    with suppress(httpx.HTTPError):
        return httpx.post(f"{product.url}/v1/chat/completions", json=body, headers=headers, timeout=60).is_success
    return False


@dataclass(slots=True)
class Load:
    """Callers that ask at random, each request on a connection of its own, so any worker may get it."""

    ports: Sequence[int]
    chance: random.Random
    sent: dict[str, Sent] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=itertools.count)
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
        name = f"{next(self.numbers):07d}"
        said = {
            "id": name,
            "key": key,
            "chunks": self.chance.randint(1, 9),
            "gap": self.chance.choice((0, 0, 0.03, 0.15)),
        }
        stream = self.chance.random() < 0.6
        body = json.dumps(
            {"model": f"{node}/m1", "messages": MESSAGES, "stream": stream, "max_tokens": 12, "user": json.dumps(said)}
        ).encode()
        sent = self.sent[name] = Sent(time.time())
        reader, writer = await asyncio.open_connection("127.0.0.1", self.chance.choice(self.ports))
        try:
            writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                b"Authorization: Bearer %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (secret(key).encode(), len(body), body)
            )
            async with asyncio.timeout(60):
                answer = await reader.read(-1)
            return int(answer.split(b" ", 2)[1])
        except IndexError:
            return 0
        finally:
            sent.ended = time.monotonic()
            writer.close()


async def kill_at_random(cluster: Cluster, load: Load, chance: random.Random) -> int:
    """SIGKILL to one worker after another, and until every limit has been reached. Returns how many."""
    until = time.monotonic() + LASTS_S
    at_most = until + SLOW_MACHINE_S
    born: dict[int, float] = {}
    killed = 0
    while (now := time.monotonic()) < until or (now < at_most and not load.has_reached_all_limits()):
        await asyncio.sleep(chance.uniform(*KILL_EVERY_S))
        pids = await asyncio.to_thread(cluster.workers)
        born = {pid: born.get(pid, now if killed else 0.0) for pid in pids}
        grown = [pid for pid in pids if born[pid] < time.monotonic() - LIVES_S]
        if grown:
            with suppress(ProcessLookupError):
                os.kill(chance.choice(grown), signal.SIGKILL)
                killed += 1
    return killed


def state(gateway: RealGateway) -> "redis.Redis":
    return redis.Redis(unix_socket_path=str(gateway.product.data_dir / "run" / "valkey.sock"))


def held(gateway: RealGateway) -> dict[str, int]:
    """What still counts as open, by key of the shared state: places and slots, and money held, of workers in time."""
    found: dict[str, int] = {}
    with closing(state(gateway)) as client:
        now = client.time()[0]
        for kind in ("limits", "money"):
            for name in client.scan_iter(f"{redis_keys.SCHEMA}:{kind}:*"):
                found[name.decode()] = live(client.hgetall(name), now)
        for name in client.scan_iter(f"{redis_keys.SCHEMA}:slots:open:*"):
            fields = {key.decode(): int(value) for key, value in client.hgetall(name).items()}
            found[name.decode()] = sum(
                count
                for who, count in fields.items()
                if who.startswith("c:") and fields.get("u:" + who[2:], 0) > now * 1000
            )
    return {name: count for name, count in found.items() if count}


def charged(gateway: RealGateway, period: str) -> int:
    """Nano-dollars of the one counter of that kind: spent, and held by those who died."""
    with closing(state(gateway)) as client:
        (name,) = client.scan_iter(f"{redis_keys.SCHEMA}:money:*:{period}*")
        counter = money(client, name.decode())
        return counter.spent + sum(counter.by_worker.values()) + sum(counter.dead.values())


def cost(asked: Arrival) -> int:
    return asked.tokens * NANO_INPUT + asked.output * (NANO_OUTPUT - NANO_INPUT)


async def test_no_limit_is_passed_while_workers_are_killed(cluster: Cluster) -> None:
    chance, gateway = random.Random(SEED), cluster.home
    mark, load = gateway.mark, Load([product.port for product in cluster.serving], chance)
    callers = [asyncio.create_task(load.caller()) for _ in range(CALLERS)]
    killed = await kill_at_random(cluster, load, chance)
    last_kill_at = time.monotonic()
    load.must_stop = True
    await asyncio.gather(*callers)

    await asyncio.to_thread(
        wait_for, lambda: not held(gateway), RELEASED_WITHIN_S + 2, lambda: f"still held: {held(gateway)}"
    )
    released_s = time.monotonic() - last_kill_at
    seen = arrivals(gateway.seen(mark), load.sent)
    print(f"killed={killed} asked={load.answers.total()} arrived={len(seen)} released_s={released_s:.1f}")
    print(dict(sorted(load.answers.items())))
    assert killed >= LASTS_S / 5
    assert cluster.decided_alone() == 0, "Valkey was up all the time"
    assert len({one.id for one in seen}) == len(seen), "a request that is sent once arrives once"
    for name, limits in KEYS.items():
        judge_key(name, limits, [one for one in seen if one.key == name])
        assert load.answers[name, 429] > 0 or not limits, f"{name} was never at its limit"
    assert most_in(60, [one for one in seen if one.key == "rpm"]) > RPM * 0.8, "a killed worker takes a few with it"
    for name, limits in NODES.items():
        judge_connection(name, limits, [one for one in seen if one.connection == f"sk-node-{name}"])
    for name, period in (("money", "monthly"), ("money", "weekly"), ("every", "total")):
        used = sum(cost(one) for one in seen if one.key == name)
        counted = charged(gateway, period)
        print(f"{name}: {used} nano-dollars were used, {counted} are charged")
        assert used <= counted <= most_money(KEYS[name]), "also what killed workers had under way"


def judge_key(name: str, limits: dict[str, Any], asked: list[Arrival]) -> None:
    if not limits:
        return
    requests, tokens = most_in(60, asked), most_in(60, asked, lambda one: one.tokens)
    opened, money = most_open(asked), sum(cost(one) for one in asked)
    print(f"{name}: {requests} a minute, {tokens} tokens, {opened} open, {money} nano, {len(asked)} in all")
    assert requests <= limits.get("rpm", float("inf"))
    assert tokens <= limits.get("tpm", float("inf"))
    assert opened <= limits.get("concurrency", float("inf"))
    assert money <= most_money(limits)


def most_money(limits: dict[str, Any]) -> float:
    """Nano-dollars of the least of its budgets."""
    given = limits.get("budget", [])
    budgets = given if isinstance(given, list) else [given]
    return min((one["usd"] * 1e9 for one in budgets), default=float("inf"))


def judge_connection(name: str, limits: dict[str, Any], asked: list[Arrival]) -> None:
    assert len(asked) > 5
    if not limits:
        return
    requests, opened, gap_s = most_in(60, asked), most_open(asked), least_gap(asked)
    print(f"{name}: {requests} a minute, {opened} open, gaps of {gap_s:.3f} s, {len(asked)} in all")
    assert requests <= limits.get("rpm", float("inf"))
    assert opened <= limits.get("max_concurrency", float("inf"))
    assert gap_s > limits.get("min_gap_ms", 0) / 1000 - TOLERANCE_S
