"""What providers ask, as data: one TOML file each in `prices/`. A model that is not in it has no known price.

The figures are facts of a date, not promises: `source` is the provider's own page, `checked` the day on which the
file was written, and `basis` says of each figure how it was learned. An operator's own price counts before it.
"""

import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec

_PRICES = Path(__file__).parent / "prices"

Basis = Literal["provider", "secondary", "memory"]
"""Read on the provider's page, read where somebody else quoted it, or known to the author and not looked up."""
_Usd = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]


class ListedPrice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """USD per 1,000,000 tokens, from an instant on (left out = always)."""

    model: str
    basis: Basis
    begins: Annotated[datetime, msgspec.Meta(tz=True)] | None = msgspec.field(default=None, name="from")
    input: _Usd | None = None
    output: _Usd | None = None
    cache_read: _Usd | None = None
    cache_write: _Usd | None = None
    reasoning: _Usd | None = None

    @property
    def valid_from(self) -> float:
        """Unix seconds, 0 = always."""
        return 0.0 if self.begins is None else self.begins.timestamp()


class PriceList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one provider asks."""

    provider: str
    source: str
    checked: date
    prices: tuple[ListedPrice, ...]


class BrokenPriceList(ValueError):
    """A file that is not TOML, does not fit the schema, or says two prices of a model from the same instant."""


def load_price_lists(folder: Path = _PRICES) -> Mapping[str, PriceList]:
    """Load every list, by provider. Raises BrokenPriceList naming the file."""
    lists: dict[str, PriceList] = {}
    for path in sorted(folder.glob("*.toml")):
        try:
            found = msgspec.convert(tomllib.loads(path.read_text()), PriceList)
        except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
            raise BrokenPriceList(f"{path.name}: {error}") from error
        if found.provider != path.stem:
            raise BrokenPriceList(f"{path.name}: the provider is {found.provider!r}; file name and provider must agree")
        instants = [(price.model, price.valid_from) for price in found.prices]
        if len(instants) != len(set(instants)):
            raise BrokenPriceList(f"{path.name}: a model has two prices from the same instant")
        lists[found.provider] = found
    return lists
