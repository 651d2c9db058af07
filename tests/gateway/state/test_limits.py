"""A key's limits in `take` and `settle`, on a real server: exact for every rolling minute, worker and death of one."""

import asyncio
import random
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from gateway.domain.errors import OverLimit
from gateway.state import keys
from gateway.state.holds import Hold
from gateway.state.resp import RespClient, Script
from tests.gateway.state.test_holds import Bench, record
from tests.gateway.state.test_keyring import DIGEST, SECRET, publish
from tests.support.counters import counted
from tests.support.real_valkey import RealValkey

TAKE, SETTLE, RENEW = Script("take"), Script("settle"), Script("renew_open")
LIFETIME_S = 15
START = 1_700_000_000


def doubles(numbers: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(numbers)}d", *numbers)


class Key:
    """One key with its limits; `take` and `settle` as a worker would, at a time of the test's choice."""

    def __init__(
        self, client: RespClient, *, rpm: int = 0, most: int = 0, tpm: int = 0, budget: int = 0, second: int = 0
    ) -> None:
        self.client, self.rpm, self.most, self.tpm, self.budget, self.second = client, rpm, most, tpm, budget, second

    async def take(
        self, name: str, worker: str = "w", at: int | None = START, *, tokens: int = 0, money: int = 0
    ) -> Any:
        names: tuple[str, ...] = ("key", "epoch", f"inflight-{worker}", "limits", f"held-{worker}")
        numbers = [LIFETIME_S, self.rpm, self.most, self.tpm, 3_600]
        for counter, most in (("money", self.budget), ("second-money", self.second)):
            if most:
                names = (*names, counter)
                numbers += [most, 5_000, 0]
        now = () if at is None else (at,)
        return await self.client.run(TAKE, names, (1, name, "note", worker, doubles(numbers), tokens, money, *now))

    async def settle(
        self,
        name: str,
        worker: str = "w",
        *,
        tokens: int = 0,
        money: int = 0,
        if_unseen: str = "",
        record: str = "r",
        lifetime_s: int = 5_000,
        at: int | None = START,
    ) -> Any:
        money_names = [name for name, most in (("money", self.budget), ("second-money", self.second)) if most]
        names = ("records", f"inflight-{worker}", f"held-{worker}", "limits", *money_names)
        now = () if at is None else (at,)
        lifetimes = doubles([lifetime_s] * len(money_names))
        return await self.client.run(
            SETTLE, names, (name, record, 1_000, worker, tokens, money, if_unseen, lifetimes, *now)
        )

    async def renew(self, count: int, worker: str = "w", at: int = START, name: str = "limits") -> None:
        kind = "open" if name == "limits" else "money"
        await self.client.run(RENEW, (name, "held"), (worker, count, LIFETIME_S, 75, kind, "", at))


@pytest.fixture
async def client(valkey: RealValkey, connect: Any, sync: Redis) -> RespClient:
    sync.hset("key", mapping={"v": 1, "e": "entry"})
    made: RespClient = await connect(valkey.url, budget_s=5.0)
    return made


class TestRequestsAMinute:
    @pytest.mark.parametrize("seed", range(6))
    async def test_no_rolling_minute_has_more_and_capacity_is_back_a_second_late_at_most(
        self, client: RespClient, seed: int
    ) -> None:
        """Against a list of all admissions: seconds that are skipped, bursts, long silences."""
        chance = random.Random(seed)
        key = Key(client, rpm=chance.choice((1, 3, 17)))
        admitted: list[int] = []
        now = START
        for number in range(500):
            now += chance.choice((0, 0, 0, 1, 1, 2, 7, 30, 59, 60, 61, 62, 90, 200)[: chance.choice((4, 7, 14))])
            counted = [at for at in admitted if at > now - 61]
            answer = await key.take(f"r{number}", at=now)
            if len(counted) < key.rpm:
                assert answer == [1], "capacity was there"
                admitted.append(now)
            else:
                assert answer == [3, b"rpm", counted[0] + 61 - now], "told when the oldest one leaves"
            # a request that came at the end of its second, and one that came at the start of this one
            assert sum(at > now - 61 for at in admitted) <= key.rpm

    async def test_who_comes_back_when_told_is_admitted(self, client: RespClient) -> None:
        key = Key(client, rpm=2)
        for name, at in (("a", 0), ("b", 10)):
            assert await key.take(name, at=START + at) == [1]
        _, _, seconds = await key.take("c", at=START + 20)
        assert seconds == 41
        assert (await key.take("d", at=START + 20 + seconds - 1))[0] == 3
        assert await key.take("e", at=START + 20 + seconds) == [1]
        assert (await key.take("f", at=START + 20 + seconds))[2] == 10

    async def test_two_clients_that_race_get_the_limit_together(
        self, client: RespClient, valkey: RealValkey, connect: Any
    ) -> None:
        other = await connect(valkey.url, budget_s=5.0)
        pair = (Key(client, rpm=100), Key(other, rpm=100))
        answers = await asyncio.gather(*[pair[i % 2].take(f"r{i}", f"w{i % 2}", at=None) for i in range(300)])
        assert sum(answer == [1] for answer in answers) == 100
        assert all(1 <= answer[2] <= 61 for answer in answers if answer != [1])

    async def test_taking_twice_with_one_id_counts_once(self, client: RespClient, sync: Redis) -> None:
        key = Key(client, rpm=2, most=2)
        for _ in range(5):
            assert await key.take("same") == [1]
        assert counted(sync, "limits").requests == 1
        assert counted(sync, "limits").by_worker == {"w": 1}
        assert await key.take("other") == [1]
        assert (await key.take("third"))[0] == 3

    async def test_a_refused_request_takes_nothing(self, client: RespClient, sync: Redis) -> None:
        key = Key(client, rpm=1, most=5)
        await key.take("a")
        before = (sync.hgetall("limits"), sync.hgetall("inflight-w"))
        for number in range(10):
            assert (await key.take(f"more{number}"))[:2] == [3, b"rpm"]
        assert (sync.hgetall("limits"), sync.hgetall("inflight-w")) == before

    async def test_a_clock_that_is_set_back_leaves_no_count_behind(self, client: RespClient) -> None:
        key = Key(client, rpm=3)
        for name, at in (("a", 0), ("b", -3), ("c", -2)):
            assert await key.take(name, at=START + at) == [1]
        assert (await key.take("d", at=START))[0] == 3
        assert [await key.take(f"later{n}", at=START + 61) for n in range(3)] == [[1]] * 3

    async def test_memory_is_bounded_and_given_back(self, client: RespClient, sync: Redis) -> None:
        key = Key(client, rpm=10_000, most=10_000)
        for number in range(300):
            await key.take(f"r{number}", at=START + number)
        assert sync.hlen("limits") <= 60 + 10
        assert 60 < sync.ttl("limits") <= keys.LIMITS_TTL_S


class TestOpenRequests:
    async def test_workers_share_the_limit(self, client: RespClient, valkey: RealValkey, connect: Any) -> None:
        pair = (Key(client, most=10), Key(await connect(valkey.url, budget_s=5.0), most=10))
        answers = await asyncio.gather(*[pair[i % 2].take(f"r{i}", f"w{i % 2}", at=None) for i in range(40)])
        assert sum(answer == [1] for answer in answers) == 10
        assert {tuple(answer) for answer in answers if answer != [1]} == {(3, b"concurrency", 1)}

    async def test_a_settled_request_makes_room_once(self, client: RespClient, sync: Redis) -> None:
        key = Key(client, most=2)
        await key.take("a")
        await key.take("b")
        assert (await key.take("c"))[0] == 3
        for _ in range(3):
            await key.settle("a")
        assert counted(sync, "limits").by_worker == {"w": 1}
        assert await key.take("c") == [1]
        assert (await key.take("d"))[0] == 3

    async def test_what_was_never_taken_gives_nothing_back(self, client: RespClient, sync: Redis) -> None:
        key = Key(client, most=2)
        await key.take("a")
        await key.settle("never")
        assert counted(sync, "limits").by_worker == {"w": 1}

    async def test_a_dead_worker_is_forgotten_15_s_after_it_last_renewed(self, client: RespClient, sync: Redis) -> None:
        key = Key(client, most=2)
        await key.take("a", "dead")
        await key.renew(1, "dead", START + 5)
        await key.take("b", "alive", START + 6)
        assert (await key.take("c", "alive", START + 19))[0] == 3
        assert await key.take("c", "alive", START + 20) == [1]
        assert counted(sync, "limits").by_worker == {"alive": 2}

    async def test_streams_that_outlive_the_count_are_renewed(self, client: RespClient) -> None:
        key = Key(client, most=1)
        await key.take("long")
        for second in range(5, 300, 5):
            await key.renew(1, at=START + second)
            assert (await key.take("more", at=START + second + 4))[0] == 3

    async def test_a_server_that_forgot_is_told_by_the_worker(self, client: RespClient, sync: Redis) -> None:
        key = Key(client, most=2)
        await key.take("a")
        await key.take("b")
        sync.delete("limits")
        await key.renew(2)
        assert (await key.take("c"))[0] == 3

    async def test_late_settling_never_counts_below_none(self, client: RespClient, sync: Redis) -> None:
        key = Key(client, most=1)
        await key.take("a")
        sync.delete("limits")
        await key.settle("a")
        assert counted(sync, "limits").by_worker == {}
        assert await key.take("b") == [1]
        assert (await key.take("c"))[0] == 3


@pytest.fixture
async def bench(valkey: RealValkey, connect: Any, tmp_path: Path) -> Bench:
    return Bench(await connect(valkey.url), tmp_path)


class TestHolds:
    async def test_a_limit_of_the_key_is_an_error_that_says_when(self, bench: Bench, sync: Redis) -> None:
        publish(sync, rpm=1)
        caller = await bench.keyring.identify(SECRET)
        assert await bench.holds.take(caller, record("r1")) == Hold(DIGEST)
        with pytest.raises(OverLimit) as error:
            await bench.holds.take(caller, record("r2"))
        assert "1 requests a minute" in error.value.message
        assert 59 <= (error.value.retry_after_s or 0) <= 61
        assert sync.hkeys(keys.inflight("w")) == [b"r1"]

    async def test_open_requests_are_counted_here_and_there_until_settled(self, bench: Bench, sync: Redis) -> None:
        publish(sync, concurrency=2)
        caller = await bench.keyring.identify(SECRET)
        held = [await bench.holds.take(caller, record(f"r{i}")) for i in range(2)]
        assert [(one.digest, one.slot_worker, one.is_counted) for one in held] == [(DIGEST, "w", True)] * 2
        assert bench.holds.open_by_key == {DIGEST: 2}
        with pytest.raises(OverLimit):
            await bench.holds.take(caller, record("r2"))
        for number, hold in enumerate(held):
            assert isinstance(hold, Hold)
            await bench.holds.settle(record(f"r{number}"), hold)
        assert bench.holds.open_by_key == {}
        assert counted(sync, keys.key_limits(DIGEST)).by_worker == {"w": 0}

    async def test_renewing_writes_what_is_open(self, bench: Bench, sync: Redis) -> None:
        publish(sync, concurrency=5)
        caller = await bench.keyring.identify(SECRET)
        for name in ("r1", "r2"):
            await bench.holds.take(caller, record(name))
        sync.delete(keys.key_limits(DIGEST))
        await bench.holds.renew_open()
        assert counted(sync, keys.key_limits(DIGEST)).by_worker == {"w": 2}
        assert 0 < sync.ttl(keys.key_limits(DIGEST)) <= keys.LIMITS_TTL_S

    async def test_a_trip_given_up_is_given_back_by_its_id(
        self, own_valkey: RealValkey, connect: Any, tmp_path: Path
    ) -> None:
        """The server admitted it after we had stopped waiting: the request runs, and its end frees the slot."""
        bench = Bench(await connect(own_valkey.url), tmp_path)
        with own_valkey.client() as sync:
            publish(sync, concurrency=1)
            caller = await bench.keyring.identify(SECRET)
            sync.script_load(TAKE.text)
            own_valkey.freeze()
            try:
                hold = await bench.holds.take(caller, record("r1"))
            finally:
                own_valkey.thaw()
            assert isinstance(hold, Hold)
            assert hold.slot_worker == "w"
            await asyncio.sleep(0.05)
            assert counted(sync, keys.key_limits(DIGEST)).by_worker == {"w": 1}
            await bench.holds.settle(record("r1"), hold)
            assert counted(sync, keys.key_limits(DIGEST)).by_worker == {"w": 0}

    async def test_a_limit_changed_in_the_file_counts_from_the_next_request(self, bench: Bench, sync: Redis) -> None:
        publish(sync, rpm=1)
        old = await bench.keyring.identify(SECRET)
        await bench.holds.take(old, record("r1"))
        publish(sync, version=2, rpm=2)
        newer = await bench.holds.take(old, record("r2"))
        assert not isinstance(newer, Hold)
        assert newer.rpm == 2
        assert await bench.holds.take(newer, record("r2")) == Hold(DIGEST)
        with pytest.raises(OverLimit):
            await bench.holds.take(newer, record("r3"))
