"""The names of a snapshot, compiled for look-up: combos, prefixes, aliases, and who offers which model."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.config.snapshot import Alias, Combo, FallbackChain, Snapshot
from gateway.domain.target import Connection
from gateway.providers.spec import ModelSpec, ProviderSpec
from gateway.routing.offers import Offers
from gateway.routing.patterns import compile_pattern as compile_pattern  # noqa: PLC0414  (looked for here)
from gateway.routing.patterns import is_pattern, literal_length
from gateway.routing.prices import NO_PRICES, Prices


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
    blocked = frozenset(snapshot.settings.blocked_providers)
    by_provider: dict[str, list[Connection]] = {}
    for connection in connections:
        if connection.provider not in blocked:
            by_provider.setdefault(connection.provider, []).append(connection)
    ordered = {
        provider: tuple(sorted(accounts, key=lambda connection: (connection.priority, connection.name)))
        for provider, accounts in by_provider.items()
    }
    known = known_models(snapshot, specs)
    models = {provider: _models_of(accounts, known.get(provider, ())) for provider, accounts in ordered.items()}
    return Catalog(
        combos={combo.name: combo for combo in snapshot.combos},
        prefixes=_prefixes(snapshot, specs),
        exact_aliases={alias.pattern: alias.target for alias in snapshot.aliases if not _is_wildcard(alias)},
        wildcard_aliases=_wildcards(snapshot.aliases),
        connections=ordered,
        offers=_offers(models),
        listed=_listed(snapshot, specs, models),
        facts={(provider, model.id): model for provider in ordered for model in known.get(provider, ())},
        chains=_chains(snapshot.fallback_chains),
        mains=tuple(
            (provider, names[0])
            for provider, names in models.items()
            if names and any(one.transport != "demo" for one in ordered[provider])
        ),
        prices=Prices(snapshot.prices, _names_of(snapshot, specs), _free(ordered)),
        offers_of=Offers(ordered),
    )


def known_models(snapshot: Snapshot, specs: Mapping[str, ProviderSpec]) -> dict[str, tuple[ModelSpec, ...]]:
    """By provider: what the data files know of it, and what the operator says, which counts more."""
    known = {spec.id: {model.id: model for model in spec.models} for spec in specs.values()}
    for one in snapshot.models:
        models = known.setdefault(one.provider, {})
        before = models.get(one.id, ModelSpec(one.id))
        models[one.id] = ModelSpec(
            one.id, one.context or before.context, one.max_output or before.max_output, before.capabilities
        )
    return {provider: tuple(models.values()) for provider, models in known.items()}


def _is_wildcard(alias: Alias) -> bool:
    return is_pattern(alias.pattern)


def _chains(chains: Iterable[FallbackChain]) -> tuple[Chain, ...]:
    """Plain names first, then patterns with the most literal text first."""
    found = [
        Chain(chain.name, compile_pattern(chain.name) if is_pattern(chain.name) else None, chain.models)
        for chain in chains
    ]
    return tuple(sorted(found, key=lambda chain: (chain.matches is not None, -literal_length(chain.name), chain.name)))


def _names_of(snapshot: Snapshot, specs: Mapping[str, ProviderSpec]) -> dict[str, tuple[str, ...]]:
    """Provider id → what may be written before the slash."""
    names = {spec.id: (spec.id, *spec.prefixes) for spec in specs.values()}
    return names | {node.id: (node.id, node.prefix) for node in snapshot.nodes}


def _free(connections: Mapping[str, Sequence[Connection]]) -> frozenset[str]:
    """Providers all of whose connections cost nothing."""
    return frozenset(
        provider for provider, accounts in connections.items() if all(one.tier == "free" for one in accounts)
    )


def _wildcards(aliases: Iterable[Alias]) -> tuple[WildcardAlias, ...]:
    """Most literal text first: among `claude-*` and `claude-sonnet-*` the second wins."""
    found = [
        WildcardAlias(alias.pattern, compile_pattern(alias.pattern), alias.target)
        for alias in aliases
        if _is_wildcard(alias)
    ]
    return tuple(sorted(found, key=lambda alias: (-literal_length(alias.pattern), alias.pattern)))


def _prefixes(snapshot: Snapshot, specs: Mapping[str, ProviderSpec]) -> dict[str, str]:
    prefixes = {prefix: spec.id for spec in specs.values() for prefix in (spec.id, *spec.prefixes)}
    for node in snapshot.nodes:
        prefixes[node.id] = node.id
        prefixes[node.prefix] = node.id
    return prefixes


def _models_of(accounts: Iterable[Connection], models: Iterable[ModelSpec]) -> tuple[str, ...]:
    """What a provider's connections list; one without a list offers what is known of the provider."""
    known = tuple(model.id for model in models)
    lists = dict.fromkeys(account.models for account in accounts)  # thousands of accounts may have the same
    return tuple(dict.fromkeys(model for models in lists for model in (sorted(models) or known)))


def _offers(models: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    offers: dict[str, tuple[str, ...]] = {}
    for provider, names in models.items():
        for name in names:
            offers[name] = (*offers.get(name, ()), provider)
    return offers


def _listed(
    snapshot: Snapshot, specs: Mapping[str, ProviderSpec], models: Mapping[str, tuple[str, ...]]
) -> tuple[tuple[str, str], ...]:
    """Combos, then each connected provider's models under the prefix that people write."""
    written = {node.id: node.prefix for node in snapshot.nodes}
    written.update({spec.id: spec.id for spec in specs.values()})
    names = [(combo.name, "combo") for combo in snapshot.combos if combo.is_active]
    names += [
        (f"{written.get(provider, provider)}/{model}", provider) for provider, ids in models.items() for model in ids
    ]
    names += [
        (pattern, "alias") for pattern in (alias.pattern for alias in snapshot.aliases if not _is_wildcard(alias))
    ]
    return tuple(dict.fromkeys(names))
