"""How much a request may use: what `Holds.take` reserves for it. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from gateway.accounting.cost import Rate, most_it_may_cost

DEFAULT_MOST_OUTPUT = 4096
"""More output than this is not reserved ahead; what is used above it is a debt of the minute in which it was asked."""


class Reservation(NamedTuple):
    """`nano_usd` is 0 where no price is known."""

    tokens: int
    nano_usd: int


def reservation_of(
    input_tokens: int,
    max_output: int | None,
    targets: Iterable[tuple[int, Rate | None]],
    default_most_output: int = DEFAULT_MOST_OUTPUT,
) -> Reservation:
    """The most that any target may use: estimated input + min(what the caller allows, the model's maximum, a default).

    `max_output` is what the caller allows, None or 0 = nothing said. A target is (its model's maximum output or 0,
    its price).
    """
    tokens, nano_usd = input_tokens, 0
    for most, rate in targets:
        output = default_most_output
        if max_output and max_output < output:
            output = max_output
        if most and most < output:
            output = most
        tokens = max(tokens, input_tokens + output)
        if rate is not None:
            nano_usd = max(nano_usd, most_it_may_cost(input_tokens, output, rate).nano_usd)
    return Reservation(tokens, nano_usd)
