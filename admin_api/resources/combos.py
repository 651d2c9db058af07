"""Combos: `/api/combos`."""

from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.http.answers import saved
from admin_api.http.errors import bad_request, conflict, not_found
from admin_api.http.paging import Cursor, Limit, load_page
from admin_api.http.versions import IfMatch, Version, check_version
from admin_api.services.combo_rules import check_names, name_problem, options_problems, read_models
from admin_api.services.keep_settings import load_settings
from admin_api.services.ownership import editable
from admin_api.services.plane import Plane
from admin_api.services.simulate import Simulator
from admin_api.services.try_models import Tried, try_models
from admin_api.services.usage_views import Range, begin_of, sums_view
from admin_api.store.combos import ComboRow, combos
from admin_api.store.usage_sums import Sums, load_by_name, load_sums
from gateway.config.snapshot import Strategy

MAX_SHOWN = 500


class ComboBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """`models` holds names, or `{model, weight}` with a weight from 0 to 100."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    models: list[str | dict[str, Any]] | msgspec.UnsetType = msgspec.UNSET
    strategy: Strategy | msgspec.UnsetType = msgspec.UNSET
    config: dict[str, bool | int | float | str] | msgspec.UnsetType = msgspec.UNSET
    is_active: bool | msgspec.UnsetType = msgspec.UNSET
    version: Version | msgspec.UnsetType = msgspec.UNSET


@get("/api/combos/metrics")
async def combo_metrics(
    plane: NamedDependency[Plane],
    wanted: Annotated[Range, QueryParameter(name="range")] = "30d",
    combo: FromQuery[str] = "",
) -> dict[str, Any]:
    """What was asked of combos, by name, from the ledger's sums: also of those that are gone. MAX_SHOWN at most."""
    since = begin_of(wanted, plane.now())
    async with plane.database.read() as connection:
        if combo:
            found = [(combo, await load_sums(connection, "combo", since, combo))]
        else:
            found = await load_by_name(connection, "combo", since, MAX_SHOWN)
    return {"range": wanted, "combos": {name: _metrics_view(sums) for name, sums in found}}


class ComboTestBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """One of them."""

    combo_name: str = ""
    combo_id: str = ""


class CopyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Without a name the copy is called `<name>-copy`."""

    name: str = ""


@get("/api/combos")
async def list_combos(plane: NamedDependency[Plane], limit: Limit = None, cursor: Cursor = "") -> dict[str, Any]:
    """By name."""
    async with plane.database.read() as connection:
        rows, after = await load_page(connection, combos, limit, cursor)
    return {"combos": [combo_view(row) for row in rows], "nextCursor": after}


@post("/api/combos")
async def create_combo(data: JSONBody[ComboBody], plane: NamedDependency[Plane]) -> Response[dict[str, Any]]:
    missing = [(name, "is missing") for name in ("name", "models") if getattr(data, name) is msgspec.UNSET]
    if missing:
        raise bad_request(*missing)
    blank = ComboRow(
        id=plane.new_id(),
        name="",
        models=[],
        strategy="priority",
        config={},
        is_active=True,
        managed=False,
        created_at=plane.now(),
        updated_at=plane.now(),
    )
    row = _changed(blank, data, plane.now())
    async with plane.change() as change:
        await _check_among_others(plane, change.connection, row)
        defaults = (await load_settings(change.connection)).get("comboDefaults")
        if data.strategy is msgspec.UNSET and defaults is not None:
            row = msgspec.structs.replace(row, strategy=defaults.value.get("strategy", row.strategy))
        row = msgspec.structs.replace(row, version=change.revision)
        await combos.insert(change.connection, row)
    return saved(combo_view(row), await plane.published(), status=201, version=row.version)


@get("/api/combos/{combo_id:str}")
async def get_combo(combo_id: FromPath[str], plane: NamedDependency[Plane]) -> dict[str, Any]:
    async with plane.database.read() as connection:
        row = await combos.get(connection, combo_id)
    if row is None:
        raise not_found("combo", combo_id)
    return combo_view(row)


@put("/api/combos/{combo_id:str}")
async def change_combo(
    combo_id: FromPath[str], data: JSONBody[ComboBody], plane: NamedDependency[Plane], if_match: IfMatch = None
) -> Response[dict[str, Any]]:
    async with plane.change() as change:
        old = editable(await combos.get(change.connection, combo_id), "combo", combo_id)
        check_version(old.version, if_match, data.version)
        row = msgspec.structs.replace(_changed(old, data, plane.now()), version=change.revision)
        await _check_among_others(plane, change.connection, row)
        await combos.replace(change.connection, row)
    return saved(combo_view(row), await plane.published(), version=row.version)


@delete("/api/combos/{combo_id:str}", status_code=200)
async def delete_combo(
    combo_id: FromPath[str], plane: NamedDependency[Plane], if_match: IfMatch = None
) -> Response[dict[str, Any]]:
    async with plane.change() as change:
        old = editable(await combos.get(change.connection, combo_id), "combo", combo_id)
        check_version(old.version, if_match)
        await combos.delete(change.connection, combo_id)
    return saved({"success": True}, await plane.published())


@post("/api/combos/test", status_code=200)
async def try_combo(
    data: JSONBody[ComboTestBody], plane: NamedDependency[Plane], simulator: NamedDependency[Simulator]
) -> dict[str, Any]:
    """Ask each model a small question. `resolvedBy` is the first that answered, in the order of the combo."""
    if not (data.combo_name or data.combo_id):
        raise bad_request(("comboName", "is missing"))
    async with plane.database.read() as connection:
        found = [
            row
            for row in await combos.load_all(connection)
            if row.id == data.combo_id or (not data.combo_id and row.name == data.combo_name)
        ]
    if not found:
        raise not_found("combo", data.combo_id or data.combo_name)
    [row] = found
    results = await try_models(plane, simulator, [entry["model"] for entry in row.models])
    return {
        "comboName": row.name,
        "strategy": row.strategy,
        "resolvedBy": next((one.model for one in results if one.is_ok), None),
        "results": [_tried_view(one) for one in results],
    }


@post("/api/combos/{combo_id:str}/duplicate")
async def duplicate_combo(
    combo_id: FromPath[str], plane: NamedDependency[Plane], data: JSONBody[CopyBody | None] = None
) -> Response[dict[str, Any]]:
    """A copy that can be changed, also of a combo of the config file."""
    async with plane.change() as change:
        original = await combos.get(change.connection, combo_id)
        if original is None:
            raise not_found("combo", combo_id)
        taken = {row.name for row in await combos.load_all(change.connection)}
        row = msgspec.structs.replace(
            original,
            id=plane.new_id(),
            name=(data.name if data else "") or _free_name(original.name, taken),
            managed=False,
            created_at=plane.now(),
            updated_at=plane.now(),
            version=change.revision,
        )
        if problem := name_problem(row.name):
            raise bad_request(("name", problem))
        await _check_among_others(plane, change.connection, row)
        await combos.insert(change.connection, row)
    return saved(combo_view(row), await plane.published(), status=201, version=row.version)


def combo_view(row: ComboRow) -> dict[str, Any]:
    """A combo as the seed shows it: entries without a weight are plain names."""
    return {
        "id": row.id,
        "name": row.name,
        "models": [entry if entry.get("weight") else entry["model"] for entry in row.models],
        "strategy": row.strategy,
        "config": row.config,
        "isActive": row.is_active,
        "managed": row.managed,
        "version": row.version,
        "createdAt": row.created_at,
        "updatedAt": row.updated_at,
    }


def _metrics_view(sums: Sums) -> dict[str, Any]:
    requests = sums["requests"]
    successes = requests - sums["errors"]
    return {
        **sums_view(sums),
        "totalRequests": requests,
        "totalSuccesses": successes,
        "successRate": round(100 * successes / requests, 2) if requests else None,
    }


def _tried_view(one: Tried) -> dict[str, Any]:
    return {
        "model": one.model,
        "status": "ok" if one.is_ok else "error",
        "statusCode": one.status or None,
        "error": one.error or None,
        "latencyMs": one.latency_ms,
        "provider": one.provider or None,
        "connectionId": one.connection_id or None,
    }


def _free_name(name: str, taken: set[str]) -> str:
    base = f"{name[:90]}-copy"
    return next(
        free for number in range(1, len(taken) + 3) if (free := f"{base}-{number}" if number > 1 else base) not in taken
    )


def _changed(row: ComboRow, data: ComboBody, now: float) -> ComboRow:
    problems: list[tuple[str, str]] = []
    given: dict[str, Any] = {
        name: value
        for name in ("name", "strategy", "config", "is_active")
        if (value := getattr(data, name)) is not msgspec.UNSET
    }
    if "name" in given and (problem := name_problem(given["name"])):
        problems.append(("name", problem))
    if "config" in given:
        problems += [("config", problem) for problem in options_problems(given["config"])]
    if data.models is not msgspec.UNSET:
        given["models"], model_problems = read_models(data.models)
        problems += model_problems
    if problems:
        raise bad_request(*problems)
    return msgspec.structs.replace(row, **given, updated_at=now)


async def _check_among_others(plane: Plane, connection: AsyncConnection, row: ComboRow) -> None:
    others = [other for other in await combos.load_all(connection) if other.id != row.id]
    if any(other.name == row.name for other in others):
        raise conflict(f"there is a combo {row.name!r} already")
    await check_names(plane, connection, row)


handlers = (
    list_combos,
    create_combo,
    combo_metrics,
    get_combo,
    change_combo,
    delete_combo,
    try_combo,
    duplicate_combo,
)
