"""Usage times price is exact; what has no price is said so; the price meant is the one that counts."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounting.cost import MAX_KNOWN, Cost, Rates, cost_of, most_it_may_cost, rate_of
from gateway.config.snapshot import Price
from gateway.domain.usage import Usage
from gateway.routing.prices import PriceBook

COUNTS = st.integers(0, 10_000_000)
USD = st.none() | st.floats(0, 1000, allow_nan=False) | st.sampled_from((0.1, 0.075, 0.0375, 1e-7, 15.0, 0.3))


def priced(**usd: float | None) -> Price:
    return Price(model="m", **usd)


@pytest.mark.parametrize(
    ("usage", "price", "nano"),
    [
        (Usage(1_000_000, 0), priced(input=3.0), 3_000_000_000),
        (Usage(100, 0, cache_read=40, cache_write=10), priced(input=1.0, cache_read=0.1, cache_write=2.0), 74_000),
        (Usage(0, 50, reasoning=20), priced(output=2.0, reasoning=4.0), 140_000),
        (Usage(10, 0, cache_read=99), priced(input=1.0, cache_read=0.5), 5_000),
        (Usage(3, 0), priced(input=0.1), 300),
        (Usage(1, 0), priced(input=0.0375), 38),
        (Usage(1, 0), priced(input=0.0005), 0),
        (Usage(3, 0), priced(input=0.0005), 2),
        (Usage(), priced(), 0),
    ],
)
def test_each_token_is_priced_once_and_the_sum_rounded_once(usage: Usage, price: Price, nano: int) -> None:
    assert cost_of(usage, rate_of(price)) == Cost(nano, is_known=True)


@pytest.mark.parametrize(
    "price", [priced(input=1.0), priced(), priced(input=1.0, output=float("nan")), priced(output=-1)]
)
def test_what_has_no_price_costs_nothing_and_is_said_so(price: Price) -> None:
    assert cost_of(Usage(10, 5), rate_of(price)) == Cost(0, is_known=False)
    assert cost_of(Usage(10, 5), None) == Cost(0, is_known=False)
    assert cost_of(Usage(), None) == Cost(0, is_known=True)


@given(COUNTS, COUNTS, st.floats(0, 1), st.floats(0, 1), st.tuples(USD, USD, USD, USD, USD))
def test_what_is_reserved_covers_what_the_same_tokens_cost(
    read: int, written: int, cached: float, thought: float, usd: tuple[float | None, ...]
) -> None:
    names = ("input", "output", "cache_read", "cache_write", "reasoning")
    rate = rate_of(Price(model="m", **dict(zip(names, usd, strict=True))))
    usage = Usage(
        read,
        written,
        cache_read=int(read * cached),
        cache_write=int(read * (1 - cached)),
        reasoning=int(written * thought),
    )
    assert cost_of(usage, rate).nano_usd <= most_it_may_cost(read, written, rate).nano_usd


def rates(*models: str) -> Rates:
    prices = [Price(model=model, input=float(number + 1)) for number, model in enumerate(models)]
    return Rates(PriceBook(prices, {"openai": ("openai", "oa")}))


def chosen(found: Rates, provider: str = "openai", model: str = "gpt-5-mini", at: float = 1.0) -> int:
    """The number of the price that counts, from 1; 0 = none."""
    rate = found.rate(provider, model, at)
    return 0 if rate is None else cost_of(Usage(1_000_000), rate).nano_usd // 1_000_000_000


@pytest.mark.parametrize(
    ("models", "number"),
    [
        (("gpt-5-mini", "openai/gpt-5-mini"), 2),
        (("oa/gpt-5-mini", "gpt-5-mini"), 1),
        (("openai/gpt-5*", "gpt-5-mini"), 2),  # one without wildcards counts before all others
        (("*", "gpt-*", "gpt-5-*", "gpt-5*"), 3),
        (("gpt-5-min?", "gpt-5-*"), 1),
        (("openai/*", "*mini"), 1),
        (("GPT-5-*",), 1),
        (("gpt-5",), 0),
        ((), 0),
    ],
)
def test_the_price_with_the_most_literal_text_counts(models: tuple[str, ...], number: int) -> None:
    assert chosen(rates(*models)) == number


def test_of_equals_the_first_in_the_alphabet_counts_in_any_order() -> None:
    models = ("*-5-mini", "gpt-5-m*", "gpt-5-?ini")
    for order in itertools.permutations(models):
        assert models[chosen(rates(*models)) - 1] == order[chosen(rates(*order)) - 1]


def test_what_is_looked_up_is_remembered_and_bounded() -> None:
    found = rates("gpt-*")
    for number in range(MAX_KNOWN + 5):
        found.rate("p", f"m{number}", 1.0)
    assert found.known == MAX_KNOWN
    assert len(found) == 1


def test_the_price_that_was_valid_at_the_time_counts() -> None:
    prices = [Price("m", 3.0, valid_from=300.0), Price("m", 1.0, valid_from=100.0), Price("m", 2.0, valid_from=200.0)]
    found = Rates(PriceBook(prices, {}))
    assert [chosen(found, "p", "m", at) for at in (99.9, 100.0, 199.9, 200.0, 299.9, 300.0, 1e12)] == [
        0,
        1,
        1,
        2,
        2,
        3,
        3,
    ]


def test_what_an_operator_wrote_counts_before_what_is_shipped() -> None:
    shipped = Price("openai/gpt-5-mini", 9.0, is_default=True)
    names = {"openai": ("openai", "oa")}
    assert chosen(Rates(PriceBook([shipped], names))) == 9
    assert chosen(Rates(PriceBook([shipped, Price("gpt-5-mini", 1.0)], names))) == 1
    assert chosen(Rates(PriceBook([shipped, Price("oa/*", 2.0)], names))) == 2
    assert chosen(Rates(PriceBook([shipped, Price("other/*", 2.0)], names))) == 9
