"""All models that are known: of data files, of connections' lists, of operators; and who could call them now.

What an endpoint of the operator's own listed in a connection's last test is known of it, too: nothing else tells of it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from admin_api.services.node_view import node_view
from admin_api.services.plane import Plane
from admin_api.services.tariff import load_tariff
from admin_api.store.connection_tests import TestRow, load_tests
from admin_api.store.connections import ConnectionRow, connections
from admin_api.store.custom_models import CustomModelRow, custom_models
from admin_api.store.names import aliases
from admin_api.store.nodes import nodes
from admin_api.store.settings import settings_rows
from gateway.providers.spec import ModelSpec, NoAuth, ProviderSpec
from gateway.routing.prices import PriceBook, valid_at

MOST_LISTS = 200
"""Of connections whose last test is looked at for what endpoints listed."""
_NODE_FACTS = {"needsKey": False, "documentationUrl": ""}


class _Known(msgspec.Struct, frozen=True):
    """A provider of the data files, or a node, without what operators made of it."""

    id: str
    name: str
    prefix: str
    kind: str
    models: tuple[ModelSpec, ...]
    facts: dict[str, Any]


class _Provider(msgspec.Struct, frozen=True):
    """`models` are entries as the API shows them, `facts` what it tells of the provider beside them."""

    id: str
    name: str
    prefix: str
    kind: str
    is_active: bool
    models: list[dict[str, Any]]
    facts: dict[str, Any]


async def catalog_view(plane: Plane) -> dict[str, Any]:
    """By provider id. Of a model `price` is what counts now, USD per 1,000,000 tokens; null where none is known."""
    providers = await _providers(plane)
    tariff = await load_tariff(plane)
    at = plane.now()
    return {
        one.id: {
            "provider": one.name,
            "prefix": one.prefix,
            "type": one.kind,
            "active": one.is_active,
            **one.facts,
            "models": [{**model, "price": _price(tariff.book, one.id, model["id"], at)} for model in one.models],
        }
        for one in providers
    }


async def models_view(plane: Plane) -> list[dict[str, Any]]:
    """One after the other, with the exact alias of each."""
    async with plane.database.read() as connection:
        alias_of = {row.target: row.pattern for row in await aliases.load_all(connection)}
    return [
        {
            "provider": one.id,
            "model": model["id"],
            "name": model["name"],
            "fullModel": f"{one.prefix}/{model['id']}",
            "alias": alias_of.get(f"{one.prefix}/{model['id']}"),
        }
        for one in await _providers(plane)
        for model in one.models
    ]


async def _providers(plane: Plane) -> list[_Provider]:
    async with plane.database.read() as connection:
        node_rows = await nodes.load_all(connection)
        accounts = await connections.load_all(connection)
        customs = await custom_models.load_all(connection)
        setting = await settings_rows.get(connection, "blockedProviders")
        own = {row.id for row in node_rows}
        asked = [row.id for row in accounts if row.provider in own and row.is_active and not row.models]
        tests = await load_tests(connection, *asked[:MOST_LISTS])
    blocked = frozenset(setting.value if setting else ())
    by_provider: dict[str, list[ConnectionRow]] = {}
    for row in accounts:
        by_provider.setdefault(row.provider, []).append(row)
    added: dict[str, list[CustomModelRow]] = {}
    for custom in customs:
        added.setdefault(custom.provider, []).append(custom)
    known = [
        _Known(spec.id, spec.name, spec.id, _kind(spec), spec.models, _facts(spec))
        for spec in plane.specs.values()
        if spec.transport != "demo" or plane.settings.is_demo_enabled
    ]
    known += [
        _Known(
            row.id,
            row.name,
            row.prefix,
            "compatible",
            (),
            {**_NODE_FACTS, "dialect": row.dialect, "node": node_view(row)},
        )
        for row in node_rows
    ]
    return [
        _provider(one, by_provider.get(one.id, []), added.get(one.id, ()), tests, is_blocked=one.id in blocked)
        for one in known
    ]


def _provider(
    known: _Known,
    accounts: list[ConnectionRow],
    added: Iterable[CustomModelRow],
    tests: Mapping[str, TestRow],
    *,
    is_blocked: bool,
) -> _Provider:
    asked = [] if is_blocked else [row for row in accounts if row.is_active]
    is_demo = known.kind == "demo" and not is_blocked
    return _Provider(
        known.id,
        known.name,
        known.prefix,
        known.kind,
        is_demo or bool(asked),
        _models({model.id: model for model in known.models}, added, asked, _offered(asked, tests), is_demo=is_demo),
        {**known.facts, "blocked": is_blocked},
    )


def _kind(spec: ProviderSpec) -> str:
    return "demo" if spec.transport == "demo" else spec.tier


def _facts(spec: ProviderSpec) -> dict[str, Any]:
    return {
        "needsKey": not isinstance(spec.auth, NoAuth),
        "dialect": spec.dialect,
        "documentationUrl": spec.documentation_url,
        "node": None,
    }


def _price(book: PriceBook, provider: str, model: str, at: float) -> dict[str, float | None] | None:
    found = valid_at(book.find(provider, model), at)
    return {"input": found.input, "output": found.output} if found else None


def _offered(accounts: list[ConnectionRow], tests: Mapping[str, TestRow]) -> list[str]:
    """What endpoints listed to these connections."""
    return [model for row in accounts if row.id in tests for model in tests[row.id].models]


def _models(
    known: dict[str, ModelSpec],
    added: Iterable[CustomModelRow],
    accounts: list[ConnectionRow],
    offered: list[str],
    *,
    is_demo: bool,
) -> list[dict[str, Any]]:
    customs = {row.model: row for row in added}
    listed = {model for row in accounts for model in row.models}
    takes_any = any(not row.models for row in accounts)
    entries = []
    for model in dict.fromkeys((*known, *customs, *sorted(listed), *offered)):
        custom = customs.get(model)
        spec = known.get(model, ModelSpec(model))
        entries.append(
            {
                "id": model,
                "name": custom.name if custom else model,
                "type": "chat",
                "custom": custom is not None,
                "source": _source(model, custom, known, listed),
                "contextLength": (custom.context if custom else 0) or spec.context or None,
                "maxOutput": (custom.max_output if custom else 0) or spec.max_output or None,
                "capabilities": spec.capabilities,
                "version": custom.version if custom else None,
                "callable": is_demo or takes_any or model in listed,
            }
        )
    return entries


def _source(model: str, custom: CustomModelRow | None, known: Mapping[str, ModelSpec], listed: set[str]) -> str:
    if custom:
        return custom.source
    if model in known:
        return "data file"
    return "connection" if model in listed else "endpoint"
