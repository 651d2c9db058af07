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
