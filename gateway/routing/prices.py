"""Which price a model has, and what models cost compared as one number. Pure. (What an answer cost: `accounting/cost.py`.)"""

import re
from collections.abc import Collection, Mapping, Sequence

from gateway.config.snapshot import Price
from gateway.domain.steps import Steps, each, each_pattern, finished, in_order
from gateway.routing.patterns import compile_pattern, is_pattern, literal_length

MAX_REMEMBERED = 10_000
INPUT_SHARE = 0.75
"""Of the tokens of a usual request; what is read far outweighs what is written."""


class PriceBook:
    """Finds the prices of a target. A `Price.model` is `<provider or prefix>/<model>` or `<model>`, with `*` and `?`.

    What an operator wrote counts before what is shipped (`is_default`). One without wildcards counts before all
    others: under the provider's name or a prefix first, then the bare model. Of patterns the one with the most
    literal text counts; of equals the first in the alphabet.

    `names`: provider id → what may stand before the slash.
    """

    def __init__(self, prices: Sequence[Price], names: Mapping[str, Sequence[str]]) -> None:
        self._names = names
        self._own, self._shipped = _Shelf(), _Shelf()
        finished(self._take(prices))

    @classmethod
    def making(cls, prices: Sequence[Price], names: Mapping[str, Sequence[str]]) -> Steps["PriceBook"]:
        """The same in steps."""
        made = cls((), names)
        yield from made._take(prices)
        return made

    def _take(self, prices: Sequence[Price]) -> Steps[None]:
        yield from self._own.take([price for price in prices if not price.is_default])
        yield from self._shipped.take([price for price in prices if price.is_default])

    def __len__(self) -> int:
        """Names that have a price."""
        return len(self._own) + len(self._shipped)

    def find(self, provider: str, model: str) -> tuple[Price, ...]:
        """All prices that the target had, has and will have, by their first instant; empty = none is known."""
        names = [f"{prefix}/{model}" for prefix in self._names.get(provider, (provider,))] + [model]
        return self._own.find(names) or self._shipped.find(names)


class _Shelf:
    """Prices of one author, by name and by pattern."""

    def __init__(self) -> None:
        self._exact: dict[str, tuple[Price, ...]] = {}
        self._patterns: list[tuple[re.Pattern[str], tuple[Price, ...]]] = []

    def take(self, prices: Sequence[Price]) -> Steps[None]:
        by_name: dict[str, tuple[Price, ...]] = {}

        def add(price: Price) -> None:
            by_name[price.model] = (*by_name.get(price.model, ()), price)

        ordered = yield from in_order(prices, lambda price: price.valid_from)
        yield from each(ordered, add)
        patterns: list[str] = []

        def sort_out(model: str) -> None:
            if is_pattern(model):
                patterns.append(model)
            else:
                self._exact[model] = by_name[model]

        yield from each(by_name, sort_out)
        chosen = yield from in_order(patterns, lambda model: (-literal_length(model), model))
        yield from each_pattern(chosen, lambda model: self._patterns.append((compile_pattern(model), by_name[model])))

    def __len__(self) -> int:
        return len(self._exact) + len(self._patterns)

    def find(self, names: Sequence[str]) -> tuple[Price, ...]:
        for name in names:
            if name in self._exact:
                return self._exact[name]
        for pattern, prices in self._patterns:
            if any(pattern.fullmatch(name) for name in names):
                return prices
        return ()


def valid_at(prices: Sequence[Price], at: float) -> Price | None:
    """Of the prices of one target, by their first instant, the one that counts at `at` (unix seconds)."""
    return next((price for price in reversed(prices) if price.valid_from <= at), None)


class Prices:
    """What a usual mix of tokens costs at the instant `at`. A provider in `free` costs nothing where no price is known."""

    def __init__(self, book: PriceBook, free: Collection[str], at: float = 0.0) -> None:
        self.book = book
        self._free = free
        self._at = at
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
        price = valid_at(self.book.find(provider, model), self._at)
        if price is not None and price.input is not None:
            output = price.input if price.output is None else price.output
            return price.input * INPUT_SHARE + output * (1.0 - INPUT_SHARE)
        return 0.0 if provider in self._free else None


NO_PRICES = Prices(PriceBook((), {}), ())
