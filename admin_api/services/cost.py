"""Usage times price → integer nano-dollars. Pure.

`cache_read` and `cache_write` are parts of `input`, `reasoning` is a part of `output`: each token is priced once.
A part without a price of its own costs what the whole costs. No price for a side that was used = not known.
"""

from collections.abc import Mapping
from fractions import Fraction

from admin_api.store.prices import PriceRow
from gateway.domain.usage import Usage

_NANO_PER_USD_PER_MILLION = 1000


def cost_nano_usd(usage: Usage, price: PriceRow | None) -> int | None:
    """What an answer cost; None when no price is known for what it used."""
    if price is None:
        return None
    cache_read = min(usage.cache_read, usage.input)
    cache_write = min(usage.cache_write, usage.input - cache_read)
    reasoning = min(usage.reasoning, usage.output)
    parts = (
        (usage.input - cache_read - cache_write, price.input),
        (cache_read, _first(price.cache_read, price.input)),
        (cache_write, _first(price.cache_write, price.input)),
        (usage.output - reasoning, price.output),
        (reasoning, _first(price.reasoning, price.output)),
    )
    total = Fraction(0)
    for count, usd_per_million in parts:
        if count and usd_per_million is None:
            return None
        if count and usd_per_million is not None:
            # Through the decimal text: 0.1 is meant as a tenth.
            total += count * Fraction(repr(usd_per_million)) * _NANO_PER_USD_PER_MILLION
    return round(total)


def price_of(prices: Mapping[str, PriceRow], provider: str, model: str, prefixes: tuple[str, ...]) -> PriceRow | None:
    """The price of a target, under any name an operator may have written: provider or prefix and model, or model."""
    for prefix in (provider, *prefixes):
        if found := prices.get(f"{prefix}/{model}"):
            return found
    return prices.get(model)


def _first(own: float | None, whole: float | None) -> float | None:
    return whole if own is None else own
