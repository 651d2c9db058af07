"""Usage times price → nano-dollars, in integers. Pure.

`cache_read` and `cache_write` are parts of `input`, `reasoning` is a part of `output`: each token is priced once.
A part without a price of its own costs what the whole costs. No price for a side that was used = not known, which
costs 0 and is said so.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from gateway.config.snapshot import Price
from gateway.domain.usage import Usage
from gateway.routing.prices import PriceBook

MAX_KNOWN = 20_000
"""Targets whose price has been looked up; the oldest is forgotten."""

_NANO_PER_USD_PER_MILLION = 1000


class Cost(NamedTuple):
    """`is_known` is False when something was used that has no price; `nano_usd` is 0 then."""

    nano_usd: int
    is_known: bool


NOTHING_KNOWN = Cost(0, is_known=False)
NOTHING_USED = Cost(0, is_known=True)


class Rate(NamedTuple):
    """A price in whole numbers: a token costs so many `1 / parts` of a nano-dollar. None = not known."""

    parts: int
    input: int | None
    output: int | None
    cache_read: int | None
    cache_write: int | None
    reasoning: int | None


def rate_of(price: Price) -> Rate:
    """Through the decimal text of each number: 0.1 is meant as a tenth. What is no amount is not known."""
    exact = [_exact(usd) for usd in (price.input, price.output, price.cache_read, price.cache_write, price.reasoning)]
    parts = math.lcm(*(one.denominator for one in exact if one is not None))
    whole = [None if one is None else int(one * parts) for one in exact]
    own_input, own_output, cache_read, cache_write, reasoning = whole
    return Rate(
        parts,
        own_input,
        own_output,
        own_input if cache_read is None else cache_read,
        own_input if cache_write is None else cache_write,
        own_output if reasoning is None else reasoning,
    )


def cost_of(usage: Usage, rate: Rate | None) -> Cost:
    """What an answer cost, rounded once to the nearest nano-dollar (half to even)."""
    if rate is None:
        return NOTHING_KNOWN if usage.input or usage.output else NOTHING_USED
    cache_read = min(usage.cache_read, usage.input)
    cache_write = min(usage.cache_write, usage.input - cache_read)
    reasoning = min(usage.reasoning, usage.output)
    total = 0
    for count, each in (
        (usage.input - cache_read - cache_write, rate.input),
        (cache_read, rate.cache_read),
        (cache_write, rate.cache_write),
        (usage.output - reasoning, rate.output),
        (reasoning, rate.reasoning),
    ):
        if count:
            if each is None:
                return NOTHING_KNOWN
            total += count * each
    return Cost(_rounded(total, rate.parts), is_known=True)


def most_it_may_cost(input_tokens: int, output_tokens: int, rate: Rate | None) -> Cost:
    """For a reservation: each side at the dearest price its tokens may have, rounded up."""
    if rate is None:
        return NOTHING_KNOWN
    each_input, each_output = _dearest(rate)
    if (input_tokens and each_input is None) or (output_tokens and each_output is None):
        return NOTHING_KNOWN
    total = input_tokens * (each_input or 0) + output_tokens * (each_output or 0)
    return Cost(-(-total // rate.parts), is_known=True)


@lru_cache(MAX_KNOWN)
def _dearest(rate: Rate) -> tuple[int | None, int | None]:
    """The dearest price of an input and of an output token."""
    input_prices = [each for each in (rate.input, rate.cache_read, rate.cache_write) if each is not None]
    output_prices = [each for each in (rate.output, rate.reasoning) if each is not None]
    return max(input_prices, default=None), max(output_prices, default=None)


class Rates:
    """The prices of one snapshot in whole numbers, as `routing.prices.PriceBook` finds them. Bounded by MAX_KNOWN."""

    def __init__(self, book: PriceBook) -> None:
        self._book = book
        self._known: dict[tuple[str, str], Rate | _Dated | None] = {}

    def __len__(self) -> int:
        return len(self._book)

    @property
    def known(self) -> int:
        """Targets whose price has been looked up."""
        return len(self._known)

    def rate(self, provider: str, model: str, at: float) -> Rate | None:
        """The price of a target that was valid at `at` (unix seconds); None when there was none."""
        try:
            found = self._known[provider, model]
        except KeyError:
            found = self._find(provider, model)
        return found.at(at) if type(found) is _Dated else found  # type: ignore[return-value]  # told apart by its type

    def _find(self, provider: str, model: str) -> "Rate | _Dated | None":
        if len(self._known) >= MAX_KNOWN:
            del self._known[next(iter(self._known))]
        prices = self._book.find(provider, model)
        found: Rate | _Dated | None = None
        if prices:
            is_simple = len(prices) == 1 and not prices[0].valid_from
            found = rate_of(prices[0]) if is_simple else _Dated(prices)
        self._known[provider, model] = found
        return found


class _Dated:
    """The rates of a target whose price changes, by their first instant."""

    def __init__(self, prices: Sequence[Price]) -> None:
        self._begins = [price.valid_from for price in prices]
        self._rates = [rate_of(price) for price in prices]

    def at(self, at: float) -> Rate | None:
        index = bisect_right(self._begins, at)
        return self._rates[index - 1] if index else None


def _exact(usd_per_million: float | None) -> Fraction | None:
    if usd_per_million is None or not math.isfinite(usd_per_million) or usd_per_million < 0:
        return None
    return Fraction(repr(usd_per_million)) * _NANO_PER_USD_PER_MILLION


def _rounded(total: int, parts: int) -> int:
    whole, rest = divmod(total, parts)
    if 2 * rest > parts or (2 * rest == parts and whole % 2):
        whole += 1
    return whole
