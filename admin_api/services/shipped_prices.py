"""The price lists that come with the product, as prices of a snapshot."""

from collections.abc import Mapping

from gateway.config.snapshot import Price
from gateway.providers.price_list import PriceList, load_price_lists


def shipped_prices(lists: Mapping[str, PriceList] | None = None) -> tuple[Price, ...]:
    """They count where an operator wrote none."""
    return tuple(
        Price(
            f"{found.provider}/{price.model}",
            price.input,
            price.output,
            price.cache_read,
            price.cache_write,
            price.reasoning,
            valid_from=price.valid_from,
            is_default=True,
        )
        for found in (load_price_lists() if lists is None else lists).values()
        for price in found.prices
    )
