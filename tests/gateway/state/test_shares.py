"""What `Holds` promises of a key's limits: told well, kept while Redis is away, charged when it is back, never leaked."""

import asyncio
import json
from pathlib import Path
from typing import Any, get_args

import pytest
from redis import Redis

from gateway.domain.budget import period_of
from gateway.domain.caller import Caller
from gateway.domain.dialect import CallerDialect
from gateway.domain.errors import OverLimit, Unavailable
from gateway.domain.usage import Usage
from gateway.edge.rescue import rescue
from gateway.state import keys
from gateway.state.holds import NO_HOLD, Hold
from gateway.state.local_limits import MAX_KEYS, LocalLimits
from gateway.state.resp import RespClient, Script
from tests.gateway.state.conftest import until
from tests.gateway.state.test_holds import Bench, record
from tests.gateway.state.test_keyring import DIGEST, SECRET, publish
from tests.support.counters import counted, money
from tests.support.real_valkey import RealValkey

DAY = 86_400
NOON = 1_790_000_000 - 1_790_000_000 % DAY + DAY // 2
MONEY = keys.key_money(DIGEST, period_of("daily", NOON).name)
LIMITS = keys.key_limits(DIGEST)
BUDGET: dict[str, Any] = {"budget_nano_usd": 1000, "budget_period": "daily"}


def used(name: str, tokens: int, cost: int = 0, **more: Any) -> Any:
    return record(name, usage=Usage(input=tokens, **more), cost_nano_usd=cost)


def spent_and_held(sync: Redis, name: str) -> tuple[int, int]:
    found = money(sync, name)
    return found.spent, found.held


def caller_with(**limits: Any) -> Caller:
    return Caller(key_id="k1", key_name="ci", digest=DIGEST, version=1, **limits)


def make_bench(redis: RespClient, folder: Path) -> Bench:
    """With a clock that stands at noon."""
    bench = Bench(redis, folder)
    bench.wall = lambda: NOON
    return bench


@pytest.fixture
async def bench(valkey: RealValkey, connect: Any, tmp_path: Path) -> Bench:
    return make_bench(await connect(valkey.url), tmp_path)


@pytest.fixture
async def lonely(tmp_path: Path) -> Bench:
    return make_bench(RespClient("unix:///tmp/no-such-server.sock"), tmp_path)


async def taken(bench: Bench, caller: Caller, name: str, tokens: int = 0, money: int = 0) -> Hold:
    hold = await bench.holds.take(caller, record(name), reserve_tokens=tokens, reserve_nano_usd=money)
    assert isinstance(hold, Hold)
    return hold


class TestExact:
    async def test_tokens_are_reserved_and_set_right(self, bench: Bench, sync: Redis) -> None:
        publish(sync, tpm=1000)
        caller = await bench.keyring.identify(SECRET)
        hold = await taken(bench, caller, "r1", tokens=900)
        with pytest.raises(OverLimit) as error:
            await taken(bench, caller, "r2", tokens=200)
        assert (error.value.limit, error.value.most, error.value.code) == ("tpm", 1000, "rate_limit_exceeded")
        assert 59 <= (error.value.retry_after_s or 0) <= 61
        await bench.holds.settle(used("r1", 100, output=50), hold)
        assert counted(sync, LIMITS).tokens == 150
        assert isinstance(await taken(bench, caller, "r2", tokens=850), Hold)

    @pytest.mark.parametrize(("share", "tokens"), [(1.0, 100), (0.0, 40), (0.5, 70)])
    async def test_cached_tokens_count_as_the_setting_says(
        self, bench: Bench, sync: Redis, share: float, tokens: int
    ) -> None:
        publish(sync, tpm=1000)
        bench.holds.cached_share = share
        hold = await taken(bench, await bench.keyring.identify(SECRET), "r1", tokens=900)
        await bench.holds.settle(used("r1", 90, output=10, cache_read=60), hold)
        assert counted(sync, LIMITS).tokens == tokens

    async def test_money_is_held_and_spent_in_the_period_of_the_take(self, bench: Bench, sync: Redis) -> None:
        publish(sync, **BUDGET)
        caller = await bench.keyring.identify(SECRET)
        hold = await taken(bench, caller, "r1", money=900)
        with pytest.raises(OverLimit) as error:
            await taken(bench, caller, "r2", money=200)
        assert (error.value.code, error.value.retry_after_s) == ("budget_exceeded", 1.0), "it is only held"
        bench.wall = lambda: NOON + DAY / 2 + 60
        await bench.holds.settle(used("r1", 1, cost=950), hold)
        assert spent_and_held(sync, MONEY) == (950, 0)
        assert isinstance(await taken(bench, caller, "tomorrow", money=900), Hold)
        bench.wall = lambda: NOON
        with pytest.raises(OverLimit) as error:
            await taken(bench, caller, "r3", money=51)
        assert error.value.retry_after_s == DAY / 2, "when the period ends"
        assert "$0.000001 a day" in error.value.message

    async def test_of_two_budgets_each_has_its_period(self, bench: Bench, sync: Redis) -> None:
        publish(sync, **BUDGET, second_budget_nano_usd=1500, second_budget_period="monthly")
        monthly = keys.key_money(DIGEST, period_of("monthly", NOON).name)
        caller = await bench.keyring.identify(SECRET)
        hold = await taken(bench, caller, "r1", money=900)
        assert [money(sync, name).held for name in (MONEY, monthly)] == [900, 900]
        await bench.holds.renew_open()
        assert [money(sync, name).held for name in (MONEY, monthly)] == [900, 900]
        await bench.holds.settle(used("r1", 1, cost=950), hold)
        assert (sync.hget(MONEY, "spent"), sync.hget(monthly, "spent")) == (b"950", b"950")
        assert bench.holds.held_money == {}
        bench.wall = lambda: NOON + DAY
        with pytest.raises(OverLimit) as error:
            await taken(bench, caller, "r2", money=600)
        assert "a month" in error.value.message, "the day is new, the month is not"
        assert error.value.retry_after_s == period_of("monthly", NOON).ends_at - NOON - DAY
        hold = await taken(bench, caller, "r3", money=550)
        await bench.holds.settle(used("r3", 1, cost=10), hold)
        assert sync.hget(monthly, "spent") == b"960"
        assert 0 < sync.ttl(keys.key_money(DIGEST, period_of("daily", NOON + DAY).name)) < sync.ttl(monthly)

    async def test_each_of_two_budgets_is_told_from_where_its_operator_wants_it(
        self, bench: Bench, sync: Redis
    ) -> None:
        second = {
            "second_budget_nano_usd": 10**10,
            "second_budget_period": "monthly",
            "second_warn_nano_usd": 5 * 10**9,
        }
        publish(sync, budget_nano_usd=10**10, budget_period="daily", warn_nano_usd=2 * 10**9, **second)
        caller = await bench.keyring.identify(SECRET)
        told = [(await taken(bench, caller, f"r{n}", money=10**9 + n)).budget_warning for n in range(6)]
        assert told[0] == b""
        assert told[1] == b"2.0000 of 10.0000 USD daily"
        assert told[5] == b"6.0000 of 10.0000 USD daily, 6.0000 of 10.0000 USD monthly"

    async def test_a_settlement_that_did_not_arrive_is_charged_to_both_budgets(self, bench: Bench, sync: Redis) -> None:
        publish(sync, **BUDGET, second_budget_nano_usd=1500, second_budget_period="total")
        hold = await taken(bench, await bench.keyring.identify(SECRET), "r1", money=900)
        names, arguments = bench.holds._settling("r1", hold, 0, 5)
        await bench.redis.run(Script("settle"), names, arguments)
        assert [sync.hget(name, "spent") for name in (MONEY, keys.key_money(DIGEST, "total"))] == [b"5", b"5"]

    async def test_a_budget_for_all_time_has_no_lifetime_and_no_hour_to_come_back(
        self, bench: Bench, sync: Redis
    ) -> None:
        publish(sync, budget_nano_usd=5, budget_period="total")
        caller = await bench.keyring.identify(SECRET)
        hold = await taken(bench, caller, "r1", money=5)
        await bench.holds.settle(used("r1", 1, cost=5), hold)
        assert sync.ttl(keys.key_money(DIGEST, "total")) == -1
        with pytest.raises(OverLimit) as error:
            await taken(bench, caller, "r2")
        assert error.value.retry_after_s is None

    async def test_a_period_s_counter_goes_soon_after_its_end(self, bench: Bench, sync: Redis) -> None:
        publish(sync, **BUDGET)
        await taken(bench, await bench.keyring.identify(SECRET), "r1")
        assert DAY // 2 + 3590 <= sync.ttl(MONEY) <= DAY // 2 + 3600

    async def test_settling_twice_gives_back_and_charges_once(self, bench: Bench, sync: Redis) -> None:
        publish(sync, tpm=1000, concurrency=5, **BUDGET)
        caller = await bench.keyring.identify(SECRET)
        hold = await taken(bench, caller, "r1", 100, 100)
        await taken(bench, caller, "r2", 100, 100)
        for _ in range(3):
            await bench.holds.settle(used("r1", 30, cost=20), hold)
        assert spent_and_held(sync, MONEY) == (20, 100)
        assert counted(sync, LIMITS).tokens == 130
        assert counted(sync, LIMITS).open == 1

    async def test_renewing_writes_what_money_is_held(self, bench: Bench, sync: Redis) -> None:
        publish(sync, **BUDGET)
        caller = await bench.keyring.identify(SECRET)
        hold = await taken(bench, caller, "r1", money=300)
        sync.delete(MONEY)
        await bench.holds.renew_open()
        assert money(sync, MONEY).by_worker == {"w": 300}
        assert sync.ttl(MONEY) > DAY // 2
        assert sync.ttl(keys.held("w")) > 3000
        await bench.holds.settle(used("r1", 1), hold)
        assert bench.holds.held_money == {}

    async def test_a_caller_who_leaves_while_it_is_admitted_gives_all_back(
        self, own_valkey: RealValkey, connect: Any, tmp_path: Path
    ) -> None:
        bench = make_bench(await connect(own_valkey.url, budget_s=5.0), tmp_path)
        with own_valkey.client() as sync:
            publish(sync, concurrency=1, tpm=100, **BUDGET)
            caller = await bench.keyring.identify(SECRET)
            await bench.holds.settle(record("r0"), await taken(bench, caller, "r0"))  # its scripts are known
            own_valkey.freeze()
            taking = asyncio.ensure_future(bench.holds.take(caller, record("r1"), reserve_tokens=100))
            await asyncio.sleep(0.02)
            taking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await taking
            own_valkey.thaw()
            assert isinstance(await taken(bench, caller, "r2", tokens=100), Hold)
            assert sync.hkeys(keys.held("w")) == [b"r2"]
            assert sync.hkeys(keys.inflight("w")) == [b"r2"]

    async def test_a_renewal_takes_nothing_away_from_a_take_that_is_under_way(self, bench: Bench, sync: Redis) -> None:
        publish(sync, concurrency=5, **BUDGET)
        caller = await bench.keyring.identify(SECRET)
        await taken(bench, caller, "r0", money=100)
        await asyncio.gather(taken(bench, caller, "r1", money=100), bench.holds.renew_open())
        assert (counted(sync, LIMITS).open, money(sync, MONEY).held) == (2, 200)

    async def test_a_renewal_does_not_count_a_take_under_way_that_is_refused(self, bench: Bench, sync: Redis) -> None:
        """A worker killed before its next renewal would leave what was refused as spent, and pass the budget."""
        publish(sync, concurrency=1, **BUDGET)
        caller = await bench.keyring.identify(SECRET)
        await taken(bench, caller, "r0", money=900)
        refused, _ = await asyncio.gather(
            taken(bench, caller, "r1", money=900), bench.holds.renew_open(), return_exceptions=True
        )
        assert isinstance(refused, OverLimit)
        assert (counted(sync, LIMITS).open, money(sync, MONEY).held) == (1, 900)
        assert bench.holds.asking == 0

    async def test_a_refused_take_is_not_counted_here(self, bench: Bench, sync: Redis) -> None:
        publish(sync, concurrency=1, **BUDGET)
        caller = await bench.keyring.identify(SECRET)
        await taken(bench, caller, "r0", money=100)
        with pytest.raises(OverLimit):
            await taken(bench, caller, "r1", money=100)
        assert bench.holds.open_by_key == {DIGEST: 1}
        assert [(held.requests, held.nano_usd) for held in bench.holds.held_money.values()] == [(1, 100)]


class TestGivenUp:
    async def frozen_take(self, bench: Bench, server: RealValkey, caller: Caller) -> Hold:
        await bench.holds.settle(record("r0"), await taken(bench, caller, "r0"))
        server.freeze()
        try:
            return await taken(bench, caller, "r1", 60, 60)
        finally:
            server.thaw()

    async def test_the_server_admitted_it_late_and_its_end_sets_all_right(
        self, own_valkey: RealValkey, connect: Any, tmp_path: Path
    ) -> None:
        bench = make_bench(await connect(own_valkey.url), tmp_path)
        with own_valkey.client() as sync:
            publish(sync, concurrency=5, tpm=100, rpm=5, **BUDGET)
            caller = await bench.keyring.identify(SECRET)
            hold = await self.frozen_take(bench, own_valkey, caller)
            await until(lambda: counted(sync, LIMITS).open == 1)
            assert (money(sync, MONEY).held, counted(sync, LIMITS).tokens) == (60, 60)
            await bench.holds.settle(used("r1", 70, cost=40), hold)
            assert spent_and_held(sync, MONEY) == (40, 0)
            assert counted(sync, LIMITS).tokens == 70
            assert counted(sync, LIMITS).open == 0
            assert counted(sync, LIMITS).requests == 2, "the server counted it; it is not charged again"
            assert sync.hlen(keys.held("w")) == sync.hlen(keys.inflight("w")) == 0

    async def test_a_strict_key_is_refused_and_takes_nothing(
        self, own_valkey: RealValkey, connect: Any, tmp_path: Path
    ) -> None:
        bench = make_bench(await connect(own_valkey.url), tmp_path)
        with own_valkey.client() as sync:
            publish(sync, is_strict=True, concurrency=1, tpm=100, **BUDGET)
            caller = await bench.keyring.identify(SECRET)
            with pytest.raises(Unavailable) as error:
                await self.frozen_take(bench, own_valkey, caller)
            assert (error.value.status, error.value.code) == (503, "limits_unavailable")
            assert error.value.retry_after_s
            await bench.holds.settle(record("r1"), NO_HOLD)
            assert isinstance(await taken(bench, caller, "r2", tokens=100, money=1000), Hold)
            assert sync.hkeys(keys.held("w")) == [b"r2"]


class TestAway:
    async def test_each_worker_admits_its_share(self, lonely: Bench) -> None:
        lonely.holds.live_workers = 4
        rpm = caller_with(rpm=10)
        assert [await taken(lonely, rpm, f"r{i}") for i in range(2)] == [Hold(DIGEST)] * 2
        with pytest.raises(OverLimit) as error:
            await taken(lonely, rpm, "r2")
        assert (error.value.most, error.value.retry_after_s) == (10, 61.0)
        lonely.now += 61
        assert isinstance(await taken(lonely, rpm, "r3"), Hold)

    async def test_tokens_and_open_requests_too(self, lonely: Bench) -> None:
        lonely.holds.live_workers = 2
        caller = caller_with(tpm=1000, concurrency=4)
        hold = await taken(lonely, caller, "r1", tokens=450)
        with pytest.raises(OverLimit):
            await taken(lonely, caller, "r2", tokens=100)
        await lonely.holds.settle(used("r1", 50), hold)
        await taken(lonely, caller, "r2", tokens=100)
        await taken(lonely, caller, "r3", tokens=100)
        with pytest.raises(OverLimit) as error:
            await taken(lonely, caller, "r4", tokens=1)
        assert error.value.limit == "concurrency"

    async def test_a_limit_smaller_than_the_workers_is_one_each(self, lonely: Bench) -> None:
        lonely.holds.live_workers = 100
        assert isinstance(await taken(lonely, caller_with(rpm=3, concurrency=3), "r1"), Hold)

    async def test_a_strict_key_is_refused_even_without_limits(self, lonely: Bench) -> None:
        with pytest.raises(Unavailable):
            await taken(lonely, caller_with(is_strict=True), "r1")

    async def test_keys_are_bounded(self) -> None:
        local = LocalLimits(lambda: 0.0)
        for number in range(MAX_KEYS + 10):
            local.admit(Caller("k", "k", f"d{number}", 1, rpm=1), 0, 0, owes=True)
        assert len(local) == MAX_KEYS

    async def test_what_ran_without_redis_is_charged_when_it_is_back(
        self, own_valkey: RealValkey, connect: Any, tmp_path: Path
    ) -> None:
        client = await connect(own_valkey.url)
        bench = make_bench(client, tmp_path)
        caller = caller_with(rpm=5, tpm=1000, concurrency=9, **BUDGET)
        own_valkey.kill()
        await until(lambda: not client.is_up)
        first, second = await taken(bench, caller, "r1", 100, 300), await taken(bench, caller, "r2", 100, 300)
        bench.now += 10
        open_one = await taken(bench, caller, "r3", 100, 300)
        await bench.holds.settle(used("r1", 40, cost=200), first)
        await bench.holds.settle(used("r2", 500, cost=100), second)
        assert (bench.holds.unsettled, bench.holds.local_keys) == (2, 1)
        own_valkey.start()
        with own_valkey.client() as sync:
            publish(sync, rpm=5, tpm=1000, concurrency=9, **BUDGET)
            await until(lambda: client.is_up)
            await bench.holds.renew_open()
            assert counted(sync, LIMITS).requests == 3
            assert counted(sync, LIMITS).tokens == 640
            assert spent_and_held(sync, MONEY) == (300, 300)
            assert counted(sync, LIMITS).open == 1
            assert bench.holds.unsettled == 0
            earlier, latest = sorted(counted(sync, LIMITS).seconds.items())
            assert (earlier[1], latest[1]) == ((2, 540), (1, 100)), "in the seconds in which they were admitted"
            assert 9 <= latest[0] - earlier[0] <= 11
            with pytest.raises(OverLimit):
                await taken(bench, caller, "r4", 361)
            await bench.holds.settle(used("r3", 100, cost=50), open_one)
            await bench.holds.renew_open()
            assert counted(sync, LIMITS).open == 0
            assert spent_and_held(sync, MONEY) == (350, 0)

    async def test_a_settlement_that_was_lost_is_made_once_redis_is_back(
        self, own_valkey: RealValkey, connect: Any, tmp_path: Path
    ) -> None:
        bench = make_bench(await connect(own_valkey.url), tmp_path)
        with own_valkey.client() as sync:
            publish(sync, concurrency=1, tpm=1000, **BUDGET)
            caller = await bench.keyring.identify(SECRET)
            hold = await taken(bench, caller, "r1", 500, 500)
            own_valkey.freeze()
            assert await bench.holds.settle(used("r1", 40, cost=30), hold) == "spool"
            own_valkey.thaw()
            assert bench.holds.unsettled == 1
            assert isinstance(await taken(bench, caller, "r2", 960, 970), Hold), "sent ahead of the next take"
            assert (money(sync, MONEY).spent, counted(sync, LIMITS).tokens) == (30, 1000)

    async def test_an_emptied_server_limits_here_and_charges_there(self, bench: Bench, sync: Redis) -> None:
        caller = caller_with(rpm=2, **BUDGET)
        hold = await taken(bench, caller, "r1", money=100)
        await taken(bench, caller, "r2")
        with pytest.raises(OverLimit):
            await taken(bench, caller, "r3")
        await bench.holds.settle(used("r1", 1, cost=70), hold)
        assert sync.hget(MONEY, "spent") == b"70"
        assert counted(sync, LIMITS).requests == 2
        publish(sync, rpm=2)
        with pytest.raises(OverLimit):
            await taken(bench, caller, "r4")


@pytest.mark.parametrize("dialect", get_args(CallerDialect))
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OverLimit("tpm", 5000, 12.0), "5000 tokens a minute"),
        (OverLimit("budget", 5_000_000_000, 7200.0, period="weekly"), "$5.00 a week"),
        (OverLimit("budget", 500_000, None, period="total"), "$0.0005 in all"),
    ],
)
def test_every_dialect_says_which_limit_and_when(dialect: CallerDialect, error: OverLimit, text: str) -> None:
    status, headers, body = rescue(error, dialect, "req-1")
    told = json.loads(body)
    message = told["error"] if dialect == "ollama" else told["error"]["message"]
    assert status == 429
    assert text in message
    wait = dict(headers).get(b"retry-after")
    assert wait == (None if error.retry_after_s is None else b"%d" % error.retry_after_s)
    if dialect.startswith("openai"):
        assert told["error"]["code"] == error.code
