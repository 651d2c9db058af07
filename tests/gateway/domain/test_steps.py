"""Work in steps does what it would do at once, and no step is long."""

import random

import pytest

from gateway.domain.steps import MOST, each, each_pattern, finished, in_order


@pytest.mark.parametrize("count", [0, 1, 249, 250, 251, 5_000])
def test_what_is_put_in_order_in_steps_is_what_sorting_gives(count: int) -> None:
    chance = random.Random(count)
    items = [(chance.randrange(50), number) for number in range(count)]
    assert finished(in_order(items, lambda item: item[0])) == sorted(items, key=lambda item: item[0])


def test_every_item_is_met_once_in_order() -> None:
    met: list[int] = []
    assert sum(each(range(10_000), met.append)) == 10_000
    assert met == [*range(10_000)]


def test_no_step_is_longer_than_said() -> None:
    for steps in (
        each(range(9_999), str),
        each_pattern(range(100), str),
        in_order([*range(9_999)], lambda item: -item),
    ):
        units = [*steps]
        assert max(units) <= MOST + 120
        assert sum(units) >= 9_999
