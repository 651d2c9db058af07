"""What limits and routing cost: `python -m loadtests.limits`. CPU µs, the best of some rounds.

take + settle: of a worker's thread, and of Valkey's process, for a key with no limit, with one and with all, while three
other workers hold places of the same key; without what the load itself costs, its tasks and records. plan: for a combo of 10 models with 20 connections each, two of which rest.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import uvloop

from gateway.config.snapshot import Resilience, RoutingSettings
from gateway.domain.caller import Caller
from gateway.domain.record import RequestRecord
from gateway.domain.target import Target
from gateway.domain.usage import Usage
from gateway.relay.classify import of_status
from gateway.relay.standing import Standing
from gateway.routing.plan import lay_plan
from gateway.routing.resolve import resolve
from gateway.routing.strategies import ACCOUNT_STRATEGIES, COMBO_STRATEGIES
from gateway.state import keys
from gateway.state.holds import Hold, Holds
from gateway.state.keyring import Keyring
from gateway.state.resp import RespClient
from gateway.state.rests import Rests
from gateway.state.spool import Spool
from gateway.telemetry.metrics import Metrics
from tests.support.catalogs import catalog, combo, connection
from tests.support.counters import counts_of
from tests.support.real_valkey import RealValkey

TRIPS, AT_ONCE, ROUNDS = 4_000, 8, 6
PLANS = 400
NEVER_REACHED = 10**9
LIMITS: dict[str, dict[str, object]] = {
    "none": {},
    "rpm": {"rpm": NEVER_REACHED},
    "all": {
        "rpm": NEVER_REACHED,
        "tpm": NEVER_REACHED * 100,
        "concurrency": 1_000,
        "budget_nano_usd": NEVER_REACHED**2 // 1_000,
        "budget_period": "monthly",
    },
}


async def measure_trips() -> None:
    with RealValkey() as server, tempfile.TemporaryDirectory() as folder, server.client() as sync:
        sync.hset(keys.key("d"), mapping={"v": 1, "e": "x"})
        until = int(time.time()) + keys.OPEN_TTL_S
        sync.hset(keys.key_limits("d"), mapping=counts_of(*[(other * 32, 3, until) for other in "abc"]))
        redis = RespClient(server.url, budget_s=5.0)
        redis.start()
        while not redis.is_up:
            await asyncio.sleep(0.01)
        for name, limits in LIMITS.items():
            holds = Holds(
                redis, Keyring(redis, b"p"), Spool(Path(folder), "w" * 32), "w" * 32, Metrics(), time.monotonic
            )
            caller = Caller(key_id="k", key_name="n", digest="d", version=1, **limits)  # type: ignore[arg-type]
            rounds = []
            for number in range(ROUNDS):
                sync.delete(keys.RECORDS)
                load_us = await _of_the_worker(_no_trip)
                valkey = server.cpu_us()
                worker_us = await _of_the_worker(partial(_trip, holds, caller, f"{number}-"))
                rounds.append((worker_us - load_us, (server.cpu_us() - valkey) / TRIPS))
            worker_us, valkey_us = (min(column) for column in zip(*rounds, strict=True))
            print(f"take + settle, limits: {name:5} worker {worker_us:5.1f}  valkey {valkey_us:5.1f}")
        await redis.close()


async def _of_the_worker(trip: Callable[[str], Awaitable[None]]) -> float:
    """CPU µs a trip, of this thread, with eight at once."""
    worker = time.thread_time()
    for first in range(0, TRIPS, AT_ONCE):
        await asyncio.gather(*[trip(str(first + i)) for i in range(AT_ONCE)])
    return (time.thread_time() - worker) * 1e6 / TRIPS


async def _no_trip(name: str) -> None:
    _record(name)


async def _trip(holds: Holds, caller: Caller, round_: str, name: str) -> None:
    record = _record(round_ + name)
    hold = await holds.take(caller, record, reserve_tokens=100, reserve_nano_usd=5_000)
    assert isinstance(hold, Hold)
    await holds.settle(record, hold)


def _record(name: str) -> RequestRecord:
    return RequestRecord(
        id=f"{name:>032}",
        at=1_790_000_000.0,
        worker="w" * 32,
        endpoint="/v1/chat/completions",
        dialect="openai_chat",
        requested_model="local/m1",
        usage=Usage(input=10, output=5),
        cost_nano_usd=1_000,
    )


async def measure_plans() -> None:
    connections = [connection(f"p{i}", f"{j:02}") for i in range(10) for j in range(20)]
    models = [f"p{i}/m" for i in range(10)]
    tables = catalog(*connections, combos=[combo(name, *models, strategy=name) for name in COMBO_STRATEGIES])
    rests = Rests(RespClient("unix:///tmp/nobody"), "w", time.monotonic, Resilience)
    for resting in (connections[3], connections[47]):
        await rests.report(Target(resting, "m"), of_status(429, {"retry-after": "600"}, b"", is_limited_by_model=False))
    view = Standing(rests)
    chance, turns = random.Random(1), iter(range(10**9))
    for name in COMBO_STRATEGIES:
        resolution, row = resolve(name, tables), []
        for accounts in ACCOUNT_STRATEGIES:
            settings = RoutingSettings(account_strategy=accounts)  # type: ignore[arg-type]

            def plan(resolution=resolution, settings=settings) -> None:  # type: ignore[no-untyped-def]
                lay_plan(
                    resolution, tables, chance.random(), settings=settings, view=view, tickets=lambda *_: next(turns)
                )

            row.append(f"{accounts} {_best(plan):.0f}")
        print(f"plan, {name}: {', '.join(row)}")


def _best(act: Callable[[], None]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.thread_time()
        for _ in range(PLANS):
            act()
        best = min(best, (time.thread_time() - began) / PLANS * 1e6)
    return best


if __name__ == "__main__":
    uvloop.run(measure_trips())
    uvloop.run(measure_plans())
