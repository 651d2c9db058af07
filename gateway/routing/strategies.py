"""In which order a combo's models, and a provider's connections, are tried. Pure functions of data, in two tables."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TypeVar

from gateway.domain.target import Connection
from gateway.routing.catalog import Catalog
from gateway.routing.draws import Draws
from gateway.routing.offers import Offer
from gateway.routing.resolve import ProviderModel
from gateway.routing.speed import EXPECTED_TOKENS, is_stale, score
from gateway.routing.view import View

_T = TypeVar("_T")

Tickets = Callable[[str, int], int]
"""(cursor, sticky limit) → the next ticket of that cursor; tickets of a cursor are counted over all workers."""

NEAR = 2.0
"""Targets whose score is within so many times the best one's share the load, two choices at a time."""
EXPLORED_SHARE = 1 / 16
"""Of requests, at most, that try a target again which was not measured lately."""
MAX_COMPARED = 32
"""Connections compared for one choice; of more, MAX_DRAWN are drawn and compared."""
MAX_DRAWN = 12
MAX_COPIED = 64
"""So few are turned as a whole, which is quicker than one by one; of more, mostly few are asked for."""
MEASURED_ACCOUNTS = 4
"""Connections that speak for the speed of a model at a provider."""


@dataclass(slots=True)
class Case:
    """What one choice may look at. `scores` is filled on the way, for those who ask why."""

    catalog: Catalog
    view: View
    draws: Draws
    tickets: Tickets | None = None
    sticky_limit: int = 1
    expected_tokens: int = EXPECTED_TOKENS
    now: float = 0.0
    scores: dict[str, float] = field(default_factory=dict)


# -- orders of anything ------------------------------------------------------------------------------------------------


def weighted(models: Sequence[ProviderModel], draws: Draws) -> Sequence[ProviderModel]:
    """One pick by weight (all zero: equal shares), then the rest by falling weight. A negative weight counts as zero."""
    weights = [max(0.0, model.weight) for model in models]
    total = sum(weights)
    mark = draws.fraction() * (total or len(models))
    picked = 0
    for index, weight in enumerate(weights):
        if weight or not total:
            picked = index
            mark -= weight if total else 1.0
            if mark < 0:
                break
    rest = sorted((index for index in range(len(models)) if index != picked), key=lambda index: -weights[index])
    return [models[picked], *(models[index] for index in rest)]


def shuffled(items: Sequence[_T], draws: Draws) -> Iterator[_T]:
    """Every order equally likely; only as much is drawn as is asked for."""
    count = len(items)
    moved: dict[int, int] = {}
    for index in range(count):
        other = index + draws.below(count - index)
        yield items[moved.get(other, other)]
        moved[other] = moved.get(index, index)


def rotated(items: Sequence[_T], ticket: int, sticky_limit: int) -> Iterator[_T]:
    """Beginning with the ticket's own: `sticky_limit` tickets in a row begin with the same one."""
    count = len(items)
    start = ticket // max(1, sticky_limit) % count if count else 0
    if count <= MAX_COPIED:
        return chain(items[start:], items[:start])
    return (items[index % count] for index in range(start, start + count))


def by_price(models: Iterable[ProviderModel], price: Callable[[ProviderModel], float | None]) -> list[ProviderModel]:
    """Cheapest first; an unknown price comes last, which is not the same as free."""
    prices = [(price(model), model) for model in models]
    return [model for _, model in sorted(prices, key=lambda pair: float("inf") if pair[0] is None else pair[0])]


def least(items: Sequence[_T], uses: Callable[[_T], int], draws: Draws) -> list[_T]:
    """Least used first; equals in an order that `draws` turns, so that they share."""
    return sorted(rotated(items, draws.below(len(items)), 1), key=uses)


def fastest(items: Sequence[_T], scores: Sequence[float], draws: Draws) -> list[_T]:
    """The better of two drawn among the near-best, then the others by score."""
    order = sorted(range(len(items)), key=scores.__getitem__)
    limit = scores[order[0]] * NEAR
    near = 1
    while near < len(order) and scores[order[near]] <= limit:
        near += 1
    if near > 2:
        first = min(draws.below(near), draws.below(near - 1))  # the lower place is the better score
        order.insert(0, order.pop(first))
    return [items[index] for index in order]


def better_of_two(items: Sequence[_T], badness: Callable[[_T], float], draws: Draws) -> Iterator[_T]:
    """Power of two choices: of two drawn the better one, then the better of the loser and the next one drawn."""
    drawn = shuffled(items, draws)
    held = next(drawn, None)
    if held is None:
        return
    worst = badness(held)
    for other in drawn:
        bad = badness(other)
        if bad < worst:
            yield other
        else:
            yield held
            held, worst = other, bad
    yield held


# -- combos ------------------------------------------------------------------------------------------------------------

Models = Sequence[ProviderModel]
Order = Callable[[Models, str, Case], Models]
"""(models, cursor, case) → the same models in order."""


def _priority(models: Models, _cursor: str, _case: Case) -> Models:
    return models


def _weighted(models: Models, _cursor: str, case: Case) -> Models:
    return weighted(models, case.draws)


def _random(models: Models, _cursor: str, case: Case) -> Models:
    return list(shuffled(models, case.draws))


def _round_robin(models: Models, cursor: str, case: Case) -> Models:
    return list(rotated(models, _ticket(cursor, len(models), case), case.sticky_limit))


def _least_used(models: Models, _cursor: str, case: Case) -> Models:
    return least(models, lambda model: case.view.model_uses(model.provider, model.model), case.draws)


def _cost_optimized(models: Models, _cursor: str, case: Case) -> Models:
    catalog, scores = case.catalog, case.scores

    def price(model: ProviderModel) -> float | None:
        found = catalog.price_of(model.provider, model.model)
        if found is not None:
            scores[f"{model.provider}/{model.model}"] = found
        return found

    return by_price(models, price)


def _latency(models: Models, _cursor: str, case: Case) -> Models:
    scores: list[float] = []
    stale: list[int] = []
    for index, model in enumerate(models):
        value, is_old = _model_score(model, case)
        scores.append(value)
        case.scores[f"{model.provider}/{model.model}"] = value
        if is_old:
            stale.append(index)
    ordered = fastest(models, scores, case.draws)
    if stale and case.draws.fraction() < EXPLORED_SHARE:
        explored = models[stale[case.draws.below(len(stale))]]
        return [explored, *(model for model in ordered if model is not explored)]
    return ordered


def _model_score(model: ProviderModel, case: Case) -> tuple[float, bool]:
    """The best of the connections that were measured, and whether that was long ago. None measured: their first trial."""
    speed_of, name, trial, best, is_old = case.view.speed, model.model, 0.0, -1.0, False
    for account in case.catalog.offers_of.of(model.provider, name).accounts[:MEASURED_ACCOUNTS]:
        speed = speed_of(account, name)
        if speed is None:
            continue
        value = score(speed, case.expected_tokens)
        if speed.ttft_ms is None:
            trial += value
        elif best < 0 or value < best:
            best, is_old = value, is_stale(speed, case.now)
    return (trial, False) if best < 0 else (best, is_old)


COMBO_STRATEGIES: Mapping[str, Order] = {
    "priority": _priority,
    "weighted": _weighted,
    "round-robin": _round_robin,
    "random": _random,
    "least-used": _least_used,
    "cost-optimized": _cost_optimized,
    "latency": _latency,
}


# -- connections -------------------------------------------------------------------------------------------------------

AccountOrder = Callable[[Offer, Sequence[Connection], str, str, Case], Iterable[Connection]]
"""(offer, those of it that are awake, model, cursor, case) → connections, as many as are asked for."""


def _fill_first(
    _offer: Offer, awake: Sequence[Connection], _model: str, _cursor: str, _case: Case
) -> Iterable[Connection]:
    return awake


def _accounts_in_turn(
    _offer: Offer, awake: Sequence[Connection], _model: str, cursor: str, case: Case
) -> Iterable[Connection]:
    return rotated(awake, _ticket(cursor, len(awake), case), case.sticky_limit)


def _better_account(
    _offer: Offer, awake: Sequence[Connection], model: str, _cursor: str, case: Case
) -> Iterable[Connection]:
    view, expected = case.view, case.expected_tokens
    return better_of_two(awake, lambda account: score(view.speed(account, model), expected), case.draws)


def _any_account(
    _offer: Offer, awake: Sequence[Connection], _model: str, _cursor: str, case: Case
) -> Iterable[Connection]:
    return shuffled(awake, case.draws)


def _least_used_account(
    _offer: Offer, awake: Sequence[Connection], _model: str, _cursor: str, case: Case
) -> Iterable[Connection]:
    if len(awake) > MAX_COMPARED:
        awake = list(islice(shuffled(awake, case.draws), MAX_DRAWN))
    return least(awake, case.view.uses, case.draws) if awake else ()


def _cheapest_account(
    offer: Offer, awake: Sequence[Connection], _model: str, _cursor: str, _case: Case
) -> Iterable[Connection]:
    if awake is offer.accounts:
        return offer.by_cost
    kept = frozenset(account.id for account in awake)
    return [account for account in offer.by_cost if account.id in kept]


ACCOUNT_STRATEGIES: Mapping[str, AccountOrder] = {
    "fill-first": _fill_first,
    "round-robin": _accounts_in_turn,
    "p2c": _better_account,
    "random": _any_account,
    "least-used": _least_used_account,
    "cost-optimized": _cheapest_account,
}


def _ticket(cursor: str, count: int, case: Case) -> int:
    """Without a cursor to ask any place is as good as another."""
    if case.tickets is None or not cursor:
        return case.draws.below(max(1, count)) * max(1, case.sticky_limit)
    return case.tickets(cursor, case.sticky_limit)
