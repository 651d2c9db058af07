"""A plan is a bounded list of targets in the strategy's order; `chance` is all that varies."""

from collections import Counter
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.errors import Forbidden, NotFound
from gateway.routing.plan import MAX_TARGETS, STRATEGIES, make_plan, priority, shuffled, weighted
from gateway.routing.resolve import ProviderModel, Resolution, resolve
from tests.support.catalogs import catalog, combo, connection

SWEEP = [(step + 0.5) / 10_000 for step in range(10_000)]


def models(*weights: float) -> list[ProviderModel]:
    return [ProviderModel("local", f"m{i}", "c", weight) for i, weight in enumerate(weights)]


def test_priority_is_as_listed() -> None:
    listed = models(1, 5, 3)
    assert list(priority(listed, 0.9)) == listed


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
    picks = Counter(weighted(listed, chance)[0].model for chance in SWEEP)
    for index, share in enumerate(shares):
        assert picks[f"m{index}"] / len(SWEEP) == pytest.approx(share, abs=0.001)


def test_what_weight_did_not_pick_follows_by_falling_weight() -> None:
    assert [one.model for one in weighted(models(1, 5, 3), 0.0)] == ["m0", "m1", "m2"]
    assert [one.model for one in weighted(models(1, 5, 3), 0.99)] == ["m2", "m1", "m0"]


@settings(deadline=None, database=None)
@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=12),
    st.floats(0, 1, exclude_max=True),
    st.sampled_from(sorted(STRATEGIES)),
)
def test_every_strategy_keeps_every_model_once(weights: list[float], chance: float, strategy: str) -> None:
    listed = models(*weights)
    ordered = STRATEGIES[strategy](listed, chance)
    assert sorted(one.model for one in ordered) == sorted(one.model for one in listed)


def test_shuffling_gives_every_order_equally_often() -> None:
    orders = Counter(tuple(one.model for one in shuffled(models(0, 0, 0), chance)) for chance in SWEEP)
    assert set(orders) == set(permutations(("m0", "m1", "m2")))
    assert max(orders.values()) - min(orders.values()) <= 2


def test_a_models_connections_follow_each_other_by_priority() -> None:
    tables = catalog(
        connection("local", "second", priority=2),
        connection("local", "first", priority=1),
        connection("local", "without", priority=0, models=["other-model"]),
        connection("other", "only", models=["x"]),
        combos=[combo("c", "other/x", "local/m")],
    )
    plan = make_plan(resolve("c", tables), tables, 0.0)
    assert [(target.connection.name, target.model, target.combo) for target in plan] == [
        ("only", "x", "c"), ("first", "m", "c"), ("second", "m", "c"),
    ]  # fmt: skip


def test_a_plan_is_bounded() -> None:
    tables = catalog(*(connection(name=f"c{i:02}") for i in range(50)))
    plan = make_plan(resolve("local/m", tables), tables, 0.0)
    assert [target.connection.name for target in plan] == [f"c{i:02}" for i in range(MAX_TARGETS)]


def test_a_strategy_that_is_not_there_is_refused_by_name() -> None:
    tables = catalog(connection(), combos=[combo("c", "local/a", "local/b", strategy="latency")])
    with pytest.raises(Forbidden, match="'latency'") as error:
        make_plan(resolve("c", tables), tables, 0.0)
    assert error.value.code == "strategy_not_available"


def test_chance_decides_the_order_of_a_random_combo() -> None:
    tables = catalog(connection(), combos=[combo("c", "local/a", "local/b", strategy="random")])
    resolution = resolve("c", tables)
    firsts = {make_plan(resolution, tables, chance)[0].model for chance in (0.1, 0.9)}
    assert firsts == {"a", "b"}


def test_a_connection_that_has_gone_since_leaves_nothing_to_try() -> None:
    with pytest.raises(NotFound) as error:
        make_plan(Resolution((ProviderModel("gone", "m"),)), catalog(connection()), 0.0)
    assert error.value.code == "no_connection"
