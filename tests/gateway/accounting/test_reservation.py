"""A reservation covers the dearest target: input and the least of what bounds its output."""

import pytest

from gateway.accounting.cost import rate_of
from gateway.accounting.reservation import DEFAULT_MOST_OUTPUT, Reservation, reservation_of
from gateway.config.snapshot import Price

RATE = rate_of(Price(model="m", input=1.0, output=10.0))
CHEAP = rate_of(Price(model="m", input=0.1, output=0.1))


@pytest.mark.parametrize(
    ("asked", "most", "output"),
    [
        (None, 0, DEFAULT_MOST_OUTPUT),
        (0, 0, DEFAULT_MOST_OUTPUT),
        (100, 0, 100),
        (100, 50, 50),
        (None, 2048, 2048),
        (10**6, 10**6, DEFAULT_MOST_OUTPUT),
    ],
)
def test_output_is_the_least_of_what_bounds_it(asked: int | None, most: int, output: int) -> None:
    assert reservation_of(10, asked, [(most, RATE)]) == Reservation(10 + output, 10_000 + output * 10_000)


def test_the_dearest_target_counts_and_one_without_a_price_costs_nothing() -> None:
    assert reservation_of(10, 100, [(0, CHEAP), (50, RATE), (0, None)]) == Reservation(110, 510_000)
    assert reservation_of(10, 100, [(0, None)]) == Reservation(110, 0)
