"""Prices as operators send and see them: by provider and model, in USD per 1,000,000 tokens."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec

from admin_api.store.prices import PriceRow, price_id
from gateway.config.snapshot import Price

ANY_PROVIDER = "*"
"""Stands for the provider of a price that is written for a model alone."""
MAX_PRICES = 20_000

_Usd = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
_Given = _Usd | None | msgspec.UnsetType
FIELDS = ("input", "output", "cache_read", "cache_write", "reasoning")


class PriceBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`cached` and `cache_creation` are the seed's names. null = not known; what is left out stays as it was.

    `from`: unix seconds from which it counts; left out: from now on, or always if the model had no price.
    """

    input: _Given = msgspec.UNSET
    output: _Given = msgspec.UNSET
    cached: _Given = msgspec.UNSET
    cache_creation: _Given = msgspec.UNSET
    cache_read: _Given = msgspec.UNSET
    cache_write: _Given = msgspec.UNSET
    reasoning: _Given = msgspec.UNSET
    begins: Annotated[float, msgspec.Meta(ge=0, le=1e11)] | msgspec.UnsetType = msgspec.field(
        default=msgspec.UNSET, name="from"
    )

    def values(self) -> dict[str, float | None]:
        """Those that were given, by our names."""
        read = self.cached if self.cache_read is msgspec.UNSET else self.cache_read
        write = self.cache_creation if self.cache_write is msgspec.UNSET else self.cache_write
        named = {
            "input": self.input, "output": self.output, "cache_read": read, "cache_write": write,
            "reasoning": self.reasoning,
        }  # fmt: skip
        return {name: value for name, value in named.items() if not isinstance(value, msgspec.UnsetType)}


def priced_name(provider: str, model: str) -> str:
    """What a price is stored under."""
    return model if provider in ("", ANY_PROVIDER) else f"{provider}/{model}"


def provider_and_model(name: str) -> tuple[str, str]:
    provider, separator, model = name.partition("/")
    return (provider, model) if separator else (ANY_PROVIDER, name)


def current(prices: Iterable[Price], at: float) -> dict[str, Price]:
    """By name, the price that counts at `at` (unix seconds)."""
    ordered = sorted(prices, key=lambda price: price.valid_from)
    return {price.model: price for price in ordered if price.valid_from <= at}


def new_row(name: str, body: PriceBody, before: Price | None, now: float, revision: int) -> PriceRow:
    """The row of a change: what was not given is as it was."""
    begins = body.begins if not isinstance(body.begins, msgspec.UnsetType) else (now if before else 0.0)
    values = {field: getattr(before, field) if before else None for field in FIELDS} | body.values()
    return PriceRow(
        id=price_id(name, begins),
        model=name,
        valid_from=begins,
        **values,
        managed=False,
        updated_at=now,
        version=revision,
    )


def by_provider(prices: Mapping[str, Price]) -> dict[str, dict[str, Any]]:
    """The seed's shape: provider → model → figures under its names."""
    shown: dict[str, dict[str, Any]] = {}
    for name in sorted(prices):
        provider, model = provider_and_model(name)
        shown.setdefault(provider, {})[model] = figures(prices[name])
    return shown


def figures(price: Price) -> dict[str, Any]:
    return {
        "input": price.input,
        "output": price.output,
        "cached": price.cache_read,
        "cache_creation": price.cache_write,
        "reasoning": price.reasoning,
        "from": price.valid_from,
        "isDefault": price.is_default,
    }
