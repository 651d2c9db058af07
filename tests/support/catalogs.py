"""Builds connections, targets and catalogs by hand, for tests of routing, relay and upstream."""

from collections.abc import Iterable, Mapping, Sequence

from gateway.config.snapshot import (
    SCHEMA,
    Alias,
    Combo,
    ComboModel,
    FallbackChain,
    Node,
    Price,
    RoutingSettings,
    Snapshot,
)
from gateway.domain.dialect import ProviderDialect
from gateway.domain.target import Connection, Target
from gateway.providers.spec import ProviderSpec
from gateway.routing.catalog import Catalog, compile_catalog


def connection(
    provider: str = "local",
    name: str = "a",
    *,
    models: Iterable[str] = (),
    priority: int = 1,
    url: str = "http://127.0.0.1:9/v1/chat/completions",
    headers: tuple[bytes, ...] = (b"Authorization: Bearer sk-upstream",),
    dialect: ProviderDialect = "openai_chat",
    **more: object,
) -> Connection:
    fields = {"prefix": provider, "allow_private": True} | more
    return Connection(
        id=f"{provider}-{name}",
        name=name,
        provider=provider,
        dialect=dialect,
        paths={"chat": url},
        headers=headers,
        priority=priority,
        models=frozenset(models),
        **fields,  # type: ignore[arg-type]  # fields of Connection by name
    )


def target(name: str = "a", model: str = "m1", **more: object) -> Target:
    return Target(connection(name=name, **more), model)  # type: ignore[arg-type]  # as above


def combo(
    name: str,
    *models: str | tuple[str, float],
    strategy: str = "priority",
    is_active: bool = True,
    config: Mapping[str, bool | float | str] | None = None,
) -> Combo:
    entries = tuple(ComboModel(m) if isinstance(m, str) else ComboModel(m[0], m[1]) for m in models)
    return Combo(
        id=f"id-{name}", name=name, models=entries, strategy=strategy, config=dict(config or {}), is_active=is_active
    )  # type: ignore[arg-type]  # a test may ask for a strategy that is not there


def catalog(
    *connections: Connection,
    combos: Sequence[Combo] = (),
    aliases: Mapping[str, str] | None = None,
    nodes: Sequence[str] = (),
    specs: Iterable[ProviderSpec] = (),
    blocked: tuple[str, ...] = (),
    chains: Mapping[str, Sequence[str]] | None = None,
    prices: Iterable[Price] = (),
) -> Catalog:
    """Every provider of a connection is a node whose prefix is its name, besides the `nodes` named."""
    names = dict.fromkeys([*(one.provider for one in connections), *nodes])
    known = {spec.id: spec for spec in specs}
    snapshot = Snapshot(
        schema=SCHEMA,
        revision=1,
        nodes=tuple(Node(name, name, "openai_chat", "http://x.test/v1") for name in names if name not in known),
        combos=tuple(combos),
        aliases=tuple(Alias(pattern, aim) for pattern, aim in (aliases or {}).items()),
        fallback_chains=tuple(FallbackChain(name, tuple(models)) for name, models in (chains or {}).items()),
        prices=tuple(prices),
        settings=RoutingSettings(blocked_providers=blocked),
    )
    return compile_catalog(snapshot, known, connections)
