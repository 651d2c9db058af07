"""What an answer costs, in nano-dollars: each token priced once, unknown prices stay unknown."""

import pytest

from admin_api.services.cost import cost_nano_usd, price_of
from admin_api.store.prices import PriceRow
from gateway.domain.usage import Usage


def price(**given):
    blank = dict.fromkeys(("input", "output", "cache_read", "cache_write", "reasoning"))
    return PriceRow(model="p/m", managed=False, **{**blank, **given})


@pytest.mark.parametrize(
    ("usage", "rates", "nano"),
    [
        (Usage(1_000_000, 0), {"input": 3.0}, 3_000_000_000),
        (Usage(10, 5), {"input": 1.0, "output": 2.0}, 20_000),
        (Usage(100, 0, cache_read=40), {"input": 1.0, "cache_read": 0.1}, 64_000),
        (Usage(100, 0, cache_read=40), {"input": 1.0}, 100_000),
        (Usage(100, 0, cache_read=40, cache_write=10), {"input": 1.0, "cache_read": 0.1, "cache_write": 2.0}, 74_000),
        (Usage(0, 50, reasoning=20), {"output": 2.0}, 100_000),
        (Usage(0, 50, reasoning=20), {"output": 2.0, "reasoning": 4.0}, 140_000),
        (Usage(10, 0, cache_read=99), {"input": 1.0, "cache_read": 0.5}, 5_000),
        (Usage(), {}, 0),
        (Usage(10, 5), {"input": 0.0, "output": 0.0}, 0),
        (Usage(10, 5), {"input": 1.0}, None),
        (Usage(10, 0), {"input": 1.0}, 10_000),
        (Usage(1, 0), {"input": 0.0001}, 0),
        (Usage(3, 0), {"input": 0.1}, 300),
    ],
)
def test_cost(usage, rates, nano):
    assert cost_nano_usd(usage, price(**rates)) == nano


def test_no_price_is_not_zero():
    assert cost_nano_usd(Usage(10, 5), None) is None


def test_a_price_is_found_under_provider_prefix_or_bare_name():
    rows = {"p/m": price(input=1.0), "pre/n": price(input=2.0), "bare": price(input=3.0)}
    assert price_of(rows, "p", "m", ()).input == 1.0
    assert price_of(rows, "provider-id", "n", ("pre",)).input == 2.0
    assert price_of(rows, "x", "bare", ()).input == 3.0
    assert price_of(rows, "x", "other", ()) is None
