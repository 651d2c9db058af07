"""Models: those that operators add (`/api/provider-models`), the catalog of all, and which of them rest (`/api/models/…`)."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody
from redis.exceptions import RedisError

from admin_api.http.answers import saved
from admin_api.http.errors import ApiError, bad_request, not_found
from admin_api.http.paging import Cursor, Limit, load_page
from admin_api.http.versions import IfMatch, Version, check_version
from admin_api.resources.names import AliasBody, store_alias
from admin_api.services.catalog_view import catalog_view, models_view
from admin_api.services.find_provider import find_provider
from admin_api.services.plane import Plane
from admin_api.services.reset_rests import reset_states
from admin_api.store.connections import connections, load_connections_of
from admin_api.store.custom_models import CustomModelRow, custom_models, id_of_model, of_provider
from gateway.domain.target import target_id
from gateway.state.rest_table import RestState
from gateway.state.rests_admin import provider_id, read_rests

MAX_MODELS = 10_000
"""Of all providers together: each is in the snapshot."""

_Model = Annotated[str, msgspec.Meta(min_length=1, max_length=256, pattern=r"^[^\x00-\x20\x7f]+$(?!\n)")]
_Name = Annotated[str, msgspec.Meta(max_length=400)]
_Tokens = Annotated[int, msgspec.Meta(ge=0, le=100_000_000)]


class ModelBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """`contextLength` and `maxOutput` are tokens, 0 = not known. `apiFormat` must be what the provider speaks."""

    provider: _Name
    model_id: _Model
    model_name: _Name = ""
    source: Literal["manual", "imported", "auto-sync"] = "manual"
    api_format: Literal["chat-completions", "responses"] | None = None
    supported_endpoints: Annotated[tuple[Literal["chat"], ...], msgspec.Meta(min_length=1, max_length=1)] = ("chat",)
    context_length: _Tokens = 0
    max_output: _Tokens = 0
    version: Version | msgspec.UnsetType = msgspec.UNSET


class AvailabilityBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Let a provider's connections rest no longer; with a model, that model at them."""

    action: Literal["clearCooldown"]
    provider: _Name
    model: _Name = ""


@get("/api/provider-models")
async def list_custom_models(
    plane: NamedDependency[Plane], provider: FromQuery[str] = "", limit: Limit = None, cursor: Cursor = ""
) -> dict[str, Any]:
    """Those that were added, of one provider or of all, by id."""
    async with plane.database.read() as connection:
        rows, after = await load_page(connection, custom_models, limit, cursor, *of_provider(provider))
    return {"models": [_view(row) for row in rows], "nextCursor": after}


@post("/api/provider-models")
async def add_model(
    data: JSONBody[ModelBody], plane: NamedDependency[Plane], if_match: IfMatch = None
) -> Response[dict[str, Any]]:
    """Add a model to what is known of a provider, or say more of one."""
    async with plane.change() as change:
        provider, node = await find_provider(plane, change.connection, data.provider)
        dialect = node.dialect if node else plane.specs[provider].dialect
        _check_format(data, dialect)
        key = id_of_model(provider, data.model_id)
        old = await custom_models.get(change.connection, key)
        check_version(old.version if old else 0, if_match, data.version)
        row = CustomModelRow(
            id=key,
            provider=provider,
            model=data.model_id,
            name=data.model_name or data.model_id,
            source=data.source,
            context=data.context_length,
            max_output=data.max_output,
            created_at=old.created_at if old else plane.now(),
            updated_at=plane.now(),
            version=change.revision,
        )
        if old is None:
            if len(await custom_models.load_all(change.connection)) >= MAX_MODELS:
                raise bad_request(("modelId", f"there are {MAX_MODELS} models, which is the most"))
            await custom_models.insert(change.connection, row)
        else:
            await custom_models.replace(change.connection, row)
    status = 200 if old else 201
    return saved({"model": _view(row)}, await plane.published(), status=status, version=row.version)


@delete("/api/provider-models", status_code=200)
async def remove_model(
    plane: NamedDependency[Plane],
    provider: FromQuery[str] = "",
    model: FromQuery[str] = "",
    if_match: IfMatch = None,
) -> Response[dict[str, Any]]:
    if not provider or not model:
        raise bad_request(("model", "is missing: DELETE /api/provider-models?provider=…&model=…"))
    async with plane.change() as change:
        found, _ = await find_provider(plane, change.connection, provider)
        row = await custom_models.get(change.connection, id_of_model(found, model))
        if row is None:
            raise not_found("model", id_of_model(found, model))
        check_version(row.version, if_match)
        await custom_models.delete(change.connection, row.id)
    return saved({"success": True}, await plane.published())


@get("/api/models")
async def list_models(plane: NamedDependency[Plane]) -> dict[str, Any]:
    """Every model that is known, with the alias that stands for it, if there is one."""
    return {"models": await models_view(plane)}


@put("/api/models")
async def name_model(
    data: JSONBody[AliasBody], plane: NamedDependency[Plane], if_match: IfMatch = None
) -> Response[dict[str, Any]]:
    """Give a model an alias; the same as `PUT /api/models/alias`."""
    return await store_alias(data, plane, if_match)


@get("/api/models/catalog")
async def catalog(plane: NamedDependency[Plane]) -> dict[str, Any]:
    """By provider, connected or not: its models, where each is known from, and whether somebody can call it now.

    `source` is `data file`, `connection` (its list), `endpoint` (it listed it when a connection was tested), or of one that was added.

    `price` is what counts now, in USD per 1,000,000 tokens, or null; `blocked` is a provider of `blockedProviders`; `node` is
    null for providers that come with the product.
    """
    return {"catalog": await catalog_view(plane)}


@get("/api/models/availability")
async def availability(plane: NamedDependency[Plane]) -> dict[str, Any]:
    """What cannot be asked just now, and until when (ms since 1970)."""
    states = await _rests(plane)
    async with plane.database.read() as connection:
        providers = {row.id: row.provider for row in await connections.load_all(connection)}
    return {"models": [_rest_view(state, providers) for state in states if state.state != "ramping"]}


@post("/api/models/availability", status_code=200)
async def make_available(data: JSONBody[AvailabilityBody], plane: NamedDependency[Plane]) -> dict[str, Any]:
    async with plane.database.read() as connection:
        provider, _ = await find_provider(plane, connection, data.provider)
        ids = [row.id for row in await load_connections_of(connection, provider)]
    wanted = [target_id(one, data.model) for one in ids] if data.model else [*ids, provider_id(provider)]
    return {"success": True, "reset": await reset_states(plane, wanted)}


def _check_format(data: ModelBody, dialect: str) -> None:
    spoken = {"chat-completions": "openai_chat", "responses": "openai_responses"}
    if data.api_format is not None and spoken[data.api_format] != dialect:
        raise bad_request(
            ("apiFormat", f"the provider is asked in {dialect}: make a node of the other dialect for this model")
        )


async def _rests(plane: Plane) -> list[RestState]:
    try:
        return await read_rests(plane.redis)
    except (RedisError, OSError) as error:
        raise ApiError(503, "shared state is away: nobody can tell what rests") from error


def _rest_view(state: RestState, providers: dict[str, str]) -> dict[str, Any]:
    return {
        "provider": state.provider or providers.get(state.connection_id, ""),
        "connectionId": state.connection_id or None,
        "model": state.model or None,
        "status": state.kind,
        "reason": state.why,
        "until": int(state.until * 1000),
    }


def _view(row: CustomModelRow) -> dict[str, Any]:
    return {
        "id": row.model,
        "provider": row.provider,
        "name": row.name,
        "source": row.source,
        "supportedEndpoints": ["chat"],
        "contextLength": row.context or None,
        "maxOutput": row.max_output or None,
        "version": row.version,
        "createdAt": row.created_at,
        "updatedAt": row.updated_at,
    }


handlers = (
    list_custom_models,
    add_model,
    remove_model,
    list_models,
    name_model,
    catalog,
    availability,
    make_available,
)
