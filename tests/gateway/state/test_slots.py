"""Limits of connections on a real server: exact for any number of workers that race, whatever they do or die."""

import asyncio
import random
from types import SimpleNamespace
from typing import Any

import pytest
from redis import Redis

from gateway.domain.target import Connection
from gateway.domain.waiting import Waiting
from gateway.state import keys
from gateway.state.resp import RespClient, Script
from gateway.state.slots import FREE, NoSlot, Slot, Slots
from gateway.state.told_limits import Hints
from tests.gateway.state.conftest import until
from tests.support.real_valkey import RealValkey

TAKE, LEAVE, RENEW = Script("take_slot"), Script("leave_slot"), Script("renew_slots")
START_MS = 1_700_000_000_000
AWAY = "unix:///tmp/no-such-server.sock"


def connection(name: str = "c", **limits: Any) -> Connection:
    return Connection(
        id=name, name=name, provider="p", prefix="p", dialect="openai_chat", paths={}, headers=(), **limits
    )


def hints(**told: float) -> Hints:
    names = [f"{what}_{which}" for what in ("requests", "tokens") for which in ("limit", "remaining", "reset_s")]
    return SimpleNamespace(**{name: told.get(name) for name in names})


def adaptive_limit(sync: Redis, name: str = "pace") -> float:
    value: Any = sync.hget(name, "a")
    return float(value or 0)


class Account:
    """A connection as the scripts see it; `take` and the others at a time of the test's choice, in ms from START_MS."""

    def __init__(
        self, client: RespClient, *, rpm: int = 0, gap: int = 0, most: int = 0, cap: int = 0, start: int = 0
    ) -> None:
        self.client, self.limits, self.adaptive = client, (rpm, gap, most), (cap, start)

    async def take(self, name: str, at: int = 0, worker: str = "w") -> Any:
        names = ("pace", "minute", "open", f"holds-{worker}")
        return await self.client.run(
            TAKE, names, (name, worker, *self.limits, *self.adaptive, keys.OPEN_TTL_S, START_MS + at)
        )

    async def leave(self, name: str, verdict: str = "", taken: int = 0, was_open: int = 1, at: int = 0) -> Any:
        arguments = (name, "w", verdict, START_MS + taken, was_open, *self.adaptive, START_MS + at)
        return await self.client.run(LEAVE, ("pace", "open", "holds-w"), arguments)

    async def renew(self, held: str, worker: str = "w", asked: str = "", charges: str = "", at: int = 0) -> Any:
        names = ("minute", "open", f"holds-{worker}")
        return await self.client.run(RENEW, names, (worker, keys.OPEN_TTL_S, held, asked, charges, START_MS + at))


@pytest.fixture
async def client(valkey: RealValkey, connect: Any) -> RespClient:
    made: RespClient = await connect(valkey.url, budget_s=5.0)
    return made


class TestScripts:
    @pytest.mark.parametrize("seed", range(6))
    async def test_no_rolling_minute_has_more_and_the_wait_is_when_the_next_is_given(
        self, client: RespClient, seed: int
    ) -> None:
        chance = random.Random(seed)
        rpm = chance.choice((1, 3, 17))
        account, admitted, now = Account(client, rpm=rpm), [], 0
        for number in range(300):
            now += chance.choice((0, 0, 0, 300, 700, 1000, 2500, 30_000, 61_000, 130_000)[: chance.choice((5, 8, 10))])
            answer = await account.take(f"r{number}", now)
            if answer[0] == 0:
                assert (await account.take(f"early{number}", now + answer[2] - 1))[0] == 0
                now += answer[2]
                assert (await account.take(f"r{number}", now))[0] == 1
            admitted.append(now)
            assert sum(at > now - 60_000 for at in admitted) <= rpm

    async def test_starts_keep_their_distance_and_the_wait_is_exact(self, client: RespClient) -> None:
        account = Account(client, gap=250)
        assert (await account.take("a", 0))[0] == 1
        assert await account.take("b", 100) == [0, b"gap", 150]
        assert (await account.take("b", 249))[0] == 0
        assert (await account.take("b", 250))[0] == 1

    async def test_a_clock_set_back_stops_nobody_for_longer_than_the_gap(self, client: RespClient) -> None:
        account = Account(client, gap=250, rpm=10)
        await account.take("a", 0)
        assert await account.take("b", -5_000) == [0, b"gap", 250]

    @pytest.mark.parametrize("back_s", [5, 3_600, 86_400])
    async def test_a_clock_set_back_frees_a_gap_a_minute_and_the_dead_in_their_own_time(
        self, client: RespClient, back_s: int
    ) -> None:
        gap, minute, slots = Account(client, gap=250), Account(client, rpm=3), Account(client, most=1)
        await gap.take("a", 0)
        now = -back_s * 1000
        assert await gap.take("b", now) == [0, b"gap", 250]
        assert (await gap.take("b", now + 250))[0] == 1, "it counts as of when the clock was seen set back"
        await client.call("FLUSHALL")
        await minute.take("a", 0)
        await minute.take("b", 0)
        assert (await minute.take("c", now))[0] == 1
        assert await minute.take("d", now + 1_000) == [0, b"rpm", 60_000]
        assert (await minute.take("d", now + 61_000))[0] == 1
        assert (await minute.take("e", now + 61_000))[0] == 1, "what was started before is over, too"
        await client.call("FLUSHALL")
        await slots.take("a", 0, worker="dead")
        assert (await slots.take("b", now))[0] == 0
        assert (await slots.take("b", now + keys.OPEN_TTL_S * 1000))[0] == 1

    async def test_the_longer_of_two_waits_is_told(self, client: RespClient) -> None:
        account = Account(client, gap=250, rpm=1)
        await account.take("a", 0)
        assert await account.take("b", 100) == [0, b"rpm", 60_900]

    async def test_a_limit_made_lower_counts_what_is_left_of_the_minute(self, client: RespClient) -> None:
        wide, narrow = Account(client, rpm=10), Account(client, rpm=2)
        for number in range(6):
            await wide.take(f"r{number}", number * 10_000)
        assert await narrow.take("x", 55_000) == [0, b"rpm", 46_000], "the second youngest must leave too"
        assert (await narrow.take("x", 75_000))[0] == 0
        assert (await narrow.take("x", 101_000))[0] == 1

    async def test_the_same_id_is_the_same_slot(self, client: RespClient, sync: Redis) -> None:
        account = Account(client, rpm=5, most=2)
        for _ in range(4):
            assert (await account.take("a"))[0] == 1
        assert (sync.hget("minute", "n"), sync.hget("open", "c:w")) == (b"1", b"1")
        assert [await account.leave("a") for _ in range(3)] == [1, 0, 0]
        assert sync.hgetall("open") == {}

    async def test_a_dead_workers_slots_are_free_15_s_after_it_last_renewed(
        self, client: RespClient, sync: Redis
    ) -> None:
        account = Account(client, most=2)
        await account.take("a", 0, "dead")
        await account.renew("a", "dead", at=5_000)
        await account.take("b", 6_000)
        assert (await account.take("c", 19_999))[0] == 0
        assert (await account.take("c", 20_000))[0] == 1
        assert sorted(sync.hkeys("open")) == [b"c:w", b"u:w"]

    async def test_a_stream_keeps_its_slot_for_as_long_as_it_runs(self, client: RespClient) -> None:
        account = Account(client, most=1)
        await account.take("long", 0)
        for at in range(5_000, 200_000, 5_000):
            await account.renew("long", at=at)
            assert (await account.take("more", at + 4_000))[0] == 0

    async def test_renewing_puts_right_what_the_server_has_lost_or_kept_too_much(
        self, client: RespClient, sync: Redis
    ) -> None:
        account = Account(client, most=9, rpm=9)
        for name in ("mine", "ghost", "asked"):
            await account.take(name)
        assert await account.renew("mine lost", asked="asked refused") == 3
        assert sync.smembers("holds-w") == {b"mine", b"lost", b"asked"}
        assert sync.hget("open", "c:w") == b"3"

    async def test_starts_of_the_time_without_redis_are_charged(self, client: RespClient) -> None:
        account = Account(client, rpm=10)
        await account.renew("", charges="3:4 10:4 61:9", at=0)
        assert [(await account.take(f"r{n}", 0))[0] for n in range(3)] == [1, 1, 0]
        assert [(await account.take(f"s{n}", 51_000))[0] for n in range(5)] == [1, 1, 1, 1, 0]

    async def test_memory_is_bounded_and_given_back(self, client: RespClient, sync: Redis) -> None:
        account = Account(client, rpm=10_000, most=10_000, gap=1)
        for number in range(300):
            await account.take(f"r{number}", number * 1000)
        assert sync.hlen("minute") <= 61 + 2
        for name in ("minute", "open", "holds-w", "pace"):
            assert 0 < sync.ttl(name) <= 3600


def test_what_the_scripts_change_together_shares_a_hash_tag() -> None:
    names = [keys.slot_pace("c"), keys.slot_minute("c"), keys.slot_open("c"), keys.slot_holds("c", "w")]
    assert len(set(names)) == 4
    assert all(name.startswith(f"{keys.SCHEMA}:") and "{p:c}" in name for name in names)


class TestRacingWorkers:
    async def test_open_requests_never_pass_the_limit(self, valkey: RealValkey, connect: Any) -> None:
        workers = [Slots(await connect(valkey.url, budget_s=5.0), f"w{n}", Waiting) for n in range(3)]
        where, running, most = connection(max_concurrency=7), 0, 0

        async def request(slots: Slots, name: str) -> None:
            nonlocal running, most
            while isinstance(taken := await slots.take(where, name), NoSlot):
                assert taken == NoSlot("concurrency")
                await asyncio.sleep(0.001)
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.002)
            running -= 1
            slots.leave(taken)

        await asyncio.gather(*[request(workers[n % 3], f"r{n}") for n in range(120)])
        assert most == 7
        assert [slots.open for slots in workers] == [0, 0, 0]

    async def test_a_minute_and_the_gap_are_shared(self, valkey: RealValkey, connect: Any) -> None:
        workers = [Slots(await connect(valkey.url, budget_s=5.0), f"w{n}", Waiting) for n in range(3)]

        async def count(where: Connection) -> int:
            taken = await asyncio.gather(*[workers[n % 3].take(where, f"{where.id}{n}") for n in range(60)])
            return sum(isinstance(one, Slot) for one in taken)

        assert await count(connection("minute", rpm=10)) == 10
        assert await count(connection("gap", min_gap_ms=60_000)) == 1

    async def test_a_killed_workers_count_is_not_renewed_by_others(
        self, valkey: RealValkey, connect: Any, sync: Redis
    ) -> None:
        dead = Slots(await connect(valkey.url, budget_s=5.0), "dead", Waiting)
        alive = Slots(await connect(valkey.url, budget_s=5.0), "alive", Waiting)
        where = connection(max_concurrency=2)
        await dead.take(where, "a")
        taken = await alive.take(where, "b")
        assert isinstance(taken, Slot)
        assert await alive.take(where, "c") == NoSlot("concurrency")
        until_dead = sync.hget(keys.slot_open("c"), "u:dead")
        sync.delete(keys.slot_holds("c", "alive"))
        await alive.renew()
        assert sync.hget(keys.slot_open("c"), "u:dead") == until_dead
        assert sync.smembers(keys.slot_holds("c", "alive")) == {b"b"}
        alive.leave(taken)


class TestSlots:
    async def test_a_connection_without_limits_takes_nothing(self) -> None:
        slots = Slots(RespClient(AWAY), "w", Waiting)
        assert not slots.has_limits(connection())
        assert await slots.take(connection(), "a") is FREE
        slots.leave(FREE)
        assert slots.accounts == 0

    async def test_a_caller_that_leaves_while_asking_has_taken_nothing(self, client: RespClient, sync: Redis) -> None:
        slots = Slots(client, "w", Waiting)
        await slots.take(connection(max_concurrency=5), "first")
        task = asyncio.create_task(slots.take(connection(max_concurrency=5), "gone"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: sync.smembers(keys.slot_holds("c", "w")) == {b"first"})
        assert slots.open == 1

    async def test_a_trip_given_up_and_refused_here_is_given_back_there(
        self, own_valkey: RealValkey, connect: Any
    ) -> None:
        slots = Slots(await connect(own_valkey.url), "w", Waiting)
        where = connection(max_concurrency=3)
        slots.live_workers = 3
        assert isinstance(await slots.take(where, "a"), Slot)
        own_valkey.freeze()
        try:
            assert await slots.take(where, "b") == NoSlot("concurrency")
        finally:
            own_valkey.thaw()
        with own_valkey.client() as sync:
            await until(lambda: sync.smembers(keys.slot_holds("c", "w")) == {b"a"})

    async def test_a_server_that_lost_the_scripts_still_hears_who_left(self, client: RespClient, sync: Redis) -> None:
        slots = Slots(client, "w", Waiting)
        taken = await slots.take(connection(max_concurrency=1), "a")
        assert isinstance(taken, Slot)
        sync.script_flush()
        slots.leave(taken)
        await until(lambda: sync.exists(keys.slot_holds("c", "w")) == 0)

    async def test_workers_that_live_are_counted(self, client: RespClient, sync: Redis) -> None:
        sync.sadd(keys.WORKERS, "w", "other", "dead")
        sync.set(keys.worker("w"), "{}")
        sync.set(keys.worker("other"), "{}")
        slots = Slots(client, "w", Waiting)
        await slots.renew()
        assert slots.live_workers == 2


class TestWithoutRedis:
    def slots(self, workers: int = 1) -> Slots:
        self.now = 1000.0
        slots = Slots(RespClient(AWAY), "w", Waiting, lambda: self.now)
        slots.live_workers = workers
        return slots

    async def test_each_worker_keeps_to_its_share(self) -> None:
        slots = self.slots(workers=4)
        taken = [await slots.take(connection(rpm=40), f"r{n}") for n in range(11)]
        assert [isinstance(one, Slot) for one in taken] == [True] * 10 + [False]
        assert taken[-1] == NoSlot("rpm", 61.0)
        self.now += 61
        assert isinstance(await slots.take(connection(rpm=40), "later"), Slot)

    async def test_a_limit_smaller_than_the_workers_lets_one_through_each(self) -> None:
        slots = self.slots(workers=4)
        where = connection(max_concurrency=2)
        taken = await slots.take(where, "a")
        assert isinstance(taken, Slot)
        assert await slots.take(where, "b") == NoSlot("concurrency")
        slots.leave(taken)
        assert isinstance(await slots.take(where, "b"), Slot)

    async def test_the_gap_grows_with_the_workers(self) -> None:
        slots = self.slots(workers=2)
        where = connection(min_gap_ms=500)
        await slots.take(where, "a")
        self.now += 0.25
        assert await slots.take(where, "b") == NoSlot("gap", 0.75)

    async def test_what_was_decided_alone_is_told(self) -> None:
        slots, alone = self.slots(), []
        slots.on_alone = lambda: alone.append(1)
        await slots.take(connection(rpm=1), "a")
        await slots.take(connection(rpm=1), "b")
        assert len(alone) == 2, "what was refused too"
        await slots.take(connection(), "c")
        assert len(alone) == 2, "where nothing is limited nothing was decided"

    async def test_what_was_started_is_charged_when_redis_is_back(self, own_valkey: RealValkey, connect: Any) -> None:
        client = await connect(own_valkey.url)
        slots = Slots(client, "w", Waiting)
        client.on_up = lambda _: slots.restore()
        where = connection(rpm=5, max_concurrency=5)
        own_valkey.kill()
        await until(lambda: not client.is_up)
        for name in "abc":
            assert isinstance(await slots.take(where, name), Slot)
        own_valkey.start()
        await until(lambda: client.is_up)
        with own_valkey.client() as sync:
            await until(lambda: sync.hget(keys.slot_minute("c"), "n") == b"3")
            assert sync.hget(keys.slot_open("c"), "c:w") == b"3"


class TestLearnedLimits:
    async def test_what_is_left_is_spread_over_the_time_to_the_reset(self, client: RespClient) -> None:
        slots, other, where = Slots(client, "w", Waiting), Slots(client, "o", Waiting), connection()
        slots.learn(where, hints(requests_limit=100, requests_remaining=5, requests_reset_s=10))
        assert slots.has_limits(where)
        refused = await slots.take(where, "a")
        assert isinstance(refused, NoSlot)
        assert refused.reason == "gap"
        assert 1.5 < (refused.wait_s or 0) <= 2.0
        shared = await other.take(connection(rpm=1000), "b")
        assert isinstance(shared, NoSlot), "a worker that was told nothing keeps to it where it asks"

    async def test_more_than_half_left_is_forgotten_and_between_changes_nothing(
        self, client: RespClient, sync: Redis
    ) -> None:
        slots, where = Slots(client, "w", Waiting), connection()
        slots.learn(where, hints(requests_limit=100, requests_remaining=5, requests_reset_s=10))
        slots.learn(where, hints(requests_limit=100, requests_remaining=30, requests_reset_s=10))
        assert slots.learned == 1
        slots.learn(where, hints(requests_limit=100, requests_remaining=60, requests_reset_s=10))
        assert not slots.has_limits(where)
        await until(lambda: sync.hkeys(keys.slot_pace("c")) == [b"g"])

    async def test_it_ends_with_the_reset_and_is_bounded(self, client: RespClient) -> None:
        now = 0.0
        slots, where = Slots(client, "w", Waiting, lambda: now), connection()
        slots.learn(where, hints(requests_limit=100, requests_remaining=0, requests_reset_s=86_400))
        refused = await slots.take(where, "a")
        assert isinstance(refused, NoSlot)
        assert (refused.wait_s or 0) <= 60
        now = 3_601.0
        assert not slots.has_limits(where)
        assert slots.learned == 0

    async def test_with_nothing_left_the_next_start_is_at_the_reset(self, client: RespClient) -> None:
        slots, where = Slots(client, "w", Waiting), connection(min_gap_ms=1)
        assert isinstance(await slots.take(where, "a"), Slot)
        await asyncio.sleep(0.3)
        slots.learn(where, hints(requests_limit=100, requests_remaining=0, requests_reset_s=0.4))
        refused = await slots.take(where, "b")
        assert isinstance(refused, NoSlot)
        assert 0.35 < (refused.wait_s or 0) <= 0.4, "counted from now, not from the last start"
        await asyncio.sleep(0.41)
        assert isinstance(await slots.take(where, "b"), Slot)

    async def test_answers_that_say_the_same_cost_no_trip(self, client: RespClient, sync: Redis) -> None:
        slots, where = Slots(client, "w", Waiting), connection()
        sync.config_resetstat()
        for _ in range(50):
            slots.learn(where, hints(requests_limit=1000, requests_remaining=50, requests_reset_s=10))
        await client.call("PING")
        stats: Any = sync.info("commandstats")
        assert stats["cmdstat_evalsha"]["calls"] == 1

    async def test_tokens_count_as_requests_of_their_size(self) -> None:
        slots, where = Slots(RespClient(AWAY), "w", Waiting, lambda: 10.0), connection()
        told = {"requests_limit": 100, "requests_remaining": 80, "requests_reset_s": 60}
        slots.learn(where, hints(**told, tokens_limit=21_000, tokens_remaining=1_000, tokens_reset_s=8))
        await slots.take(where, "a")
        assert await slots.take(where, "b") == NoSlot("gap", 8.0), "one more request of 1,000 tokens till the reset"

    async def test_no_learning_where_it_is_switched_off_or_nothing_is_told(self) -> None:
        off = Slots(RespClient(AWAY), "w", lambda: Waiting(learns_limits=False))
        off.learn(connection(), hints(requests_limit=100, requests_remaining=0, requests_reset_s=9))
        silent = Slots(RespClient(AWAY), "w", Waiting)
        silent.learn(connection(), hints())
        silent.learn(connection(), hints(requests_limit=0, requests_remaining=0, requests_reset_s=9))
        assert off.learned == silent.learned == 0


class TestAdaptiveConcurrency:
    ON = Waiting(adapts_concurrency=True, adaptive_start=20, adaptive_most=100)

    async def test_one_more_after_a_window_of_successes_and_up_to_the_bound(
        self, client: RespClient, sync: Redis
    ) -> None:
        account = Account(client, cap=4, start=2)
        limits = []
        for number in range(12):
            await account.take(f"r{number}")
            await account.leave(f"r{number}", "ok", was_open=3)
            limits.append(adaptive_limit(sync))
        assert limits == [2, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4]

    async def test_a_limit_that_is_not_used_does_not_rise(self, client: RespClient, sync: Redis) -> None:
        account = Account(client, cap=100, start=10)
        for number in range(50):
            await account.take(f"r{number}")
            await account.leave(f"r{number}", "ok", was_open=4)
        assert sync.hget("pace", "a") is None

    async def test_one_overload_cuts_once_and_never_below_one(self, client: RespClient, sync: Redis) -> None:
        account = Account(client, cap=100, start=10)
        for number in range(5):
            await account.take(f"r{number}", 0)
        for number in range(5):
            await account.leave(f"r{number}", "over", taken=0, at=100)
        assert adaptive_limit(sync) == pytest.approx(7)
        for number in range(20):
            await account.take(f"s{number}", 1000 * (number + 1))
            await account.leave(f"s{number}", "over", taken=1000 * (number + 1), at=1000 * (number + 1) + 1)
        assert adaptive_limit(sync) == 1
        assert (await account.take("last", 50_000))[0] == 1

    @pytest.mark.parametrize("room", [3, 30])
    async def test_two_workers_find_what_a_provider_takes(
        self, valkey: RealValkey, connect: Any, sync: Redis, room: int
    ) -> None:
        workers = [Slots(await connect(valkey.url, budget_s=5.0), f"w{n}", lambda: self.ON) for n in range(2)]
        where, running, limits, overs = connection(), 0, [], []

        async def caller(slots: Slots, name: str) -> None:
            nonlocal running
            for number in range(40):
                while isinstance(taken := await slots.take(where, f"{name}-{number}"), NoSlot):
                    await asyncio.sleep(0.01)
                running += 1
                is_over = running > room
                await asyncio.sleep(0.02)
                running -= 1
                overs.append(is_over)
                slots.leave(taken, "over" if is_over else "ok")
                limits.append(adaptive_limit(sync, keys.slot_pace("c")))

        await asyncio.gather(*[caller(workers[n % 2], f"c{n}") for n in range(room * 2)])
        settled = slice(len(limits) // 3, len(limits) * 2 // 3)  # at the end there are fewer callers than room
        assert sum(overs[settled]) <= len(overs[settled]) * 0.3
        assert room * 0.6 <= sum(limits[settled]) / len(limits[settled]) <= room * 1.4

    async def test_it_is_off_unless_set_and_bounded_by_the_connections_own_limit(self, client: RespClient) -> None:
        slots = Slots(client, "w", lambda: self.ON)
        taken = [await slots.take(connection(max_concurrency=2), f"r{n}") for n in range(3)]
        assert [isinstance(one, Slot) for one in taken] == [True, True, False]
        assert not Slots(client, "w", Waiting).has_limits(connection())
