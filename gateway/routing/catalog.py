"""The names of a snapshot, compiled for look-up: combos, prefixes, aliases, and who offers which model."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.config.snapshot import Alias, Combo, Snapshot
from gateway.domain.target import Connection
from gateway.providers.spec import ModelSpec, ProviderSpec


@dataclass(frozen=True, slots=True)
class WildcardAlias:
    """A pattern with `*` or `?`, matched whole and without regard to case."""

    pattern: str
    matches: re.Pattern[str]
    target: str


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
    models = {provider: _models_of(accounts, specs.get(provider)) for provider, accounts in ordered.items()}
    return Catalog(
        combos={combo.name: combo for combo in snapshot.combos},
        prefixes=_prefixes(snapshot, specs),
        exact_aliases={alias.pattern: alias.target for alias in snapshot.aliases if not _is_wildcard(alias)},
        wildcard_aliases=_wildcards(snapshot.aliases),
        connections=ordered,
        offers=_offers(models),
        listed=_listed(snapshot, specs, models),
        facts={
            (provider, model.id): model for provider in ordered if provider in specs for model in specs[provider].models
        },
    )


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """`*` is any text, `?` one character; everything else is itself. Case does not matter."""
    escaped = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(escaped, re.IGNORECASE | re.DOTALL)


def _is_wildcard(alias: Alias) -> bool:
    return "*" in alias.pattern or "?" in alias.pattern


def _wildcards(aliases: Iterable[Alias]) -> tuple[WildcardAlias, ...]:
    """Most literal text first: among `claude-*` and `claude-sonnet-*` the second wins."""
    found = [
        WildcardAlias(alias.pattern, compile_pattern(alias.pattern), alias.target)
        for alias in aliases
        if _is_wildcard(alias)
    ]
    return tuple(sorted(found, key=lambda alias: (-len(re.sub(r"[*?]", "", alias.pattern)), alias.pattern)))


def _prefixes(snapshot: Snapshot, specs: Mapping[str, ProviderSpec]) -> dict[str, str]:
    prefixes = {prefix: spec.id for spec in specs.values() for prefix in (spec.id, *spec.prefixes)}
    for node in snapshot.nodes:
        prefixes[node.id] = node.id
        prefixes[node.prefix] = node.id
    return prefixes


def _models_of(accounts: Iterable[Connection], spec: ProviderSpec | None) -> tuple[str, ...]:
    """What a provider's connections list; one without a list offers what the provider's data file knows."""
    known = tuple(model.id for model in spec.models) if spec else ()
    return tuple(dict.fromkeys(model for account in accounts for model in (sorted(account.models) or known)))


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
