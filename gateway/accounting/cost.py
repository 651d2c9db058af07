"""Usage times price → nano-dollars, in integers. Pure.

`cache_read` and `cache_write` are parts of `input`, `reasoning` is a part of `output`: each token is priced once.
A part without a price of its own costs what the whole costs. No price for a side that was used = not known, which
costs 0 and is said so.
"""

import math
import re
from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

from gateway.config.snapshot import Price
from gateway.domain.steps import Steps, each, each_pattern, finished, in_order
from gateway.domain.usage import Usage
from gateway.routing.patterns import compile_pattern, is_pattern, literal_length

MAX_KNOWN = 20_000
"""Targets whose price has been looked up; the oldest is forgotten."""

_NANO_PER_USD_PER_MILLION = 1000
_RATE_UNITS = 40
"""Of work, to read one price."""


class Cost(NamedTuple):
    """`is_known` is False when something was used that has no price; `nano_usd` is 0 then."""

    nano_usd: int
    is_known: bool


NOTHING_KNOWN = Cost(0, is_known=False)


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
        return NOTHING_KNOWN if usage.input or usage.output else Cost(0, is_known=True)
    cache_read = min(usage.cache_read, usage.input)
    cache_write = min(usage.cache_write, usage.input - cache_read)
    reasoning = min(usage.reasoning, usage.output)
    total = 0
    for count, price in (
        (usage.input - cache_read - cache_write, rate.input),
        (cache_read, rate.cache_read),
        (cache_write, rate.cache_write),
        (usage.output - reasoning, rate.output),
        (reasoning, rate.reasoning),
    ):
        if count:
            if price is None:
                return NOTHING_KNOWN
            total += count * price
    return Cost(_rounded(total, rate.parts), is_known=True)


def most_it_may_cost(input_tokens: int, output_tokens: int, rate: Rate | None) -> Cost:
    """For a reservation: each side at the dearest price its tokens may have, rounded up."""
    if rate is None:
        return NOTHING_KNOWN
    total = 0
    for count, prices in (
        (input_tokens, (rate.input, rate.cache_read, rate.cache_write)),
        (output_tokens, (rate.output, rate.reasoning)),
    ):
        known = [each for each in prices if each is not None]
        if count and not known:
            return NOTHING_KNOWN
        total += count * max(known, default=0)
    return Cost(-(-total // rate.parts), is_known=True)


class Rates:
    """The prices of one snapshot. A `Price.model` is `<provider or prefix>/<model>` or `<model>`, with `*` and `?`.

    One without wildcards counts before all others: under the provider's name or prefix first, then the bare model.
    Of patterns the one with the most literal text counts; of equals the first in the alphabet.
    """

    def __init__(self, prices: Iterable[Price]) -> None:
        self._exact: dict[str, Rate] = {}
        self._patterns: list[tuple[re.Pattern[str], Rate]] = []
        self._known: dict[tuple[str, str, str], Rate | None] = {}
        finished(self._take(prices))

    @classmethod
    def making(cls, prices: Iterable[Price]) -> Steps["Rates"]:
        """The same in steps."""
        made = cls(())
        yield from made._take(prices)
        return made

    def _take(self, prices: Iterable[Price]) -> Steps[None]:
        patterns: list[tuple[str, Rate]] = []

        def sort_out(price: Price) -> None:
            if is_pattern(price.model):
                patterns.append((price.model, rate_of(price)))
            else:
                self._exact[price.model] = rate_of(price)

        yield from each(prices, sort_out, _RATE_UNITS)
        ordered = yield from in_order(patterns, lambda one: (-literal_length(one[0]), one[0]))
        yield from each_pattern(ordered, lambda one: self._patterns.append((compile_pattern(one[0]), one[1])))

    def __len__(self) -> int:
        return len(self._exact) + len(self._patterns)

    @property
    def known(self) -> int:
        """Targets whose price has been looked up."""
        return len(self._known)

    def rate(self, provider: str, prefix: str, model: str) -> Rate | None:
        """The price of a target; None when there is none."""
        target = (provider, prefix, model)
        if target in self._known:
            return self._known[target]
        if len(self._known) >= MAX_KNOWN:
            del self._known[next(iter(self._known))]
        found = self._known[target] = self._find((f"{provider}/{model}", f"{prefix}/{model}", model))
        return found

    def _find(self, names: tuple[str, ...]) -> Rate | None:
        for name in names:
            if name in self._exact:
                return self._exact[name]
        for matches, rate in self._patterns:
            if any(matches.fullmatch(name) for name in names):
                return rate
        return None


def _exact(usd_per_million: float | None) -> Fraction | None:
    if usd_per_million is None or not math.isfinite(usd_per_million) or usd_per_million < 0:
        return None
    return Fraction(repr(usd_per_million)) * _NANO_PER_USD_PER_MILLION


def _rounded(total: int, parts: int) -> int:
    whole, rest = divmod(total, parts)
    if 2 * rest > parts or (2 * rest == parts and whole % 2):
        whole += 1
    return whole
