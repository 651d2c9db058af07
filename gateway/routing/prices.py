"""What models cost, compared as one number. Pure. (What an answer cost is the ledger's: `admin_api/services/cost.py`.)"""

import re
from collections.abc import Collection, Mapping, Sequence

from gateway.config.snapshot import Price
from gateway.domain.steps import Steps, each, each_pattern, finished, in_order
from gateway.routing.patterns import compile_pattern, is_pattern, literal_length

MAX_REMEMBERED = 10_000
INPUT_SHARE = 0.75
"""Of the tokens of a usual request; what is read far outweighs what is written."""


class Prices:
    """Prices by the names operators write: `provider/model` or `prefix/model`, then the model alone, then patterns.

    `names`: provider id → what may stand before the slash. A provider in `free` costs nothing where no price is known.
    """

    def __init__(self, prices: Sequence[Price], names: Mapping[str, Sequence[str]], free: Collection[str]) -> None:
        self._exact: dict[str, Price] = {}
        self._patterns: list[tuple[re.Pattern[str], Price]] = []
        self._names = names
        self._free = free
        self._found: dict[tuple[str, str], float | None] = {}
        finished(self._take(prices))

    @classmethod
    def making(
        cls, prices: Sequence[Price], names: Mapping[str, Sequence[str]], free: Collection[str]
    ) -> Steps["Prices"]:
        """The same in steps."""
        made = cls((), names, free)
        yield from made._take(prices)
        return made

    def _take(self, prices: Sequence[Price]) -> Steps[None]:
        patterns: list[Price] = []

        def sort_out(price: Price) -> None:
            if is_pattern(price.model):
                patterns.append(price)
            else:
                self._exact[price.model] = price

        yield from each(prices, sort_out)
        ordered = yield from in_order(patterns, lambda price: -literal_length(price.model))
        yield from each_pattern(ordered, lambda price: self._patterns.append((compile_pattern(price.model), price)))

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
