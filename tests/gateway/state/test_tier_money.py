"""What a tier's requests cost is counted once, over all workers, whatever is lost, told twice or emptied on the way."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from redis import Redis

from gateway.domain.budget import TierBudget, period_of
from gateway.state import keys
from gateway.state.resp import RespClient, Script
from gateway.state.tier_money import TierMoney
from tests.gateway.state.conftest import until
from tests.support.real_valkey import RealValkey

USD = 1_000_000_000
DAILY = {"api-key": TierBudget(10.0, "daily"), "cheap": TierBudget(1.0, "total")}


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


async def tiers_of(connect: Any, url: str, worker: str, clock: Clock | None = None, budgets: Any = None) -> TierMoney:
    tiers = TierMoney(
        await connect(url, budget_s=5.0), worker, lambda: DAILY if budgets is None else budgets, clock or Clock()
    )
    await tiers.refresh()
    return tiers


def spend(tiers: TierMoney, usd: float, tier: str = "api-key") -> None:
    tiers.spend(tier, round(usd * USD), time.time())


async def test_what_one_worker_spends_the_others_know(valkey: RealValkey, connect: Any) -> None:
    one, two = [await tiers_of(connect, valkey.url, name) for name in ("w1", "w2")]
    spend(one, 6.0)
    spend(two, 3.0)
    assert not one.is_spent("api-key")
    for tiers in (one, two, one):
        await tiers.refresh()
    assert one.spent_usd()["api-key"] == two.spent_usd()["api-key"] == 9.0
    spend(two, 1.0)
    assert two.is_spent("api-key"), "at once where it was spent"
    await asyncio.sleep(0.05)  # it was told in the write of that tick
    await one.refresh()
    assert one.is_spent("api-key")
    assert not one.is_spent("cheap")


async def test_every_nano_dollar_counts_once_when_workers_race(valkey: RealValkey, connect: Any) -> None:
    clock = Clock()
    workers = [await tiers_of(connect, valkey.url, f"w{number}", clock) for number in range(4)]

    async def work(tiers: TierMoney, nano_usd: int) -> None:
        for turn in range(200):
            tiers.spend("api-key", nano_usd, clock.now)
            if turn % 7 == 0:
                await tiers.refresh()
            await asyncio.sleep(0)

    await asyncio.gather(*(work(tiers, number + 1) for number, tiers in enumerate(workers)))
    for tiers in workers * 2:
        await tiers.refresh()
    total = 200 * (1 + 2 + 3 + 4)
    assert [round(tiers.spent_usd()["api-key"] * USD) for tiers in workers] == [total] * 4


async def test_telling_twice_counts_once(valkey: RealValkey, sync: Redis) -> None:
    name = keys.tier_money("cheap", "total")
    script = Script("tell_spent").text
    for _ in range(3):
        assert sync.eval(script, 1, name, "w1", 500, 0, 0, 0) == [b"500"]
    assert sync.eval(script, 1, name, "w2", 70, 0, 500, 0) == [b"570"]
    assert sync.eval(script, 1, name, "w1", 400, 500, 500, 0) == [b"570"], "an older sum takes nothing away"


async def test_without_redis_a_worker_goes_by_what_it_knows_and_tells_it_later(
    own_valkey: RealValkey, connect: Any
) -> None:
    one, two = [await tiers_of(connect, own_valkey.url, name) for name in ("w1", "w2")]
    spend(one, 4.0)
    for tiers in (one, two):
        await tiers.refresh()
    own_valkey.freeze()
    spend(two, 5.0)
    await asyncio.sleep(0.01)
    assert two.spent_usd()["api-key"] == 9.0
    spend(two, 1.0)
    assert two.is_spent("api-key")
    own_valkey.thaw()
    await two.refresh()
    await one.refresh()
    assert one.spent_usd()["api-key"] == 10.0


async def test_an_emptied_server_is_told_what_the_workers_know(own_valkey: RealValkey, connect: Any) -> None:
    one, two, idle = [await tiers_of(connect, own_valkey.url, name) for name in ("w1", "w2", "w3")]
    spend(one, 4.0)
    spend(two, 3.0)
    for tiers in (one, two, idle, one, two):
        await tiers.refresh()
    own_valkey.kill()
    spend(two, 0.5)
    await until(lambda: not any(tiers._redis.is_up for tiers in (one, two, idle)), 5.0)
    own_valkey.start()
    await until(lambda: all(tiers._redis.is_up for tiers in (one, two, idle)), 5.0)
    for tiers in (idle, two, one, two, idle):
        await tiers.refresh()
    assert [tiers.spent_usd()["api-key"] for tiers in (one, two, idle)] == [7.5] * 3


async def test_a_new_period_begins_with_nothing_and_late_requests_are_charged_to_theirs(
    valkey: RealValkey, sync: Redis, connect: Any
) -> None:
    clock = Clock()
    midnight = period_of("daily", clock.now).ends_at
    clock.now = midnight - 10
    tiers = await tiers_of(connect, valkey.url, "w1", clock)
    tiers.spend("api-key", 12 * USD, clock.now)
    await tiers.refresh()
    assert tiers.is_spent("api-key")
    clock.now = midnight + 10
    await tiers.refresh()
    assert not tiers.is_spent("api-key")
    tiers.spend("api-key", 2 * USD, midnight - 5)
    tiers.spend("api-key", 3 * USD, clock.now)
    await tiers.refresh()
    assert tiers.spent_usd()["api-key"] == 3.0
    days = [f"daily-{datetime.fromtimestamp(at, UTC):%Y-%m-%d}" for at in (midnight - 5, midnight + 5)]
    spent = [sync.hget(keys.tier_money("api-key", day), "spent") for day in days]
    assert spent == [b"%d" % (14 * USD), b"%d" % (3 * USD)]
    clock.now = midnight + keys.PERIOD_SLACK_S + 1
    await tiers.refresh()
    assert len(tiers) == 2, "the day that is over is forgotten; the other tier's total is not"


async def test_a_counter_lives_as_long_as_its_period(valkey: RealValkey, sync: Redis, connect: Any) -> None:
    tiers = await tiers_of(connect, valkey.url, "w1")
    spend(tiers, 1.0)
    spend(tiers, 0.5, "cheap")
    await tiers.refresh()
    today = keys.tier_money("api-key", period_of("daily", time.time()).name)
    assert 0 < sync.ttl(today) <= 86_400 + keys.PERIOD_SLACK_S
    assert sync.ttl(keys.tier_money("cheap", "total")) == -1


async def test_a_counter_forgets_workers_that_told_nothing_for_long_but_not_what_they_spent(
    valkey: RealValkey, sync: Redis
) -> None:
    name, script = keys.tier_money("cheap", "total"), Script("tell_spent").text
    sync.hset(name, mapping={f"w:gone{number}": f"5 {int(time.time()) - 7200}" for number in range(1200)})
    sync.hset(name, "spent", 6000)
    assert sync.eval(script, 1, name, "w1", 7, 0, 6000, 0) == [b"6007"]
    assert sync.hlen(name) == 2
    assert sync.eval(script, 1, name, "gone3", 9, 5, 6007, 0) == [b"6011"], "only what it has not told before is added"


async def test_budgets_that_are_set_or_taken_away_count_from_then_on(valkey: RealValkey, connect: Any) -> None:
    budgets: dict[str, TierBudget] = {}
    tiers = await tiers_of(connect, valkey.url, "w1", budgets=budgets)
    spend(tiers, 5.0)
    assert not tiers.has_budgets
    assert tiers.spent_usd() == {}
    budgets["api-key"] = TierBudget(1.0)
    await tiers.refresh()
    spend(tiers, 1.0)
    assert tiers.is_spent("api-key")
    del budgets["api-key"]
    await tiers.refresh()
    assert not tiers.is_spent("api-key")


async def test_a_server_that_never_came_up_stops_nothing() -> None:
    tiers = TierMoney(RespClient("unix:///tmp/no-such-server.sock"), "w", lambda: DAILY)
    await tiers.refresh()
    spend(tiers, 11.0)
    await asyncio.sleep(0)
    assert tiers.is_spent("api-key")
    assert tiers.spent_usd()["api-key"] == pytest.approx(11.0)
