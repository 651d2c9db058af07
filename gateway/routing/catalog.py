"""The names of a snapshot, compiled for look-up: combos, prefixes, aliases, and who offers which model."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.config.snapshot import Alias, Combo, CustomModel, FallbackChain, Snapshot
from gateway.domain.steps import Steps, each, each_pattern, finished, in_order
from gateway.domain.target import Connection
from gateway.providers.spec import ModelSpec, ProviderSpec
from gateway.routing.offers import Offers
from gateway.routing.patterns import compile_pattern as compile_pattern  # noqa: PLC0414  (looked for here)
from gateway.routing.patterns import is_pattern, literal_length
from gateway.routing.prices import NO_PRICES, PriceBook, Prices


@dataclass(frozen=True, slots=True)
class WildcardAlias:
    """A pattern with `*` or `?`, matched whole and without regard to case."""

    pattern: str
    matches: re.Pattern[str]
    target: str


@dataclass(frozen=True, slots=True)
class Chain:
    """What to go on with after the targets of a name that matches: models in order, names as a caller could send."""

    name: str
    matches: re.Pattern[str] | None
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Catalog:
    """Look-up tables of one revision. `connections` are by provider id, lowest priority number first.

    `prefixes` holds every known provider, connected or not, so that an unconnected one gets a clear error.
    `offers` maps a bare model id to the providers that are connected and list it.
    """

    combos: Mapping[str, Combo]
    prefixes: Mapping[str, str]
    exact_aliases: Mapping[str, str]
    wildcard_aliases: tuple[WildcardAlias, ...]
    connections: Mapping[str, tuple[Connection, ...]]
    offers: Mapping[str, tuple[str, ...]]
    listed: tuple[tuple[str, str], ...]
    """(name a caller can send, owner) of every model that can be listed, combos first."""
    facts: Mapping[tuple[str, str], ModelSpec]
    """What the data files know of (provider, model), of connected providers."""
    chains: tuple[Chain, ...] = ()
    mains: tuple[tuple[str, str], ...] = ()
    """(provider, first model that it lists) of every connected provider but the demo."""
    prices: Prices = NO_PRICES
    offers_of: Offers = field(default_factory=lambda: Offers({}))

    def price_of(self, provider: str, model: str) -> float | None:
        """USD per 1,000,000 tokens of a usual mix; None = not known."""
        return self.prices.of(provider, model)


def compile_catalog(
    snapshot: Snapshot, specs: Mapping[str, ProviderSpec], connections: Sequence[Connection]
) -> Catalog:
    """Build the tables. `connections` are those of the snapshot that could be opened, and the built-in ones."""
    return finished(compiling_catalog(snapshot, specs, connections))


def compiling_catalog(
    snapshot: Snapshot, specs: Mapping[str, ProviderSpec], connections: Sequence[Connection]
) -> Steps[Catalog]:
    """The same in steps: thousands of connections, models and patterns take long."""
    ordered = yield from _by_provider(connections, frozenset(snapshot.settings.blocked_providers))
    known = yield from known_models(snapshot, specs)
    models: dict[str, tuple[str, ...]] = {}
    for provider, accounts in ordered.items():
        models[provider] = yield from _models_of(accounts, known.get(provider, ()))
    exact: dict[str, str] = {}
    yield from each(
        snapshot.aliases, lambda one: None if _is_wildcard(one) else exact.update({one.pattern: one.target})
    )
    wildcards = yield from _wildcards(snapshot.aliases)
    offers = yield from _offers(models)
    listed = yield from _listed(snapshot, specs, models)
    chains = yield from _chains(snapshot.fallback_chains)
    book = yield from PriceBook.making(snapshot.prices, names_of(snapshot, specs))
    prices = Prices(book, _free(ordered), snapshot.published_at)
    return Catalog(
        combos={combo.name: combo for combo in snapshot.combos},
        prefixes=_prefixes(snapshot, specs),
        exact_aliases=exact,
        wildcard_aliases=wildcards,
        connections=ordered,
        offers=offers,
        listed=listed,
        facts={(provider, model.id): model for provider in ordered for model in known.get(provider, ())},
        chains=chains,
        mains=tuple(
            (provider, names[0])
            for provider, names in models.items()
            if names and any(one.transport != "demo" for one in ordered[provider])
        ),
        prices=prices,
        offers_of=Offers(ordered, prices.of),
    )


def naming_models(snapshot: Snapshot, catalog: Catalog) -> Steps[frozenset[str]]:
    """Every model that connections list, data files know, or a combo, alias, chain or price names; no pattern stands for one."""
    lists = {one.models for accounts in catalog.connections.values() for one in accounts}
    named = {model for _, model in catalog.facts}
    for models in lists:
        named |= models
        yield len(models) // 20

    def add(name: str) -> None:
        named.update((name, name.partition("/")[2]))

    yield from each((entry.model for combo in snapshot.combos for entry in combo.models), add)
    yield from each((alias.target for alias in snapshot.aliases), add)
    yield from each((model for chain in snapshot.fallback_chains for model in chain.models), add)
    yield from each((price.model for price in snapshot.prices), add)
    return frozenset(named)


def known_models(snapshot: Snapshot, specs: Mapping[str, ProviderSpec]) -> Steps[dict[str, tuple[ModelSpec, ...]]]:
    """By provider: what the data files know of it, and what the operator says, which counts more."""
    known = {spec.id: {model.id: model for model in spec.models} for spec in specs.values()}

    def add(one: CustomModel) -> None:
        models = known.setdefault(one.provider, {})
        before = models.get(one.id, ModelSpec(one.id))
        models[one.id] = ModelSpec(
            one.id, one.context or before.context, one.max_output or before.max_output, before.capabilities
        )

    yield from each(snapshot.models, add, 2)
    return {provider: tuple(models.values()) for provider, models in known.items()}


def _by_provider(
    connections: Iterable[Connection], blocked: frozenset[str]
) -> Steps[dict[str, tuple[Connection, ...]]]:
    found: dict[str, list[Connection]] = {}
    yield from each(connections, lambda one: found.setdefault(one.provider, []).append(one))
    ordered: dict[str, tuple[Connection, ...]] = {}
    for provider, accounts in found.items():
        if provider not in blocked:
            in_turn = yield from in_order(accounts, lambda connection: (connection.priority, connection.name))
            ordered[provider] = tuple(in_turn)
    return ordered


def _is_wildcard(alias: Alias) -> bool:
    return is_pattern(alias.pattern)


def _chains(chains: Iterable[FallbackChain]) -> Steps[tuple[Chain, ...]]:
    """Plain names first, then patterns with the most literal text first."""
    found: list[Chain] = []

    def add(chain: FallbackChain) -> None:
        matches = compile_pattern(chain.name) if is_pattern(chain.name) else None
        found.append(Chain(chain.name, matches, chain.models))

    yield from each_pattern(chains, add)
    ordered = yield from in_order(
        found, lambda chain: (chain.matches is not None, -literal_length(chain.name), chain.name)
    )
    return tuple(ordered)


def names_of(snapshot: Snapshot, specs: Mapping[str, ProviderSpec]) -> dict[str, tuple[str, ...]]:
    """Provider id → what may be written before the slash."""
    names = {spec.id: (spec.id, *spec.prefixes) for spec in specs.values()}
    return names | {node.id: (node.id, node.prefix) for node in snapshot.nodes}


def _free(connections: Mapping[str, Sequence[Connection]]) -> frozenset[str]:
    """Providers all of whose connections cost nothing."""
    return frozenset(
        provider for provider, accounts in connections.items() if all(one.tier == "free" for one in accounts)
    )


def _wildcards(aliases: Iterable[Alias]) -> Steps[tuple[WildcardAlias, ...]]:
    """Most literal text first: among `claude-*` and `claude-sonnet-*` the second wins."""
    found: list[WildcardAlias] = []

    def add(alias: Alias) -> None:
        found.append(WildcardAlias(alias.pattern, compile_pattern(alias.pattern), alias.target))

    yield from each_pattern(filter(_is_wildcard, aliases), add)
    ordered = yield from in_order(found, lambda alias: (-literal_length(alias.pattern), alias.pattern))
    return tuple(ordered)


def _prefixes(snapshot: Snapshot, specs: Mapping[str, ProviderSpec]) -> dict[str, str]:
    prefixes = {prefix: spec.id for spec in specs.values() for prefix in (spec.id, *spec.prefixes)}
    for node in snapshot.nodes:
        prefixes[node.id] = node.id
        prefixes[node.prefix] = node.id
    return prefixes


def _models_of(accounts: Iterable[Connection], models: Iterable[ModelSpec]) -> Steps[tuple[str, ...]]:
    """What a provider's connections list; one without a list offers what is known of the provider."""
    known = tuple(model.id for model in models)
    lists: dict[frozenset[str], None] = {}  # thousands of accounts may have the same
    yield from each(accounts, lambda one: lists.setdefault(one.models), 5)
    found: dict[str, None] = {}
    for listed in lists:
        names = yield from in_order([*(listed - found.keys())], str) if listed else _as_they_are(known)
        yield len(listed) // 10
        yield from each(names, found.setdefault)
    return tuple(found)


def _as_they_are(names: Iterable[str]) -> Steps[list[str]]:
    yield 0
    return [*names]


def _offers(models: Mapping[str, tuple[str, ...]]) -> Steps[dict[str, tuple[str, ...]]]:
    offers: dict[str, list[str]] = {}
    for provider, names in models.items():
        yield from each(names, lambda name, provider=provider: offers.setdefault(name, []).append(provider))  # type: ignore[misc]
    found: dict[str, tuple[str, ...]] = {}
    yield from each(offers, lambda name: found.update({name: tuple(offers[name])}))
    return found


def _listed(
    snapshot: Snapshot, specs: Mapping[str, ProviderSpec], models: Mapping[str, tuple[str, ...]]
) -> Steps[tuple[tuple[str, str], ...]]:
    """Combos, then each connected provider's models under the prefix that people write."""
    written = {node.id: node.prefix for node in snapshot.nodes}
    written.update({spec.id: spec.id for spec in specs.values()})
    found: dict[tuple[str, str], None] = {}
    yield from each(
        (combo.name for combo in snapshot.combos if combo.is_active), lambda n: found.setdefault((n, "combo"))
    )
    for provider, ids in models.items():
        prefix = written.get(provider, provider)
        names = ((f"{prefix}/{model}", provider) for model in ids)
        yield from each(names, found.setdefault)
    plain = (alias.pattern for alias in snapshot.aliases if not _is_wildcard(alias))
    yield from each(plain, lambda name: found.setdefault((name, "alias")))
    return tuple(found)
