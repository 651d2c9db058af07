"""The plan of one request: targets in the order in which they are tried."""

from collections.abc import Callable, Sequence

from gateway.config.snapshot import Combo
from gateway.domain.errors import Forbidden, NotFound
from gateway.domain.target import Connection, Target
from gateway.routing.catalog import Catalog
from gateway.routing.resolve import ProviderModel, Resolution

MAX_TARGETS = 8
"""Candidates of one request; more would only lengthen an outage for the caller."""

Order = Callable[[Sequence[ProviderModel], float], Sequence[ProviderModel]]


def make_plan(resolution: Resolution, catalog: Catalog, chance: float) -> tuple[Target, ...]:
    """Order the models by the combo's strategy, then each provider's connections fill-first.

    `chance` is a random number in [0, 1), the only thing that varies. Raises NotFound when nothing can be tried.
    """
    targets = [
        Target(connection, model.model, model.combo)
        for model in _order(resolution, chance)
        for connection in _accounts(model, catalog)
    ]
    if not targets:
        raise NotFound("no connection offers this model now", code="no_connection", param="model")
    return tuple(targets[:MAX_TARGETS])


def _accounts(model: ProviderModel, catalog: Catalog) -> list[Connection]:
    accounts = catalog.connections.get(model.provider, ())
    return [account for account in accounts if not account.models or model.model in account.models]


def _order(resolution: Resolution, chance: float) -> Sequence[ProviderModel]:
    combo: Combo | None = resolution.combo
    if combo is None or len(resolution.models) == 1:
        return resolution.models
    order = STRATEGIES.get(combo.strategy)
    if order is None:
        raise Forbidden(
            f"the combo {combo.name!r} asks for the strategy {combo.strategy!r}, which is not available yet",
            code="strategy_not_available",
        )
    return order(resolution.models, chance)


def priority(models: Sequence[ProviderModel], _chance: float) -> Sequence[ProviderModel]:
    """As listed."""
    return models


def weighted(models: Sequence[ProviderModel], chance: float) -> Sequence[ProviderModel]:
    """One pick by weight (all zero: equal shares), then the rest by falling weight."""
    total = sum(model.weight for model in models)
    mark = chance * (total or len(models))
    for picked in models:
        mark -= picked.weight if total else 1
        if mark < 0:
            break
    rest = [model for model in models if model is not picked]
    return [picked, *sorted(rest, key=lambda model: -model.weight)]


def shuffled(models: Sequence[ProviderModel], chance: float) -> Sequence[ProviderModel]:
    """Every order equally likely: `chance` picks the permutation."""
    left, order = list(models), []
    while left:
        chance *= len(left)
        index = min(int(chance), len(left) - 1)
        chance -= index
        order.append(left.pop(index))
    return order


STRATEGIES: dict[str, Order] = {"priority": priority, "weighted": weighted, "random": shuffled}
