"""A plan is a bounded list of targets in the strategy's order; `chance` is all that varies."""

import pytest

from gateway.domain.errors import NotFound
from gateway.routing.plan import MAX_TARGETS, make_plan
from gateway.routing.resolve import ProviderModel, Resolution, resolve
from tests.support.catalogs import catalog, combo, connection


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


def test_chance_decides_the_order_of_a_random_combo() -> None:
    tables = catalog(connection(), combos=[combo("c", "local/a", "local/b", strategy="random")])
    resolution = resolve("c", tables)
    firsts = {make_plan(resolution, tables, chance)[0].model for chance in (0.1, 0.9)}
    assert firsts == {"a", "b"}


def test_a_connection_that_has_gone_since_leaves_nothing_to_try() -> None:
    with pytest.raises(NotFound) as error:
        make_plan(Resolution((ProviderModel("gone", "m"),)), catalog(connection()), 0.0)
    assert error.value.code == "no_connection"
