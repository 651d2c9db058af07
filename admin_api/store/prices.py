"""Prices in USD per 1,000,000 tokens. None = not known."""

import msgspec

from admin_api.store import tables
from admin_api.store.collection import Collection


class PriceRow(msgspec.Struct, frozen=True):
    model: str
    input: float | None
    output: float | None
    cache_read: float | None
    cache_write: float | None
    reasoning: float | None
    managed: bool


prices = Collection(tables.prices, PriceRow)
