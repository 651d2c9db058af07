"""The script's rules and the worker's own are the same: random histories on a real server and in Python."""

import random
from typing import Any

import msgspec
import pytest
from redis import Redis

from gateway.state import keys
from gateway.state.resp import Script
from gateway.state.rest_table import Claim, Cool, Entries, Entry, Fail, Release, RestTable, Success, state_of

RESTS = Script("rests")
NAMES = (keys.RESTS, keys.RESTS_ENDS, keys.RESTS_META)
START = 1_700_000_000_000
MOST = 1_000


class Shared:
    """The script, at a time of the test's choice."""

    def __init__(self, sync: Redis, most: int = MOST) -> None:
        self._sync, self._most = sync, most

    def do(self, verb: str, order: Any, now: int) -> list[Any]:
        field = getattr(order, "field", "")
        more = (keys.rest_failures(field[1:]), keys.rest_unreachable("p")) if verb == "fail" else ()
        body = msgspec.json.encode(order)
        answer: Any = self._sync.eval(
            RESTS.text.decode(), 3 + len(more), *NAMES, *more, verb, body, keys.NEWS, self._most, now
        )
        return list(answer)

    def entries(self, now: int) -> dict[str, Entry]:
        found = {
            field.decode(): msgspec.json.decode(text, type=Entry)
            for field, text in self._sync.hgetall(keys.RESTS).items()  # type: ignore[union-attr]
        }
        return {name: entry for name, entry in found.items() if entry.forget > now}

    def entry(self, field: str, now: int = 0) -> Entry | None:
        return self.entries(now).get(field)


@pytest.fixture
def shared(sync: Redis) -> Shared:
    return Shared(sync)


def cool(field: str = "cA", exact: int = 0, jitter: float = 0.0, **more: Any) -> Cool:
    return Cool(field, more.pop("why", "rate_limited"), exact, 1_000, 120_000, jitter, **more)


def fail(field: str = "bA", need: int = 3, **more: Any) -> Fail:
    more = {"why": "server_error", "window": 30_000, "share": 0.5, "successes": 0, "base": 5_000} | more
    return Fail(**{"field": field, "need": need, "max": 25_000, "memory": 30_000} | more)


@pytest.mark.parametrize("seed", range(8))
def test_the_script_and_the_workers_own_rules_agree_on_every_history(shared: Shared, seed: int) -> None:
    chance, table, now = random.Random(seed), RestTable(MOST), START
    for _ in range(400):
        now += chance.choice((0, 1, 10, 500, 1_000, 5_000, 12_000, 61_000, 130_000)[: chance.choice((4, 7, 9))])
        name, token = chance.choice("ABC"), chance.choice("xy")
        match chance.choice(("cool", "fail", "fail", "fail", "reach", "auth", "probe", "succeed", "release")):
            case "cool":
                order: Any = cool(
                    "c" + name, chance.choice((0, 0, 700, 20_000)), chance.random(), step=chance.choice((0, 1))
                )
                shared.do("cool", order, now)
                table.cool(order, now)
            case "fail":
                order = fail("b" + name, successes=chance.choice((0, 0, 1, 5)), token=chance.choice(("", token)))
                shared.do("fail", order, now)
                table.fail(order, now)
            case "reach":
                order = fail(
                    "b" + name, 2, why="unreachable", provider="b\0p", connection=name, connections=2, token=token
                )
                shared.do("fail", order, now)
                table.fail(order, now)
            case "auth":
                order = fail("b" + name, 1, why="auth", base=60_000, max=600_000)
                shared.do("fail", order, now)
                table.fail(order, now)
            case "probe":
                claim = Claim(("b" + name, "b\0p"), token, 30_000)
                verdict, claimed = shared.do("probe", claim, now)[2], table.claim(claim, now)
                assert verdict == (0 if claimed is None else 1 if claimed else 2)
            case "succeed":
                success = Success(("c" + name, "b" + name, "b\0p"), chance.choice((0, 10_000, 10_000)), 30_000)
                shared.do("succeed", success, now)
                table.succeed(success, now)
            case "release":
                release = Release(("b" + name, "b\0p"), token)
                shared.do("release", release, now)
                table.release(release, now)
        table.sweep(now)
        assert _unversioned(shared.entries(now)) == _unversioned(table.entries)


def test_what_entries_are_about_is_counted() -> None:
    entries, entry = Entries(), Entry("cooling", "rate_limited", 0, 1, 2, 0)
    for field in ("cA", "cA\0m", "bA\0m", "b\0A", "cAB"):
        entries[field] = entry
    entries["cA"] = entry
    assert entries.subjects == {"A": 3, "\0A": 1, "AB": 1}
    for field in ("cA", "cA\0m", "bA\0m"):
        del entries[field]
    assert entries.subjects == {"\0A": 1, "AB": 1}
    entries.clear()
    assert entries.subjects == {}


def _unversioned(entries: dict[str, Entry]) -> dict[str, Entry]:
    return {field: msgspec.structs.replace(entry, v=0) for field, entry in entries.items()}


class TestCooldowns:
    def test_what_the_provider_asked_for_is_kept_to_the_millisecond(self, shared: Shared) -> None:
        shared.do("cool", cool(exact=12_345), START)
        entry = shared.entry("cA")
        assert entry is not None
        assert (entry.until, entry.state, entry.forget) == (START + 12_345, "cooling", START + 12_345)

    def test_a_longer_one_wins_whatever_comes_after_it(self, shared: Shared) -> None:
        ends = []
        for at, exact in ((0, 5_000), (10, 60_000), (20, 1_000), (30, 0), (40, 30_000)):
            shared.do("cool", cool(exact=exact), START + at)
            entry = shared.entry("cA")
            assert entry is not None
            ends.append(entry.until - START)
        assert ends == [5_000, 60_010, 60_010, 60_010, 60_010]

    def test_without_a_hint_each_one_is_twice_as_long_up_to_the_cap(self, shared: Shared) -> None:
        now, spans = START, []
        for _ in range(10):
            shared.do("cool", cool(), now)
            entry = shared.entry("cA")
            assert entry is not None
            spans.append(entry.until - now)
            now = entry.until + 1
        assert spans == [1_000 * 2**level for level in range(7)] + [120_000] * 3

    def test_many_that_were_under_way_together_count_as_one(self, shared: Shared) -> None:
        for millisecond in range(50):
            shared.do("cool", cool(), START + millisecond)
        entry = shared.entry("cA")
        assert entry is not None
        assert (entry.level, entry.until) == (1, START + 1_000)

    def test_a_success_makes_the_level_forgotten_and_not_the_rest_itself(self, shared: Shared) -> None:
        success = Success(("cA",), 0, 0)
        shared.do("cool", cool(), START)
        shared.do("succeed", success, START + 500)
        assert shared.entry("cA") is not None
        shared.do("succeed", success, START + 1_000)
        assert shared.entry("cA") is None


class TestBreakers:
    def test_failures_further_apart_than_the_window_never_open(self, shared: Shared) -> None:
        assert [shared.do("fail", fail(need=3), START + n * 15_000)[2] for n in range(12)] == [0] * 12

    def test_a_few_failures_among_many_successes_never_open(self, shared: Shared) -> None:
        assert [shared.do("fail", fail(need=5, successes=99), START + n)[2] for n in range(50)] == [0] * 50

    def test_successes_before_the_first_failure_do_not_count(self, shared: Shared) -> None:
        shared.do("fail", fail(need=3, successes=10_000), START)
        assert [shared.do("fail", fail(need=3), START + n)[2] for n in (1, 2)] == [0, 1]

    def test_flapping_rests_longer_each_time_and_never_longer_than_the_cap(self, shared: Shared) -> None:
        now, spans = START, []
        for turn in range(6):
            while not shared.do("fail", fail(need=3), now)[2]:
                now += 10
            entry = shared.entry("bA")
            assert entry is not None
            spans.append(entry.until - now)
            now = entry.until
            assert shared.do("probe", Claim(("bA",), f"t{turn}", 30_000), now)[2] == 1
            shared.do("succeed", Success(("bA",), 10_000, 30_000), now)
        assert spans == [5_000, 10_000, 20_000, 25_000, 25_000, 25_000]

    def test_an_authentication_failure_outlasts_a_shorter_reason(self, shared: Shared) -> None:
        shared.do("fail", fail(need=1, why="unreachable"), START)
        shared.do("fail", fail(need=1, why="auth", base=60_000, max=600_000), START + 1_000)
        entry = shared.entry("bA")
        assert entry is not None
        assert (entry.why, entry.until) == ("auth", START + 61_000)

    def test_the_provider_opens_with_its_second_unreachable_connection(self, shared: Shared) -> None:
        for connection, opens in (("A", False), ("A", False), ("B", True)):
            shared.do("fail", fail("b" + connection, 1, provider="b\0p", connection=connection, connections=2), START)
            assert (shared.entry("b\0p") is not None) is opens


class TestOneProbe:
    def test_nobody_probes_before_the_time_is_over(self, shared: Shared) -> None:
        shared.do("fail", fail(need=1), START)
        assert shared.do("probe", Claim(("bA",), "x", 30_000), START + 4_999)[2] == 0
        assert shared.do("probe", Claim(("bA",), "x", 30_000), START + 5_000)[2] == 1

    def test_a_dead_prober_frees_it_with_the_end_of_its_lifetime(self, shared: Shared) -> None:
        shared.do("fail", fail(need=1), START)
        assert shared.do("probe", Claim(("bA",), "dead", 30_000), START + 5_000)[2] == 1
        assert shared.do("probe", Claim(("bA",), "next", 30_000), START + 34_999)[2] == 0
        assert shared.do("probe", Claim(("bA",), "next", 30_000), START + 35_000)[2] == 1

    def test_all_breakers_of_a_target_are_claimed_or_none(self, shared: Shared) -> None:
        shared.do("fail", fail("bA", need=1), START)
        shared.do("fail", fail("bB", need=1, base=9_000), START)
        assert shared.do("probe", Claim(("bA", "bB"), "x", 30_000), START + 5_000)[2] == 0
        assert shared.do("probe", Claim(("bA",), "y", 30_000), START + 5_000)[2] == 1

    def test_a_late_failure_of_another_request_does_not_end_the_probe(self, shared: Shared) -> None:
        shared.do("fail", fail(need=1), START)
        shared.do("probe", Claim(("bA",), "prober", 30_000), START + 5_000)
        assert shared.do("fail", fail(need=1, token="late"), START + 5_001)[2] == 0
        assert shared.do("fail", fail(need=1, token="prober"), START + 5_002)[2] == 1
        entry = shared.entry("bA")
        assert entry is not None
        assert entry.until == START + 5_002 + 10_000


class TestBounds:
    def test_a_full_table_lets_go_of_what_would_be_over_first(self, sync: Redis) -> None:
        shared = Shared(sync, most=10)
        for number in range(25):
            shared.do("cool", cool(f"c{number}", exact=1_000 + number), START)
        assert set(shared.entries(0)) == {f"c{number}" for number in range(15, 25)}
        assert sync.zcard(keys.RESTS_ENDS) == 10

    def test_names_that_callers_make_up_push_nothing_out(self, sync: Redis) -> None:
        shared = Shared(sync, most=10)
        for number in range(5):
            shared.do("cool", cool(f"c{number}", exact=1_000), START)
        verdicts = [shared.do("cool", cool(f"cx{n}", 60_000, why="unknown_model"), START)[2] for n in range(20)]
        assert verdicts == [0] * 20
        assert len(shared.entries(0)) == 5

    def test_what_is_over_is_swept(self, shared: Shared, sync: Redis) -> None:
        for number in range(90):
            shared.do("cool", cool(f"c{number}", exact=1_000), START)
        shared.do("read", {"known": -1}, START + 1_001)
        assert (sync.hlen(keys.RESTS), sync.zcard(keys.RESTS_ENDS)) == (0, 0)

    def test_failures_are_kept_for_their_window_and_no_more_than_are_needed(self, shared: Shared, sync: Redis) -> None:
        for _ in range(40):
            shared.do("fail", fail(need=5, successes=99), START)
        assert sync.llen(keys.rest_failures("A")) == 5
        assert 0 < sync.pttl(keys.rest_failures("A")) <= 30_000


class TestTheServersClock:
    def test_set_back_by_an_hour_a_rest_keeps_the_time_that_was_left(self, shared: Shared) -> None:
        shared.do("cool", cool(exact=20_000), START)
        shared.do("fail", fail(need=1), START)
        before = START - 3_600_000
        _, version, verdict, _ = shared.do("read", {"known": START + 1}, before + 100)
        assert verdict == 1, "who knows an older version reads anew"
        assert version > START
        left = {field: entry.until - before for field, entry in shared.entries(0).items()}
        assert left["cA"] <= 20_100
        assert left["bA"] <= 5_100
        assert shared.do("probe", Claim(("bA",), "x", 30_000), before + 5_100)[2] == 1

    def test_set_forward_rests_end_early_and_nothing_stays_for_good(self, shared: Shared) -> None:
        shared.do("fail", fail(need=1), START)
        assert shared.do("probe", Claim(("bA",), "x", 30_000), START + 3_600_000)[2] == 2, "it is forgotten"

    def test_a_reset_forgets_failures_that_were_counted(self, shared: Shared) -> None:
        for number in range(2):
            shared.do("fail", fail(need=3), START + number)
        shared.do("reset", {"all": True}, START + 10)
        assert [shared.do("fail", fail(need=3), START + 20 + n)[2] for n in range(3)] == [0, 0, 1]


def test_a_reset_of_one_connection_leaves_others_of_a_longer_name(shared: Shared) -> None:
    for field in ("cA", "cA\0m", "bA\0m", "cAB", "cAB\0m", "b\0A"):
        shared.do("cool", cool(field, exact=60_000), START)
    assert shared.do("reset", {"ids": ["A"]}, START)[2] == 3
    assert set(shared.entries(0)) == {"cAB", "cAB\0m", "b\0A"}


def test_people_see_what_rests_in_words() -> None:
    entry = Entry("open", "auth", START, START + 5_000, START + 9_000, 1)
    found = state_of("bconn\0a/model", entry, START)
    assert found is not None
    assert (found.scope, found.kind, found.state) == ("connection_model", "breaker", "open")
    assert (found.connection_id, found.model, found.provider) == ("conn", "a/model", "")
    assert found.until == 1_700_000_005.0
    half = state_of("b\0openai", entry, START + 6_000)
    assert half is not None
    assert (half.scope, half.provider, half.state) == ("provider", "openai", "half_open")
    over = Entry("cooling", "rate_limited", START, START + 1, START + 60_000, 1)
    assert state_of("cconn", over, START + 2) is None
