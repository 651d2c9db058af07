"""Prices are found under any name an operator may have written; what is not known is not free."""

import pytest

from gateway.config.snapshot import Price
from gateway.routing.prices import PriceBook, Prices
from gateway.routing.resolve import ProviderModel
from gateway.routing.strategies import by_price


def priced(*prices: Price, free: tuple[str, ...] = ()) -> float | None:
    return Prices(PriceBook(prices, {"acme": ("acme", "ac")}), free).of("acme", "big")


@pytest.mark.parametrize("name", ["acme/big", "ac/big", "big", "acme/*", "b?g", "*"])
def test_a_price_is_found_by_name_or_pattern(name: str) -> None:
    assert priced(Price(name, 4.0, 8.0)) == 5.0  # three tokens in for one out


@pytest.mark.parametrize("name", ["other/big", "acme/small", "acme", "other/*"])
def test_a_price_of_something_else_is_none(name: str) -> None:
    assert priced(Price(name, 4.0, 8.0)) is None


def test_the_nearest_name_counts() -> None:
    assert (
        priced(Price("*", 1.0, 1.0), Price("acme/*", 2.0, 2.0), Price("big", 3.0, 3.0), Price("ac/big", 4.0, 4.0))
        == 4.0
    )
    assert priced(Price("*", 1.0, 1.0), Price("acme/*", 2.0, 2.0)) == 2.0


def test_a_price_without_its_output_is_taken_from_its_input() -> None:
    assert priced(Price("big", 4.0)) == 4.0
    assert priced(Price("big", None, 4.0)) is None


def test_a_provider_of_free_connections_costs_nothing_unless_a_price_is_written() -> None:
    assert priced(free=("acme",)) == 0.0
    assert priced(Price("big", 4.0, 4.0), free=("acme",)) == 4.0


def test_what_has_no_price_comes_last() -> None:
    models = [ProviderModel("p", name) for name in ("unknown", "dear", "cheap", "free", "strange")]
    prices = {"dear": 9.0, "cheap": 1.0, "free": 0.0}
    ordered = by_price(models, lambda model: prices.get(model.model))
    assert [model.model for model in ordered] == ["free", "cheap", "dear", "unknown", "strange"]
