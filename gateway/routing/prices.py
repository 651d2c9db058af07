"""What models cost, compared as one number. Pure. (What an answer cost is the ledger's: `admin_api/services/cost.py`.)"""

from collections.abc import Collection, Mapping, Sequence

from gateway.config.snapshot import Price
from gateway.routing.patterns import compile_pattern, is_pattern, literal_length

MAX_REMEMBERED = 10_000
INPUT_SHARE = 0.75
"""Of the tokens of a usual request; what is read far outweighs what is written."""


class Prices:
    """Prices by the names operators write: `provider/model` or `prefix/model`, then the model alone, then patterns.

    `names`: provider id → what may stand before the slash. A provider in `free` costs nothing where no price is known.
    """

    def __init__(self, prices: Sequence[Price], names: Mapping[str, Sequence[str]], free: Collection[str]) -> None:
        self._exact = {price.model: price for price in prices if not is_pattern(price.model)}
        patterns = sorted((p for p in prices if is_pattern(p.model)), key=lambda price: -literal_length(price.model))
        self._patterns = [(compile_pattern(price.model), price) for price in patterns]
        self._names = names
        self._free = free
        self._found: dict[tuple[str, str], float | None] = {}

    def of(self, provider: str, model: str) -> float | None:
        """USD per 1,000,000 tokens of a usual mix; None = not known."""
        key = (provider, model)
        if key not in self._found:
            if len(self._found) >= MAX_REMEMBERED:
                self._found.clear()
            self._found[key] = self._find(provider, model)
        return self._found[key]

    def _find(self, provider: str, model: str) -> float | None:
        names = [f"{prefix}/{model}" for prefix in self._names.get(provider, (provider,))] + [model]
        price = next((found for name in names if (found := self._exact.get(name))), None) or next(
            (found for pattern, found in self._patterns if any(pattern.fullmatch(name) for name in names)), None
        )
        if price is not None and price.input is not None:
            output = price.input if price.output is None else price.output
            return price.input * INPUT_SHARE + output * (1.0 - INPUT_SHARE)
        return 0.0 if provider in self._free else None


NO_PRICES = Prices((), {}, ())
