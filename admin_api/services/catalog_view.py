"""All models that are known: of data files, of connections' lists, of operators; and who could call them now."""

from collections.abc import Iterable
from typing import Any

import msgspec

from admin_api.services.plane import Plane
from admin_api.store.connections import ConnectionRow, connections
from admin_api.store.custom_models import CustomModelRow, custom_models
from admin_api.store.names import aliases
from admin_api.store.nodes import nodes
from gateway.providers.spec import ModelSpec


class _Provider(msgspec.Struct, frozen=True):
    """`models` are entries as the API shows them."""

    id: str
    name: str
    prefix: str
    kind: str
    is_active: bool
    models: list[dict[str, Any]]


async def catalog_view(plane: Plane) -> dict[str, Any]:
    """By provider id."""
    return {
        one.id: {
            "provider": one.name,
            "prefix": one.prefix,
            "type": one.kind,
            "active": one.is_active,
            "models": one.models,
        }
        for one in await _providers(plane)
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
    by_provider: dict[str, list[ConnectionRow]] = {}
    for row in accounts:
        by_provider.setdefault(row.provider, []).append(row)
    added: dict[str, list[CustomModelRow]] = {}
    for custom in customs:
        added.setdefault(custom.provider, []).append(custom)
    known: list[tuple[str, str, str, str, tuple[ModelSpec, ...]]] = [
        (spec.id, spec.name, spec.id, "demo" if spec.transport == "demo" else spec.tier, spec.models)
        for spec in plane.specs.values()
        if spec.transport != "demo" or plane.settings.is_demo_enabled
    ]
    known += [(row.id, row.name, row.prefix, "compatible", ()) for row in node_rows]
    return [
        _Provider(
            provider_id,
            name,
            prefix,
            kind,
            kind == "demo" or any(row.is_active for row in by_provider.get(provider_id, ())),
            _models(
                {model.id: (model.context, model.max_output) for model in models},
                added.get(provider_id, ()),
                [row for row in by_provider.get(provider_id, ()) if row.is_active],
                is_demo=kind == "demo",
            ),
        )
        for provider_id, name, prefix, kind, models in known
    ]


def _models(
    known: dict[str, tuple[int, int]],
    added: Iterable[CustomModelRow],
    accounts: list[ConnectionRow],
    *,
    is_demo: bool,
) -> list[dict[str, Any]]:
    customs = {row.model: row for row in added}
    listed = {model for row in accounts for model in row.models}
    takes_any = any(not row.models for row in accounts)
    entries = []
    for model in dict.fromkeys((*known, *customs, *sorted(listed))):
        custom = customs.get(model)
        context, max_output = known.get(model, (0, 0))
        entries.append(
            {
                "id": model,
                "name": custom.name if custom else model,
                "type": "chat",
                "custom": custom is not None,
                "source": custom.source if custom else "data file" if model in known else "connection",
                "contextLength": (custom.context if custom else 0) or context or None,
                "maxOutput": (custom.max_output if custom else 0) or max_output or None,
                "callable": is_demo or takes_any or model in listed,
            }
        )
    return entries
