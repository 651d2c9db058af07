"""Tokens a minute and money in `take` and `settle`, on a real server and against a simple model of what they promise."""

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from redis import Redis

from gateway.state.resp import RespClient
from tests.gateway.state.test_limits import LIFETIME_S, START, Key
from tests.support.counters import counted, money
from tests.support.real_valkey import RealValkey

STEPS = (0, 0, 0, 1, 1, 2, 7, 30, 59, 60, 61, 62, 90, 200)


@dataclass
class Model:
    """What the window must hold: each admitted request with its second and what it counts for now."""

    most: int
    counted: dict[str, list[int]] = field(default_factory=dict)

    def window(self, now: int) -> int:
        return sum(tokens for at, tokens in self.counted.values() if at > now - 61)

    def may(self, tokens: int, now: int) -> bool:
        there = self.window(now)
        return there == 0 or there + max(tokens, 1) <= self.most

    def back_in(self, tokens: int, now: int) -> int:
        """By trying: the first second at which it may."""
        return next(second for second in range(1, 62) if self.may(tokens, now + second))


@pytest.fixture
async def client(valkey: RealValkey, connect: Any, sync: Redis) -> RespClient:
    sync.hset("key", mapping={"v": 1, "e": "entry"})
    made: RespClient = await connect(valkey.url, budget_s=5.0)
    return made


class TestTokensAMinute:
    @pytest.mark.parametrize("seed", range(8))
    async def test_it_does_as_the_model_does_in_any_order(self, client: RespClient, sync: Redis, seed: int) -> None:
        """Reservations, settlements above and below, twice, never; bursts and silences; told exactly when to return."""
        chance = random.Random(seed)
        key, model = Key(client, tpm=chance.choice((10, 100, 1000))), Model(0)
        model.most = key.tpm
        now, open_ones = START, []
        steps = STEPS[: chance.choice((4, 7, 14))]
        for number in range(400):
            now += chance.choice(steps)
            tokens = chance.choice((0, 1, key.tpm // 10, key.tpm // 3, key.tpm, key.tpm * 2))
            answer = await key.take(f"r{number}", at=now, tokens=tokens)
            if model.may(tokens, now):
                assert answer == [1], "capacity was there"
                model.counted[f"r{number}"] = [now, tokens]
                open_ones.append(f"r{number}")
            else:
                assert answer == [3, b"tpm", model.back_in(tokens, now)]
            if open_ones and chance.random() < 0.6:
                name = open_ones.pop(chance.randrange(len(open_ones)))
                used = chance.choice((0, 1, model.counted[name][1], key.tpm // 2))
                for _ in range(chance.choice((1, 1, 2))):
                    await key.settle(name, tokens=used, at=now)
                if (
                    model.counted[name][0] in counted(sync, "limits").seconds
                ):  # else it has left the window, or is about to
                    model.counted[name][1] = used
            assert counted(sync, "limits").tokens >= model.window(now)

    async def test_many_clients_never_reserve_more_than_the_limit(
        self, client: RespClient, valkey: RealValkey, connect: Any
    ) -> None:
        others = [Key(await connect(valkey.url, budget_s=5.0), tpm=1000) for _ in range(4)]
        chance = random.Random(1)
        asked = [chance.randint(1, 100) for _ in range(300)]
        answers = await asyncio.gather(
            *[others[i % 4].take(f"r{i}", f"w{i % 4}", at=None, tokens=tokens) for i, tokens in enumerate(asked)]
        )
        admitted = sum(tokens for tokens, answer in zip(asked, answers, strict=True) if answer == [1])
        assert 900 < admitted <= 1000
        assert all(1 <= answer[2] <= 61 for answer in answers if answer != [1])

    async def test_what_was_not_used_is_back_at_once_and_what_was_used_above_is_a_debt_until_its_second_leaves(
        self, client: RespClient
    ) -> None:
        key = Key(client, tpm=100)
        assert await key.take("a", tokens=100) == [1]
        assert (await key.take("b", tokens=50))[0] == 3
        await key.settle("a", tokens=20)
        assert await key.take("b", tokens=80) == [1]
        await key.settle("b", tokens=500)
        assert await key.take("c", at=START + 60, tokens=1) == [3, b"tpm", 1]
        assert await key.take("c", at=START + 61, tokens=1) == [1]

    async def test_a_reservation_above_the_whole_limit_is_admitted_into_an_empty_window_only(
        self, client: RespClient
    ) -> None:
        key = Key(client, tpm=100)
        assert await key.take("small", tokens=1) == [1]
        assert await key.take("large", at=START + 10, tokens=5000) == [3, b"tpm", 51]
        assert await key.take("large", at=START + 61, tokens=5000) == [1]
        assert await key.take("next", at=START + 61, tokens=0) == [3, b"tpm", 61]
        await key.settle("large", tokens=99, at=START + 62)
        assert await key.take("next", at=START + 62, tokens=1) == [1]

    async def test_settling_after_the_second_has_left_changes_nothing(self, client: RespClient, sync: Redis) -> None:
        key = Key(client, tpm=100)
        await key.take("long", tokens=50)
        await key.take("new", at=START + 100, tokens=40)
        await key.settle("long", tokens=9999, at=START + 100)
        assert counted(sync, "limits").tokens == 40

    async def test_a_killed_workers_reservation_leaves_by_itself(self, client: RespClient) -> None:
        key = Key(client, tpm=100)
        await key.take("lost", "dead", tokens=100)
        assert (await key.take("next", at=START + 60, tokens=100))[0] == 3
        assert await key.take("next", at=START + 61, tokens=100) == [1]

    @pytest.mark.parametrize("back_s", [1, 30, 3600, 86_400])
    async def test_a_clock_set_back_neither_frees_nor_locks(self, client: RespClient, back_s: int) -> None:
        key = Key(client, tpm=100, rpm=10, most=5)
        assert await key.take("a", tokens=60) == [1]
        now = START - back_s
        assert await key.take("b", at=now, tokens=60) == [3, b"tpm", 61], "it counts still"
        await key.settle("a", tokens=100, at=now)
        assert await key.take("b", at=now, tokens=1) == [3, b"tpm", 61], "a debt counts from now"
        assert await key.take("b", at=now + 61, tokens=100) == [1], "and no longer than a minute"

    async def test_a_clock_set_back_forgets_the_dead_in_time(self, client: RespClient) -> None:
        key = Key(client, most=1)
        await key.take("a", "dead")
        now = START - 3600
        assert (await key.take("b", "alive", now))[0] == 3
        assert (await key.take("b", "alive", now + 14))[0] == 3
        assert await key.take("b", "alive", now + 15) == [1]

    async def test_a_clock_set_forward_empties_the_window(self, client: RespClient) -> None:
        key = Key(client, tpm=100)
        await key.take("a", tokens=100)
        assert await key.take("b", at=START + 3600, tokens=100) == [1]
        await key.settle("a", tokens=50, at=START + 3600)
        assert (await key.take("c", at=START + 3600, tokens=1))[0] == 3


class TestMoney:
    @pytest.mark.parametrize("seed", range(6))
    async def test_held_and_spent_are_never_above_the_budget(self, client: RespClient, sync: Redis, seed: int) -> None:
        """As the model: what is spent by settled requests, and held by open ones."""
        chance = random.Random(seed)
        key, spent, held = Key(client, budget=1000), 0, dict[str, int]()
        for number in range(300):
            name, asked = f"r{number}", chance.choice((0, 1, 10, 300, 900, 1001))
            answer = await key.take(name, money=asked)
            if spent + max(asked, 1) > 1000:
                assert answer == [3, b"budget", -1]
            elif spent + sum(held.values()) + max(asked, 1) > 1000:
                assert answer == [3, b"budget", 1], "it is only held: it may be back soon"
            else:
                assert answer == [1]
                held[name] = asked
            if held and chance.random() < 0.6:
                name = chance.choice(list(held))
                cost = chance.randint(0, min(held.pop(name), 40))
                for _ in range(chance.choice((1, 2))):
                    await key.settle(name, money=cost)
                spent += cost
            shown = money(sync, "money")
            assert shown.spent == spent <= 1000
            assert shown.held == sum(held.values())

    @pytest.mark.parametrize("seed", range(4))
    async def test_of_two_budgets_neither_is_passed_and_both_count_the_same(
        self, client: RespClient, sync: Redis, seed: int
    ) -> None:
        """The second begins with something spent, as a longer period does; each in turn is the tighter one."""
        chance = random.Random(seed)
        before = chance.choice((0, 700))
        sync.hset("second-money", "spent", before)
        key, spent, held = Key(client, budget=1000, second=1500), 0, dict[str, int]()
        for number in range(300):
            name, asked = f"r{number}", chance.choice((0, 1, 10, 300, 900, 1001))
            answer = await key.take(name, money=asked)
            need, open_money = max(asked, 1), sum(held.values())
            if spent + need > 1000:
                assert answer == [3, b"budget", -1]
            elif spent + open_money + need > 1000:
                assert answer == [3, b"budget", 1]
            elif before + spent + need > 1500:
                assert answer == [3, b"second_budget", -1]
            elif before + spent + open_money + need > 1500:
                assert answer == [3, b"second_budget", 1]
            else:
                assert answer == [1]
                held[name] = asked
            if held and chance.random() < 0.6:
                name = chance.choice(list(held))
                cost = chance.randint(0, min(held.pop(name), 40))
                for _ in range(chance.choice((1, 2))):
                    await key.settle(name, money=cost)
                spent += cost
            first, second = money(sync, "money"), money(sync, "second-money")
            assert (first.spent, second.spent) == (spent, before + spent)
            assert first.held == second.held == sum(held.values())

    async def test_what_a_killed_worker_held_counts_in_both_budgets(self, client: RespClient, sync: Redis) -> None:
        key = Key(client, budget=100, second=100)
        await key.take("a", "dead", money=60)
        assert await key.take("b", "alive", START + 3_700, money=50) == [3, b"budget", -1]
        assert await key.take("c", "alive", START + 3_700, money=40) == [1]
        assert (sync.hget("money", "spent"), sync.hget("second-money", "spent")) == (b"60", b"60")

    async def test_many_clients_hold_the_budget_together(
        self, client: RespClient, valkey: RealValkey, connect: Any
    ) -> None:
        others = [Key(await connect(valkey.url, budget_s=5.0), budget=1000) for _ in range(4)]
        answers = await asyncio.gather(
            *[others[i % 4].take(f"r{i}", f"w{i % 4}", at=None, money=7) for i in range(300)]
        )
        assert sum(answer == [1] for answer in answers) == 142
        assert {tuple(answer) for answer in answers if answer != [1]} == {(3, b"budget", 1)}

    async def test_what_a_killed_worker_held_counts_as_spent_unless_it_tells_what_it_used(
        self, client: RespClient, sync: Redis
    ) -> None:
        key = Key(client, budget=100)
        await key.take("a", "dead", money=100)
        await key.renew(100, "dead", START + 5, name="money")
        assert await key.take("b", "alive", START + 19, money=1) == [3, b"budget", 1], "it may be back soon"
        assert await key.take("b", "alive", START + 20, money=1) == [3, b"budget", -1], "it may have been used"
        await key.settle("a", "dead", money=30, at=START + 21)
        assert sync.hget("money", "spent") == b"30", "it was only stopped: what it used counts"
        assert await key.take("b", "alive", START + 21, money=70) == [1]

    async def test_what_a_killed_worker_held_is_spent_for_good_when_nobody_can_settle_it(
        self, client: RespClient, sync: Redis
    ) -> None:
        key = Key(client, budget=100)
        await key.take("a", "dead", money=60)
        later = START + LIFETIME_S + 3_600
        assert await key.take("b", "alive", later, money=41) == [3, b"budget", -1]
        shown = money(sync, "money")
        assert (shown.spent, shown.held, shown.dead) == (60, 0, {})
        assert await key.take("b", "alive", later, money=40) == [1]

    async def test_a_worker_that_was_late_to_renew_holds_no_less(self, client: RespClient) -> None:
        key = Key(client, budget=100)
        await key.take("a", money=60)
        assert await key.take("b", at=START + 20, money=40) == [1]
        await key.settle("a", money=10, at=START + 20)
        assert await key.take("c", at=START + 20, money=51) == [3, b"budget", 1]
        assert await key.take("c", at=START + 20, money=50) == [1]

    async def test_a_counter_lives_as_long_as_it_is_told_and_no_longer(self, client: RespClient, sync: Redis) -> None:
        key = Key(client, budget=100)
        await key.take("a", money=10)
        assert 4_990 < sync.ttl("money") <= 5_000
        sync.delete("money")
        await key.settle("a", money=10, lifetime_s=-1)
        assert not sync.exists("money"), "its period is long over"

    async def test_what_the_server_never_saw_is_charged_once_if_noted_or_always(
        self, client: RespClient, sync: Redis
    ) -> None:
        key = Key(client, budget=100)
        for _ in range(2):
            await key.settle("unknown", money=5)
            await key.settle("unknown", money=5, if_unseen="noted")
        assert not sync.exists("money")
        sync.hset("inflight-w", "noted", "note")
        for _ in range(3):
            await key.settle("noted", money=7, if_unseen="noted")
        assert sync.hget("money", "spent") == b"7"
        await key.settle("other", money=5, if_unseen="always")
        assert sync.hget("money", "spent") == b"12"

    async def test_a_full_stream_gives_back_all_the_same_and_keeps_the_note(
        self, client: RespClient, sync: Redis
    ) -> None:
        key = Key(client, budget=100, most=5, tpm=100)
        await key.take("a", tokens=50, money=50)
        for number in range(1_000):
            sync.xadd("records", {"r": str(number)})
        for _ in range(2):
            assert await key.settle("a", tokens=10, money=20) == 0
        assert (money(sync, "money").spent, money(sync, "money").held) == (20, 0)
        assert (counted(sync, "limits").tokens, counted(sync, "limits").open) == (10, 0)
        assert sync.hkeys("inflight-w") == [b"a"]


async def test_a_refused_request_takes_nothing_of_any_limit(client: RespClient, sync: Redis) -> None:
    key = Key(client, rpm=10, most=10, tpm=100, budget=100)
    await key.take("a", tokens=50, money=50)
    before = [sync.hgetall(name) for name in ("limits", "money", "held-w", "inflight-w")]
    assert (await key.take("b", tokens=60))[1] == b"tpm"
    assert (await key.take("b", money=60))[1] == b"budget"
    assert before == [sync.hgetall(name) for name in ("limits", "money", "held-w", "inflight-w")]


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_order_workers_take_settle_renew_and_die_in_nothing_leaks(
    client: RespClient, sync: Redis, seed: int
) -> None:
    """Workers are killed with requests open; some of their requests are settled late, by an answer that was under way."""
    chance = random.Random(seed)
    key = Key(client, rpm=100_000, most=40, tpm=100_000, budget=1_000_000)
    alive: dict[str, dict[str, int]] = {"w0": {}, "w1": {}, "w2": {}}
    dead: list[tuple[str, str]] = []
    now, spent, born = START, 0, 3
    for number in range(600):
        now += chance.choice((0, 0, 0, 1))
        worker = chance.choice(list(alive))
        if chance.random() < 0.55:
            name = f"r{number}"
            if await key.take(name, worker, now, tokens=100, money=100) == [1]:
                alive[worker][name] = now
        elif alive[worker]:
            name = chance.choice(list(alive[worker]))
            del alive[worker][name]
            await key.settle(name, worker, tokens=chance.randint(0, 300), money=60, at=now)
            spent += 60
        if chance.random() < 0.02:
            dead += [(name, worker) for name in alive.pop(worker)]
            alive[f"w{born}"] = {}
            born += 1
        if dead and chance.random() < 0.05:
            name, gone = dead.pop()
            await key.settle(name, gone, tokens=50, money=60, at=now)
            spent += 60
        if now % 5 == 0:
            for worker, mine in alive.items():
                if mine:
                    await key.renew(len(mine), worker, now)
                    await key.renew(100 * len(mine), worker, now, name="money")
        assert money(sync, "money").spent == spent
        assert counted(sync, "limits").open <= key.most
    for worker, mine in alive.items():
        for name in mine:
            await key.settle(name, worker, at=now)
    now += 100
    left = 1_000_000 - spent - 100 * len(dead)
    assert (await key.take("more", "w-last", now, tokens=100_000, money=left + 1))[:2] == [3, b"budget"]
    assert await key.take("last", "w-last", now, tokens=100_000, money=left) == [1], "all of it is back"
