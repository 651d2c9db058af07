"""Prices in USD per 1,000,000 tokens, each from an instant on. None = not known."""

import msgspec

from admin_api.store import tables
from admin_api.store.collection import Collection
from gateway.config.snapshot import Price


class PriceRow(msgspec.Struct, frozen=True):
    """`valid_from`: unix seconds, 0 = always. Use `price_id` for `id`."""

    id: str
    model: str
    valid_from: float
    input: float | None
    output: float | None
    cache_read: float | None
    cache_write: float | None
    reasoning: float | None
    managed: bool
    updated_at: float
    version: int


prices = Collection(tables.prices, PriceRow)


def price_id(model: str, valid_from: float) -> str:
    """One model has one price from one instant."""
    return f"{model}@{valid_from:.3f}" if valid_from else model


def price_entry(row: PriceRow) -> Price:
    """A row as workers see it."""
    return Price(
        row.model, row.input, row.output, row.cache_read, row.cache_write, row.reasoning, valid_from=row.valid_from
    )
