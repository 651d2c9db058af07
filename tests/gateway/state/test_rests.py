"""Two workers' view of what rests, on a real server that may restart, freeze or forget."""

import asyncio
import random
import time
from typing import Any

import msgspec
import pytest
from redis import Redis

from gateway.domain.outcome import Outcome, Scope
from gateway.domain.rest import Resilience, Rest
from gateway.domain.target import Target
from gateway.state import keys
from gateway.state.resp import RespClient
from gateway.state.rests import MAX_RESTS, Rests
from tests.gateway.state.conftest import until
from tests.support.catalogs import target
from tests.support.real_valkey import RealValkey

QUICK = Resilience(open_s=0.1, open_max_s=0.4, ramp_s=0.2, failures=3, connect_failures=2, window_s=5.0)
ONE, TWO, OTHER_MODEL = target("a"), target("b"), target("a", "m2")


def outcome(name: str = "server_error", cools: Scope = "breaker", retry_after_s: float | None = None) -> Outcome:
    return Outcome(name, cools, "next", 502, "upstream", retry_after_s=retry_after_s)


RATE_LIMITED = outcome("rate_limited", "connection")
UNREACHABLE = outcome("unreachable", "connection")
AUTH = outcome("auth", "connection")


class Worker:
    """A worker's Rests. `ahead_s` is added to its clock, `luck` decides ramps."""

    def __init__(self, redis: RespClient, name: str, rules: Resilience = QUICK) -> None:
        self.redis, self.ahead_s, self.luck = redis, 0.0, 0.0
        self.rests = Rests(redis, name, lambda: time.monotonic() + self.ahead_s, lambda: rules, lambda: self.luck)

    def rest(self, one: Target = ONE) -> Rest | None:
        return self.rests.is_resting(one.connection, one.model)

    async def fail(self, times: int = 1, one: Target = ONE, how: Outcome | None = None, **more: Any) -> None:
        for _ in range(times):
            await self.rests.report(one, how or outcome(), **more)

    async def due(self, one: Target = ONE) -> None:
        await until(lambda: (rest := self.rest(one)) is None or rest.may_probe)


@pytest.fixture
async def pair(valkey: RealValkey, connect: Any) -> tuple[Worker, Worker]:
    return Worker(await connect(valkey.url, budget_s=2.0), "w1"), Worker(await connect(valkey.url, budget_s=2.0), "w2")


@pytest.fixture
def one(pair: tuple[Worker, Worker]) -> Worker:
    return pair[0]


class TestWhatRests:
    async def test_a_healthy_target_costs_no_trip(self, one: Worker, sync: Redis) -> None:
        before = sync.info("commandstats")
        for _ in range(100):
            assert one.rest() is None
            one.rests.succeeded(ONE)
        await asyncio.sleep(0.01)
        assert sync.info("commandstats").get("cmdstat_evalsha") == before.get("cmdstat_evalsha")

    @pytest.mark.parametrize("name", ["caller_error", "draining", "unsupported"])
    async def test_what_is_nobodys_fault_makes_nothing_rest(self, one: Worker, name: str) -> None:
        await one.fail(20, how=outcome(name, "nothing"))
        assert one.rest() is None
        assert one.rests.resting == 0

    async def test_retry_after_is_obeyed_exactly(self, one: Worker) -> None:
        await one.fail(how=outcome("rate_limited", "connection", 12.5))
        rest = one.rest()
        assert rest is not None
        assert (rest.kind, rest.why) == ("cooldown", "rate_limited")
        assert 12.3 < rest.left_s <= 12.5
        assert rest.until == pytest.approx(time.monotonic() + 12.5, abs=0.2)

    async def test_retry_after_is_bounded_by_the_setting(self, one: Worker) -> None:
        await one.fail(how=outcome("rate_limited", "connection", 1e9))
        rest = one.rest()
        assert rest is not None
        assert 3_599 < rest.left_s <= 3_600

    async def test_a_provider_that_limits_by_model_rests_for_that_model_only(self, one: Worker) -> None:
        await one.fail(how=outcome("rate_limited", "connection_model", 9.0))
        assert one.rest() is not None
        assert one.rest(OTHER_MODEL) is None
        assert one.rest(TWO) is None

    async def test_an_unknown_model_leaves_the_connection_alone(self, one: Worker) -> None:
        await one.fail(how=outcome("unknown_model", "connection_model"))
        assert one.rest() is not None
        assert one.rest(OTHER_MODEL) is None

    async def test_a_limit_without_a_hint_rests_longer_each_time_until_it_goes_well(
        self, valkey: Any, connect: Any
    ) -> None:
        rules = msgspec.structs.replace(QUICK, cooldown_s=0.04)
        one = Worker(await connect(valkey.url), "w1", rules)
        spans = []
        for _ in range(4):
            await one.fail(how=RATE_LIMITED)
            rest = one.rest()
            assert rest is not None
            spans.append(rest.left_s)
            await until(lambda: one.rest() is None)
        assert spans == sorted(spans)
        assert 0.28 < spans[-1] <= 0.32
        one.rests.succeeded(ONE)
        await one.fail(how=RATE_LIMITED)
        rest = one.rest()
        assert rest is not None
        assert rest.left_s <= 0.04

    async def test_a_wrong_key_rests_a_minute_and_then_one_may_probe(self, one: Worker) -> None:
        await one.fail(how=AUTH)
        rest = one.rest(OTHER_MODEL)
        assert rest is not None
        assert 59 < rest.left_s <= 60
        assert (rest.kind, rest.why, rest.may_probe) == ("breaker", "auth", False)

    async def test_a_used_up_quota_rests_until_its_reset(self, one: Worker) -> None:
        await one.fail(how=outcome("quota", "connection", 7_643.0))
        rest = one.rest()
        assert rest is not None
        assert 7_642 < rest.left_s <= 7_643
        await one.fail(one=TWO, how=outcome("quota", "connection"))
        unsaid = one.rest(TWO)
        assert unsaid is not None
        assert (unsaid.kind, round(unsaid.left_s)) == ("breaker", 300)

    async def test_so_many_failures_open_the_breaker_of_that_model_only(self, one: Worker) -> None:
        await one.fail(2)
        assert one.rest() is None
        await one.fail()
        rest = one.rest()
        assert rest is not None
        assert (rest.kind, rest.why, rest.may_probe) == ("breaker", "server_error", False)
        assert one.rest(OTHER_MODEL) is None

    async def test_a_server_error_that_says_when_to_return_is_obeyed(self, one: Worker) -> None:
        await one.fail(how=outcome(retry_after_s=4.0))
        rest = one.rest()
        assert rest is not None
        assert 3.8 < rest.left_s <= 4.0

    async def test_a_few_errors_in_much_traffic_open_nothing(self, one: Worker) -> None:
        for _ in range(20):
            for _ in range(50):
                one.rests.succeeded(ONE)
            await one.fail()
        assert one.rest() is None

    async def test_two_connections_that_cannot_be_reached_rest_the_provider(self, one: Worker) -> None:
        third = target("c")
        await one.fail(2, ONE, UNREACHABLE)
        assert one.rest(OTHER_MODEL) is not None
        assert one.rest(third) is None
        await one.fail(2, TWO, UNREACHABLE)
        rest = one.rest(third)
        assert rest is not None
        assert rest.why == "unreachable"
        assert one.rest(target("z", provider="other")) is None

    async def test_a_proxy_that_cannot_be_reached_is_not_the_providers_fault(self, one: Worker) -> None:
        for name in "ab":
            await one.fail(2, target(name, proxy="socks5://127.0.0.1:1"), UNREACHABLE)
        assert one.rest() is not None
        assert one.rest(target("c")) is None


class TestProbes:
    async def test_two_workers_that_race_get_one_probe(self, pair: tuple[Worker, Worker]) -> None:
        one, two = pair
        for _ in range(10):
            await one.fail(3)
            await two.rests.refresh()
            await asyncio.gather(one.due(), two.due())
            claims = await asyncio.gather(*[worker.rests.claim(ONE) for worker in pair * 20])
            won = [claim for claim in claims if claim is not None]
            assert len(won) == 1
            one.rests.succeeded(ONE, probe=won[0])
            await asyncio.sleep(0.01)

    async def test_no_history_of_races_ever_has_two_probes_under_way(self, valkey: RealValkey, connect: Any) -> None:
        """Sixteen callers in two workers: open, probe, close, fail again, for a second and a half."""
        rules = msgspec.structs.replace(QUICK, open_s=0.01, open_max_s=0.05)
        pair = [Worker(await connect(valkey.url, budget_s=2.0), name, rules) for name in ("w1", "w2")]
        chance, under_way, probes, ends_at = random.Random(1), 0, 0, time.monotonic() + 1.5

        async def ask(worker: Worker) -> None:
            nonlocal under_way, probes
            while time.monotonic() < ends_at:
                rest = worker.rest()
                probe = await worker.rests.claim(ONE) if rest is not None and rest.may_probe else None
                if probe is not None and probe.fields:
                    assert under_way == 0
                    under_way, probes = 1, probes + 1
                    await asyncio.sleep(chance.random() / 50)
                    under_way = 0
                    match chance.choice(("well", "badly", "nothing")):
                        case "well":
                            worker.rests.succeeded(ONE, probe=probe)
                        case "badly":
                            await worker.fail(probe=probe)
                        case _:
                            worker.rests.release(probe)
                elif rest is None:
                    await worker.fail()
                await asyncio.sleep(chance.random() / 100)

        async def compare(worker: Worker) -> None:
            while time.monotonic() < ends_at:
                await worker.rests.refresh()
                await asyncio.sleep(0.005)

        await asyncio.gather(*[ask(worker) for worker in pair for _ in range(8)], *map(compare, pair))
        assert probes > 5

    async def test_who_comes_late_for_a_probe_that_went_well_has_none(self, pair: tuple[Worker, Worker]) -> None:
        """Two that claim then may go both: the breaker is closed. They hold no probe that could end another's."""
        one, two = pair
        await one.fail(3)
        await two.rests.refresh()
        await asyncio.gather(one.due(), two.due())
        first = await one.rests.claim(ONE)
        assert first is not None
        assert first.fields
        one.rests.succeeded(ONE, probe=first)
        late = [await worker.rests.claim(ONE) for worker in pair]
        assert [claim is not None and claim.fields for claim in late] == [(), ()]

    async def test_while_one_probes_the_others_see_it(self, pair: tuple[Worker, Worker]) -> None:
        one, two = pair
        await one.fail(3)
        await one.due()
        assert await one.rests.claim(ONE) is not None
        await two.rests.refresh()
        rest = two.rest()
        assert rest is not None
        assert not rest.may_probe
        assert 25 < rest.left_s <= 30

    async def test_success_closes_with_a_ramp(self, one: Worker) -> None:
        await one.fail(3)
        await one.due()
        probe = await one.rests.claim(ONE)
        assert probe is not None
        one.rests.succeeded(ONE, probe=probe)
        one.luck = 0.0
        assert one.rest() is None
        one.luck = 0.99
        rest = one.rest()
        assert rest is not None
        assert rest.is_ramping
        one.luck = 0.6
        assert one.rest() is not None
        await asyncio.sleep(0.16)
        assert one.rest() is None, "the share has risen"
        one.luck = 0.999
        await until(lambda: one.rest() is None)

    async def test_failure_opens_again_for_longer(self, one: Worker) -> None:
        await one.fail(3)
        for span in (0.2, 0.4, 0.4):
            await one.due()
            probe = await one.rests.claim(ONE)
            assert probe is not None
            await one.fail(probe=probe)
            rest = one.rest()
            assert rest is not None
            assert span - 0.05 < rest.left_s <= span

    async def test_a_probe_given_back_is_free_at_once(self, pair: tuple[Worker, Worker]) -> None:
        one, two = pair
        await one.fail(3)
        await one.due()
        probe = await one.rests.claim(ONE)
        assert probe is not None
        assert await two.rests.claim(ONE) is None
        one.rests.release(probe)
        await one.redis.call("PING")
        assert await two.rests.claim(ONE) is not None

    async def test_a_probe_that_fails_for_another_cause_proves_what_it_can(self, one: Worker) -> None:
        """It was reached, so the connection's breaker closes; that it has its own trouble is that breaker's matter."""
        await one.fail(2, ONE, UNREACHABLE)
        await one.due()
        probe = await one.rests.claim(ONE)
        assert probe is not None
        await one.fail(probe=probe)
        assert one.rest() is None

    async def test_the_providers_probe_closes_provider_and_connection(self, one: Worker) -> None:
        for which in (ONE, TWO):
            await one.fail(2, which, UNREACHABLE)
        await one.due()
        probe = await one.rests.claim(ONE)
        assert probe is not None
        assert await one.rests.claim(TWO) is None
        one.rests.succeeded(ONE, probe=probe)
        one.luck = 0.0
        assert one.rest() is None
        assert one.rest(target("c")) is None
        rest = one.rest(TWO)
        assert rest is not None
        assert rest.may_probe, "whether it is back is for its own probe to say"

    async def test_flapping_is_probed_once_an_opening(self, one: Worker) -> None:
        """Up for one request, then down: attempts are bounded by openings, which come further apart."""
        asked, until_s = 0, time.monotonic() + 1.5
        while time.monotonic() < until_s:
            rest = one.rest()
            if rest is not None and rest.may_probe:
                probe = await one.rests.claim(ONE)
                asked += probe is not None
                if probe is not None:
                    one.rests.succeeded(ONE, probe=probe)
            elif rest is None:
                asked += 1
                await one.fail()
            await asyncio.sleep(0.001)
        assert asked <= 3 + 6 * 4


class TestSpreading:
    async def test_news_tell_the_other_worker_at_once(self, pair: tuple[Worker, Worker], sync: Redis) -> None:
        one, two = pair
        news = sync.pubsub()
        news.subscribe(keys.NEWS)
        await two.rests.refresh()
        await one.fail(3)
        messages = _messages(news)
        assert all(message.startswith(b"rest:") for message in messages)
        for message in messages:
            two.rests.heard(message)
        assert two.rest() is not None
        for message in messages:
            one.rests.heard(message.decode().removeprefix("rest:"))
        assert one.rest() is not None

    async def test_lost_news_heal_with_the_next_comparison(self, pair: tuple[Worker, Worker]) -> None:
        one, two = pair
        await two.rests.refresh()
        await one.fail(how=outcome("rate_limited", "connection", 30.0))
        assert two.rest() is None
        await two.rests.refresh()
        assert two.rest() is not None

    async def test_who_heard_all_reads_no_table(self, pair: tuple[Worker, Worker], sync: Redis) -> None:
        one, two = pair
        news = sync.pubsub()
        news.subscribe(keys.NEWS)
        await one.fail(how=outcome("rate_limited", "connection", 30.0))
        await two.rests.refresh()
        await one.fail(one=TWO, how=outcome("rate_limited", "connection", 30.0))
        for message in _messages(news):
            two.rests.heard(message)
        await two.rests.refresh()
        reads = sync.info("commandstats").get("cmdstat_hgetall", {}).get("calls", 0)
        await two.rests.refresh()
        assert sync.info("commandstats").get("cmdstat_hgetall", {}).get("calls", 0) == reads
        assert two.rest(TWO) is not None

    async def test_old_news_undo_nothing(self, pair: tuple[Worker, Worker], sync: Redis) -> None:
        one, two = pair
        news = sync.pubsub()
        news.subscribe(keys.NEWS)
        await one.fail(how=outcome("rate_limited", "connection", 5.0))
        await one.fail(how=outcome("rate_limited", "connection", 50.0))
        for message in reversed(_messages(news)):
            two.rests.heard(message)
        await two.rests.refresh()
        rest = two.rest()
        assert rest is not None
        assert rest.left_s > 40

    @pytest.mark.parametrize("message", [b"", b"rest:", b"rest:{}", b'rest:{"now":1,"v":"x"}', "rest:[1]", b"\xff"])
    async def test_news_that_are_none_are_ignored(self, one: Worker, message: str | bytes) -> None:
        await one.fail(how=outcome("rate_limited", "connection", 5.0))
        one.rests.heard(message)
        await one.rests.refresh()
        assert one.rest() is not None

    async def test_a_longer_cooldown_of_either_worker_wins(self, pair: tuple[Worker, Worker]) -> None:
        spans = [3.0, 40.0, 7.0, 1.0, 39.0, 2.0]
        await asyncio.gather(
            *[pair[n % 2].fail(how=outcome("rate_limited", "connection", span)) for n, span in enumerate(spans)]
        )
        for worker in pair:
            await worker.rests.refresh()
            rest = worker.rest()
            assert rest is not None
            assert 39.5 < rest.left_s <= 40

    async def test_failures_of_all_workers_count_together(self, pair: tuple[Worker, Worker]) -> None:
        one, two = pair
        await one.fail()
        await two.fail()
        assert one.rest() is None
        await asyncio.gather(one.fail(4), two.fail(4))
        for worker in pair:
            await worker.rests.refresh()
            rest = worker.rest()
            assert rest is not None
            assert rest.left_s <= 0.1, "opened once, however many failed at once"


class TestRedisAway:
    async def test_breakers_and_cooldowns_go_on_alone(self) -> None:
        one = Worker(RespClient("unix:///tmp/no-such-server.sock"), "w1")
        await one.fail(3)
        assert one.rest() is not None
        await one.fail(one=TWO, how=outcome("rate_limited", "connection", 9.0))
        rest = one.rest(TWO)
        assert rest is not None
        assert 8.8 < rest.left_s <= 9.0
        await one.due()
        probe = await one.rests.claim(ONE)
        assert probe is not None
        assert await one.rests.claim(ONE) is None
        one.rests.succeeded(ONE, probe=probe)
        one.luck = 0.0
        assert one.rest() is None
        await one.rests.refresh()

    async def test_what_was_decided_alone_is_brought_and_the_longer_wins(
        self, own_valkey: RealValkey, connect: Any
    ) -> None:
        one, two = [Worker(await connect(own_valkey.url), f"w{n}") for n in (1, 2)]
        own_valkey.kill()
        await until(lambda: not one.redis.is_up and not two.redis.is_up)
        for worker, spans in ((one, (50.0, 5.0)), (two, (20.0, 30.0))):
            for which, span in zip((ONE, TWO), spans, strict=True):
                await worker.fail(one=which, how=outcome("rate_limited", "connection", span))
        own_valkey.start()
        await until(lambda: one.redis.is_up and two.redis.is_up, within=5.0)
        for worker in (one, two, one, two):
            await worker.rests.refresh()
        for worker in (one, two):
            ends = [rest.left_s for which in (ONE, TWO) if (rest := worker.rest(which))]
            assert ends[0] == pytest.approx(50, abs=3)
            assert ends[1] == pytest.approx(30, abs=3)

    async def test_a_server_that_restarted_empty_is_told_what_the_workers_know(
        self, own_valkey: RealValkey, connect: Any
    ) -> None:
        one, fresh = [Worker(await connect(own_valkey.url), f"w{n}") for n in (1, 2)]
        await one.fail(how=outcome("rate_limited", "connection", 60.0))
        await one.rests.refresh()
        own_valkey.kill()
        await until(lambda: not one.redis.is_up and not fresh.redis.is_up)
        own_valkey.start()
        await until(lambda: one.redis.is_up and fresh.redis.is_up, within=5.0)
        await one.rests.refresh()
        await fresh.rests.refresh()
        rest = fresh.rest()
        assert rest is not None
        assert 50 < rest.left_s <= 60

    async def test_a_server_that_was_emptied_is_told_too(self, pair: tuple[Worker, Worker], sync: Redis) -> None:
        one, two = pair
        await one.fail(how=outcome("rate_limited", "connection", 60.0))
        await one.rests.refresh()
        sync.flushall()
        await one.rests.refresh()
        assert one.rest() is not None
        await one.rests.refresh()
        await two.rests.refresh()
        assert two.rest() is not None

    async def test_a_frozen_server_delays_a_report_by_the_budget_only(
        self, own_valkey: RealValkey, connect: Any
    ) -> None:
        one = Worker(await connect(own_valkey.url), "w1")
        await one.rests.refresh()
        own_valkey.freeze()
        try:
            began = time.monotonic()
            await one.fail(how=outcome("rate_limited", "connection", 60.0))
            assert time.monotonic() - began < 20
            assert one.rest() is not None
        finally:
            own_valkey.thaw()

    async def test_a_server_that_lost_its_scripts_is_told_of_a_success_all_the_same(
        self, valkey: RealValkey, connect: Any, sync: Redis
    ) -> None:
        one = Worker(await connect(valkey.url), "w1", msgspec.structs.replace(QUICK, cooldown_s=0.02))
        await one.fail(how=RATE_LIMITED)
        await until(lambda: one.rest() is None)
        sync.script_flush()
        one.rests.succeeded(ONE)
        await until(lambda: sync.hlen(keys.RESTS) == 0)


class TestClocks:
    async def test_the_workers_clock_may_stand_anywhere(self, pair: tuple[Worker, Worker]) -> None:
        one, two = pair
        two.ahead_s = 1e6
        await one.fail(how=outcome("rate_limited", "connection", 30.0))
        await two.rests.refresh()
        rest = two.rest()
        assert rest is not None
        assert 29 < rest.left_s <= 30
        assert rest.until == pytest.approx(time.monotonic() + 1e6 + 30, abs=1)

    async def test_decided_before_the_first_word_of_redis_it_keeps_its_time(self, valkey: RealValkey) -> None:
        redis = RespClient(valkey.url)
        one = Worker(redis, "w1")
        await one.fail(how=outcome("rate_limited", "connection", 30.0))
        redis.start()
        try:
            await until(lambda: redis.is_up)
            for _ in range(2):
                await one.rests.refresh()
                rest = one.rest()
                assert rest is not None
                assert 28 < rest.left_s <= 30
        finally:
            await redis.close()


class TestBounds:
    async def test_ten_thousand_resting_targets_are_all_there_are(
        self, pair: tuple[Worker, Worker], sync: Redis
    ) -> None:
        one, two = pair
        for first in range(0, MAX_RESTS + 500, 500):  # fewer than may time out together on a busy machine
            await asyncio.gather(
                *[
                    one.rests.report(
                        target("a", f"m{n}"), outcome("rate_limited", "connection_model", 3_600.0 + n / 100)
                    )
                    for n in range(first, first + 500)
                ]
            )
        assert sync.hlen(keys.RESTS) == sync.zcard(keys.RESTS_ENDS) == MAX_RESTS
        assert one.rests.resting <= MAX_RESTS
        await two.rests.refresh()
        assert two.rests.resting == MAX_RESTS
        assert two.rest(target("a", f"m{MAX_RESTS}")) is not None
        assert sync.memory_usage(keys.RESTS) < 4_000_000

    async def test_reading_a_full_table_leaves_the_loop_its_turns(
        self, pair: tuple[Worker, Worker], sync: Redis
    ) -> None:
        one, two = pair
        for first in range(0, 3_000, 500):
            limited = [outcome("rate_limited", "connection_model", 60.0)] * 500
            await asyncio.gather(
                *[one.rests.report(target("a", f"m{first + n}"), each) for n, each in enumerate(limited)]
            )
        gaps: list[float] = []
        stop = asyncio.Event()
        watch = asyncio.get_running_loop().create_task(_measure_gaps(gaps, stop))
        await two.rests.refresh()
        stop.set()
        await watch
        assert len(gaps) > 5

    async def test_alone_the_worker_keeps_as_many(self) -> None:
        one = Worker(RespClient("unix:///tmp/no-such-server.sock"), "w1")
        for n in range(MAX_RESTS + 100):
            await one.fail(one=target("a", f"m{n}"), how=outcome("rate_limited", "connection_model", 60.0))
        assert one.rests.resting == MAX_RESTS

    async def test_what_is_over_is_let_go(self, one: Worker) -> None:
        await one.fail(2)
        await one.fail(one=TWO, how=outcome("rate_limited", "connection", 0.05))
        assert (one.rests.resting, one.rests.failing) == (1, 1)
        one.ahead_s = 20.0
        await one.rests.refresh()
        await asyncio.sleep(0.06)
        await one.rests.refresh()
        assert one.rests.resting == 0


async def _measure_gaps(gaps: list[float], stop: asyncio.Event) -> None:
    while not stop.is_set():
        began = time.monotonic()
        await asyncio.sleep(0)
        gaps.append(time.monotonic() - began)


def _messages(news: Any) -> list[bytes]:
    found = []
    while (message := news.get_message(timeout=0.2)) is not None:
        if message["type"] == "message":
            found.append(message["data"])
    return found
