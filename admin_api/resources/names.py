"""Other names for models: `/api/models/alias` and `/api/fallback/chains`. The seed's two shapes are both taken."""

from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody

from admin_api.http.answers import saved
from admin_api.http.errors import bad_request, not_found
from admin_api.http.paging import Cursor, Limit, load_page
from admin_api.http.versions import IfMatch, Version, check_version
from admin_api.services.combo_rules import check_names
from admin_api.services.ownership import editable
from admin_api.services.plane import Plane
from admin_api.store.names import AliasRow, ChainRow, aliases, chains

_Model = Annotated[str, msgspec.Meta(min_length=1, max_length=400)]


class AliasBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`{alias, model}` or `{pattern, target}`. The alias may hold `*` and `?`."""

    alias: _Model | msgspec.UnsetType = msgspec.UNSET
    pattern: _Model | msgspec.UnsetType = msgspec.UNSET
    model: _Model | msgspec.UnsetType = msgspec.UNSET
    target: _Model | msgspec.UnsetType = msgspec.UNSET
    version: Version | msgspec.UnsetType = msgspec.UNSET


class ChainProvider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step of a chain that belongs to one model: who to ask next for it."""

    provider: _Model
    priority: int = 0
    enabled: bool = True


class ChainBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`{name, models: [name]}`, or `{model, chain: [{provider, priority, enabled}]}`."""

    name: _Model | msgspec.UnsetType = msgspec.UNSET
    models: Annotated[list[_Model], msgspec.Meta(min_length=1, max_length=200)] | msgspec.UnsetType = msgspec.UNSET
    model: _Model | msgspec.UnsetType = msgspec.UNSET
    chain: Annotated[list[_Model | ChainProvider], msgspec.Meta(min_length=1, max_length=200)] | msgspec.UnsetType = (
        msgspec.UNSET
    )
    version: Version | msgspec.UnsetType = msgspec.UNSET


@get("/api/models/alias")
async def list_aliases(plane: NamedDependency[Plane], limit: Limit = None, cursor: Cursor = "") -> dict[str, Any]:
    """By pattern."""
    async with plane.database.read() as connection:
        rows, after = await load_page(connection, aliases, limit, cursor)
    return {
        "aliases": {row.pattern: row.target for row in rows},
        "managed": [row.pattern for row in rows if row.managed],
        "versions": {row.pattern: row.version for row in rows},
        "nextCursor": after,
    }


@put("/api/models/alias")
async def set_alias(
    data: JSONBody[AliasBody], plane: NamedDependency[Plane], if_match: IfMatch = None
) -> Response[dict[str, Any]]:
    return await store_alias(data, plane, if_match)


async def store_alias(data: AliasBody, plane: Plane, if_match: str | None) -> Response[dict[str, Any]]:
    """Make an alias, or have one lead elsewhere."""
    pattern, target = data.alias or data.pattern, data.model or data.target
    if not isinstance(pattern, str) or not isinstance(target, str):
        raise bad_request(*((f, "is missing") for f, v in (("alias", pattern), ("model", target)) if not v))
    async with plane.change() as change:
        row = AliasRow(pattern, target, managed=False, version=change.revision)
        old = await aliases.get(change.connection, pattern)
        check_version(old.version if old else 0, if_match, data.version)
        await check_names(plane, change.connection, row)
        if old is None:
            await aliases.insert(change.connection, row)
        else:
            editable(old, "alias", pattern)
            await aliases.replace(change.connection, row)
    answer = {"success": True, "alias": pattern, "model": target, "version": row.version}
    return saved(answer, await plane.published(), version=row.version)


@delete("/api/models/alias", status_code=200)
async def delete_alias(
    plane: NamedDependency[Plane],
    alias: FromQuery[str | None] = None,
    pattern: FromQuery[str | None] = None,
    if_match: IfMatch = None,
) -> Response[dict[str, Any]]:
    name = alias or pattern
    if not name:
        raise bad_request(("alias", "is missing: DELETE /api/models/alias?alias=…"))
    async with plane.change() as change:
        old = editable(await aliases.get(change.connection, name), "alias", name)
        check_version(old.version, if_match)
        await aliases.delete(change.connection, name)
    return saved({"success": True}, await plane.published())


@get("/api/fallback/chains")
async def list_chains(plane: NamedDependency[Plane], limit: Limit = None, cursor: Cursor = "") -> dict[str, Any]:
    """By name."""
    async with plane.database.read() as connection:
        rows, after = await load_page(connection, chains, limit, cursor)
    return {"chains": [_chain_view(row) for row in rows], "nextCursor": after}


@post("/api/fallback/chains")
async def set_chain(
    data: JSONBody[ChainBody], plane: NamedDependency[Plane], if_match: IfMatch = None
) -> Response[dict[str, Any]]:
    """Make a chain, or replace the one of that name."""
    given = _chain(data)
    async with plane.change() as change:
        row = msgspec.structs.replace(given, version=change.revision)
        old = await chains.get(change.connection, row.name)
        check_version(old.version if old else 0, if_match, data.version)
        if old is None:
            await chains.insert(change.connection, row)
        else:
            editable(old, "fallback chain", row.name)
            await chains.replace(change.connection, row)
    status = 200 if old else 201
    return saved({"success": True, **_chain_view(row)}, await plane.published(), status=status, version=row.version)


@delete("/api/fallback/chains", status_code=200)
async def delete_chain(
    plane: NamedDependency[Plane],
    name: FromQuery[str | None] = None,
    model: FromQuery[str | None] = None,
    if_match: IfMatch = None,
) -> Response[dict[str, Any]]:
    wanted = name or model
    if not wanted:
        raise bad_request(("name", "is missing: DELETE /api/fallback/chains?name=…"))
    async with plane.change() as change:
        row = await chains.get(change.connection, wanted)
        if row is None:
            raise not_found("fallback chain", wanted)
        check_version(editable(row, "fallback chain", wanted).version, if_match)
        await chains.delete(change.connection, wanted)
    return saved({"success": True}, await plane.published())


def _chain(data: ChainBody) -> ChainRow:
    name = data.name or data.model
    steps = data.models or data.chain
    if not isinstance(name, str) or not isinstance(steps, list):
        raise bad_request(*((f, "is missing") for f, v in (("name", name), ("models", steps)) if not v))
    named = [step for step in steps if isinstance(step, str)]
    by_provider = sorted(
        (step for step in steps if isinstance(step, ChainProvider) and step.enabled), key=lambda step: step.priority
    )
    models = [*named, *(f"{step.provider}/{name}" for step in by_provider)]
    if not models:
        raise bad_request(("chain", "has no step that is enabled"))
    return ChainRow(name, models, managed=False)


def _chain_view(row: ChainRow) -> dict[str, Any]:
    return {"name": row.name, "models": row.models, "managed": row.managed, "version": row.version}


handlers = (list_aliases, set_alias, delete_alias, list_chains, set_chain, delete_chain)
