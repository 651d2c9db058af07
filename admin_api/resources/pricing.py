"""Prices: `/api/pricing`. An operator's own count before those that come with the product; each counts from an instant on.

A change writes a new price from now on and leaves the old one: what was asked before keeps its cost.
"""

from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, Parameter

from admin_api.http.answers import saved
from admin_api.http.errors import bad_request, conflict
from admin_api.http.paging import Cursor, Limit, load_page
from admin_api.http.versions import IfMatch, check_version
from admin_api.services.plane import Plane
from admin_api.services.price_rules import (
    FIELDS,
    MAX_PRICES,
    PriceBody,
    by_provider,
    current,
    figures,
    new_row,
    priced_name,
    provider_and_model,
)
from admin_api.store.database import Change
from admin_api.store.prices import PriceRow, price_entry, prices
from admin_api.store.usage_sums import load_by_name
from gateway.config.snapshot import Price
from gateway.providers.price_list import load_price_lists

_Days = Annotated[int, Parameter(ge=1, le=3660)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
MAX_UNKNOWN = 1000


class PriceItem(PriceBody, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One price of an export. `model` is `provider/model` or a model alone, with `*` and `?`."""

    model: Annotated[str, msgspec.Meta(min_length=1, max_length=400)]


class ImportBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    prices: Annotated[list[PriceItem], msgspec.Meta(max_length=MAX_PRICES)]
    version: int = 1


@get("/api/pricing")
async def get_pricing(plane: NamedDependency[Plane]) -> Response[dict[str, Any]]:
    """What counts now, by provider and model; `*` stands for any provider."""
    async with plane.database.read() as connection:
        rows = await prices.load_all(connection)
    at = plane.now()
    shown = current(plane.shipped_prices, at) | current(map(price_entry, rows), at)
    return saved(by_provider(shown), {}, version=_version(rows))


@get("/api/pricing/list")
async def list_prices(plane: NamedDependency[Plane], limit: Limit = None, cursor: Cursor = "") -> dict[str, Any]:
    """Every price that an operator wrote, those of the past and the future too, by model and instant."""
    async with plane.database.read() as connection:
        rows, after = await load_page(connection, prices, limit, cursor)
        version = _version(await prices.load_all(connection))
    return {"prices": [_row_view(row) for row in rows], "version": version, "nextCursor": after}


@patch("/api/pricing")
async def patch_pricing(
    data: JSONBody[dict[_Name, dict[_Name, PriceBody]]], plane: NamedDependency[Plane], if_match: IfMatch = None
) -> Response[dict[str, Any]]:
    given = {priced_name(provider, model): body for provider, models in data.items() for model, body in models.items()}
    return await _write(plane, list(given.items()), if_match)


@delete("/api/pricing", status_code=200)
async def delete_pricing(
    plane: NamedDependency[Plane],
    provider: FromQuery[str] = "",
    model: FromQuery[str] = "",
    if_match: IfMatch = None,
) -> Response[dict[str, Any]]:
    """Forget what an operator wrote: of one model, of a provider, or all of it. What comes with the product stays."""
    async with plane.change() as change:
        rows = await prices.load_all(change.connection)
        check_version(_version(rows), if_match)
        gone = [row for row in rows if not row.managed and _is_of(row, provider, model)]
        if not gone and any(_is_of(row, provider, model) for row in rows):
            raise conflict("these prices are managed by the config file: change them there")
        for row in gone:
            await prices.delete(change.connection, row.id)
    return saved({"success": True, "deleted": len(gone)}, await plane.published())


@get("/api/pricing/defaults")
async def default_prices() -> dict[str, Any]:
    """The price lists that come with the product: where each figure is from, and from when it counts."""
    return {
        found.provider: {
            "source": found.source,
            "checked": found.checked.isoformat(),
            "prices": [
                {"model": price.model, "from": price.valid_from, "basis": price.basis}
                | {name: getattr(price, name) for name in FIELDS}
                for price in found.prices
            ],
        }
        for found in load_price_lists().values()
    }


@get("/api/pricing/models")
async def priced_models(plane: NamedDependency[Plane]) -> dict[str, Any]:
    """Every model that the product knows, with its price now, null where none is known."""
    async with plane.database.read() as connection:
        rows = await prices.load_all(connection)
    at = plane.now()
    known = current(plane.shipped_prices, at) | current(map(price_entry, rows), at)

    def price(provider: str, model: str) -> dict[str, Any] | None:
        found: Price | None = known.get(f"{provider}/{model}") or known.get(model)
        return figures(found) if found else None

    return {
        "models": [
            {"provider": spec.id, "model": model.id, "price": price(spec.id, model.id)}
            for spec in plane.specs.values()
            for model in spec.models
        ]
    }


@get("/api/pricing/unknown")
async def unknown_prices(plane: NamedDependency[Plane], days: FromQuery[_Days] = 30) -> dict[str, Any]:
    """Models that were used in the last `days` and whose price was not known then: what they cost is in no sum."""
    since = plane.now() - days * 86_400
    async with plane.database.read() as connection:
        found = await load_by_name(connection, "model", since, MAX_UNKNOWN, is_unpriced=True)
    return {
        "unknown": [
            dict(zip(("provider", "model"), provider_and_model(name), strict=True))
            | {"requests": sums["unpriced"], "input": sums["input_tokens"], "output": sums["output_tokens"]}
            for name, sums in found
        ]
    }


@get("/api/pricing/export")
async def export_prices(plane: NamedDependency[Plane]) -> dict[str, Any]:
    """What an operator wrote, as `POST /api/pricing/import` takes it."""
    async with plane.database.read() as connection:
        rows = await prices.load_all(connection)
    kept = ("model", *FIELDS)
    return {
        "version": 1,
        "prices": [{name: getattr(row, name) for name in kept} | {"from": row.valid_from} for row in rows],
    }


@post("/api/pricing/import", status_code=200)
async def import_prices(
    data: JSONBody[ImportBody], plane: NamedDependency[Plane], if_match: IfMatch = None
) -> Response[dict[str, Any]]:
    """All of them or none: one that does not fit, and nothing has changed."""
    return await _write(plane, [(item.model, item) for item in data.prices], if_match)


async def _write(plane: Plane, given: list[tuple[str, PriceBody]], if_match: str | None) -> Response[dict[str, Any]]:
    now = plane.now()
    async with plane.change() as change:
        rows = {row.id: row for row in await prices.load_all(change.connection)}
        check_version(_version(list(rows.values())), if_match)
        if len(rows) + len(given) > MAX_PRICES:
            raise bad_request(("prices", f"there may be {MAX_PRICES} of them"))
        effective = current(plane.shipped_prices, now) | current(map(price_entry, rows.values()), now)
        for name, body in given:
            if len(name) > 400 or not body.values():
                raise bad_request((name[:400], "needs a price, and a name of at most 400 characters"))
            row = new_row(name, body, effective.get(name), now, change.revision)
            await _put(change, row, rows.get(row.id))
    return saved({"success": True, "written": len(given)}, await plane.published(), version=change.revision)


async def _put(change: Change, row: PriceRow, there: PriceRow | None) -> None:
    if there is None:
        await prices.insert(change.connection, row)
    elif there.managed:
        raise conflict(f"the price of {row.model!r} is managed by the config file: change it there")
    else:
        await prices.replace(change.connection, row)


def _version(rows: list[PriceRow]) -> int:
    return max((row.version for row in rows), default=0)


def _is_of(row: PriceRow, provider: str, model: str) -> bool:
    if model:
        return row.model == priced_name(provider, model)
    return not provider or provider_and_model(row.model)[0] == provider


def _row_view(row: PriceRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "model": row.model,
        **figures(price_entry(row)),
        "managed": row.managed,
        "updatedAt": row.updated_at,
        "version": row.version,
    }


handlers = (
    get_pricing,
    list_prices,
    patch_pricing,
    delete_pricing,
    default_prices,
    priced_models,
    unknown_prices,
    export_prices,
    import_prices,
)
