"""Each strategy's promise, over many draws or tickets: which share of requests each target gets first."""

from collections import Counter
from itertools import count, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.target import target_id
from gateway.routing.draws import Draws
from gateway.routing.resolve import ProviderModel
from gateway.routing.speed import Speed
from gateway.routing.strategies import (
    COMBO_STRATEGIES,
    EXPLORED_SHARE,
    Case,
    better_of_two,
    fastest,
    least,
    rotated,
    shuffled,
    weighted,
)
from gateway.routing.view import EMPTY_VIEW, Beliefs, View
from tests.support.catalogs import catalog, connection

SWEEP = [(step + 0.5) / 10_000 for step in range(10_000)]


def models(*weights: float) -> list[ProviderModel]:
    return [ProviderModel("local", f"m{i}", "c", weight) for i, weight in enumerate(weights)]


@pytest.mark.parametrize(
    ("weights", "shares"),
    [
        ((1, 1), (0.5, 0.5)),
        ((70, 30), (0.7, 0.3)),
        ((0, 1), (0.0, 1.0)),
        ((0, 0, 0, 0), (0.25, 0.25, 0.25, 0.25)),
        ((5, 0, 15), (0.25, 0.0, 0.75)),
        ((0.5, 1.5), (0.25, 0.75)),
    ],
)
def test_weights_are_shares_of_the_first_pick(weights: tuple[float, ...], shares: tuple[float, ...]) -> None:
    listed = models(*weights)
    picks = Counter(weighted(listed, Draws(chance))[0].model for chance in SWEEP)
    for index, share in enumerate(shares):
        assert picks[f"m{index}"] / len(SWEEP) == pytest.approx(share, abs=0.001)


def test_what_weight_did_not_pick_follows_by_falling_weight() -> None:
    assert [one.model for one in weighted(models(1, 5, 3), Draws(0.0))] == ["m0", "m1", "m2"]
    assert [one.model for one in weighted(models(1, 5, 3), Draws(0.99))] == ["m2", "m1", "m0"]


def case(chance: float = 0.5, view: View = EMPTY_VIEW, now: float = 0.0) -> Case:
    return Case(catalog(connection("local")), view, Draws(chance), now=now)


@settings(deadline=None, database=None)
@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=12),
    st.floats(0, 1, exclude_max=True),
    st.sampled_from(sorted(COMBO_STRATEGIES)),
)
def test_every_strategy_keeps_every_model_once(weights: list[float], chance: float, strategy: str) -> None:
    listed = models(*weights)
    ordered = COMBO_STRATEGIES[strategy](listed, "combo:c", case(chance))
    assert sorted(one.model for one in ordered) == sorted(one.model for one in listed)


def test_shuffling_gives_every_order_equally_often() -> None:
    orders = Counter(tuple(one.model for one in shuffled(models(0, 0, 0), Draws(chance))) for chance in SWEEP)
    assert set(orders) == set(permutations(("m0", "m1", "m2")))
    assert max(orders.values()) - min(orders.values()) <= 2


# -- over many requests ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sticky_limit", [1, 3])
def test_turns_go_round_and_stay_as_long_as_they_should(sticky_limit: int) -> None:
    firsts = [next(rotated("abc", ticket, sticky_limit)) for ticket in range(6 * sticky_limit)]
    assert firsts == [name for name in "abcabc" for _ in range(sticky_limit)]
    assert list(rotated("abc", sticky_limit, sticky_limit)) == ["b", "c", "a"], "the others follow in the circle"


def test_a_combo_in_turns_shares_to_the_last_request() -> None:
    given, tickets = case(), count()
    given.tickets = lambda cursor, sticky_limit: next(tickets)
    order = COMBO_STRATEGIES["round-robin"]
    firsts = Counter(order(models(0, 0, 0), "combo:c", given)[0].model for _ in range(300))
    assert firsts == {"m0": 100, "m1": 100, "m2": 100}


def test_the_least_used_comes_first_and_equals_share() -> None:
    used = {"a": 5, "b": 1, "c": 1, "d": 9}
    orders = [least("abcd", used.__getitem__, Draws(chance)) for chance in SWEEP]
    assert Counter(order[0] for order in orders).keys() == {"b", "c"}
    assert all(order[2:] == ["a", "d"] for order in orders)


def test_counted_uses_even_out() -> None:
    used: Counter[tuple[str, str]] = Counter({("local", "m0"): 30})
    for step in range(270):
        view = Beliefs(models_used=used)
        first = COMBO_STRATEGIES["least-used"](models(0, 0, 0), "", case(step * 0.618 % 1, view))[0]
        used[first.provider, first.model] += 1
    assert max(used.values()) - min(used.values()) <= 1


def test_two_choices_leave_the_worst_for_last_and_prefer_the_better() -> None:
    bad = {"a": 1.0, "b": 2.0, "c": 3.0}
    orders = [list(better_of_two("abc", bad.__getitem__, Draws(chance))) for chance in SWEEP]
    firsts = Counter(order[0] for order in orders)
    assert firsts["a"] / len(SWEEP) == pytest.approx(2 / 3, abs=0.01)  # two of the three pairs have it
    assert firsts["b"] / len(SWEEP) == pytest.approx(1 / 3, abs=0.01)
    assert firsts["c"] == 0
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)


def test_the_fastest_wins_by_far_and_near_equals_share() -> None:
    assert {fastest("abc", [1000.0, 200.0, 900.0], Draws(chance))[0] for chance in SWEEP} == {"b"}
    firsts = Counter(fastest("abcd", [210.0, 200.0, 220.0, 900.0], Draws(chance))[0] for chance in SWEEP)
    assert firsts["b"] > firsts["a"] > 0
    assert firsts["d"] == 0


def test_a_sum_of_draws_is_as_even_as_each_of_them() -> None:
    pairs = Counter()
    for chance in SWEEP:
        draws = Draws(chance)
        pairs[int(draws.fraction() * 4), draws.below(4), int(draws.fraction() * 4)] += 1
    assert len(pairs) == 64, "what was drawn first does not decide what is drawn next"
    assert max(pairs.values()) < 3 * len(SWEEP) / 64


def test_drawing_some_of_many_gives_each_the_same_part() -> None:
    names = range(1000)
    seen = Counter(next(shuffled(names, Draws(chance))) for chance in SWEEP)
    assert len(seen) == 1000
    assert max(seen.values()) <= 11
    assert len(set(shuffled(names, Draws(0.5)))) == 1000


# -- latency -----------------------------------------------------------------------------------------------------------


def _latency(chance: float, speeds: dict[str, Speed], now: float = 0.0) -> str:
    view = Beliefs(speeds={target_id("local-a", model): speed for model, speed in speeds.items()})
    return COMBO_STRATEGIES["latency"](models(0, 0), "", case(chance, view, now))[0].model


def test_what_was_never_measured_is_tried_once_at_a_time() -> None:
    fast = Speed(100.0, 1.0, 0, 10.0)
    assert {_latency(chance, {"m0": fast}, 10.0) for chance in SWEEP[::50]} == {"m1"}
    assert {_latency(chance, {"m0": fast, "m1": Speed(open=1)}, 10.0) for chance in SWEEP[::50]} == {"m0"}


def test_what_was_slow_is_tried_again_now_and_then_and_no_more() -> None:
    speeds = {"m0": Speed(100.0, 1.0, 0, 1000.0), "m1": Speed(9000.0, 1.0, 0, 900.0)}
    picks = Counter(_latency(chance, speeds, 1000.0) for chance in SWEEP)
    assert picks["m1"] / len(SWEEP) == pytest.approx(EXPLORED_SHARE, rel=0.15)
    fresh = {"m0": speeds["m0"], "m1": Speed(9000.0, 1.0, 0, 990.0)}
    assert {_latency(chance, fresh, 1000.0) for chance in SWEEP[::10]} == {"m0"}


def test_open_requests_make_a_target_slower() -> None:
    speeds = {"m0": Speed(100.0, 0.0, 9, 0.0), "m1": Speed(400.0, 0.0, 0, 0.0)}
    assert {_latency(chance, speeds) for chance in SWEEP[::50]} == {"m1"}
