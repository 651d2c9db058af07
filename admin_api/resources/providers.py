"""Connections, one account or key at a provider each: `/api/providers`. Secrets go in and never come out."""

from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.http.answers import saved
from admin_api.http.errors import bad_request, conflict, not_found
from admin_api.http.paging import Cursor, Limit, load_page
from admin_api.http.versions import IfMatch, Version, check_version
from admin_api.services.connection_view import connection_view
from admin_api.services.find_provider import find_provider
from admin_api.services.key_rules import secret_hint
from admin_api.services.masking import first_secret
from admin_api.services.node_rules import proxy_problem
from admin_api.services.ownership import editable
from admin_api.services.plane import Plane
from admin_api.store.connection_tests import TestRow, forget_test, load_tests
from admin_api.store.connections import ConnectionRow, blank_connection, connections, load_connections_of
from gateway.config.snapshot import Tier

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_Secret = Annotated[str, msgspec.Meta(max_length=16_384)]
_Model = Annotated[str, msgspec.Meta(min_length=1, max_length=400)]
_Models = Annotated[list[_Model], msgspec.Meta(max_length=1000)]
_Limit = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
_Priority = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
_Short = Annotated[str, msgspec.Meta(max_length=400)]

_PLAIN = (
    "name", "priority", "tier", "rpm", "min_gap_ms", "max_concurrency", "models", "fingerprint", "is_active",
)  # fmt: skip
_EXTRA = (
    "global_priority", "default_model", "provider_specific_data", "display_name", "email",
    "health_check_interval", "rate_limit_protection", "auth_type",
)  # fmt: skip


class ConnectionBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Limits of 0 mean none, empty `models` any.

    Of the last block `rateLimitProtection` says whether the default limits count here, and `defaultModel` is the model
    that a test asks; the rest is kept for the seed's users and obeyed by nothing, and may hold no secret. `testStatus` is taken
    and ignored: only a test says it.
    """

    provider: str | msgspec.UnsetType = msgspec.UNSET
    name: _Name | msgspec.UnsetType = msgspec.UNSET
    api_key: _Secret | msgspec.UnsetType = msgspec.UNSET
    priority: _Priority | msgspec.UnsetType = msgspec.UNSET
    tier: Tier | msgspec.UnsetType = msgspec.UNSET
    rpm: _Limit | msgspec.UnsetType = msgspec.UNSET
    min_gap_ms: _Limit | msgspec.UnsetType = msgspec.UNSET
    max_concurrency: _Limit | msgspec.UnsetType = msgspec.UNSET
    models: _Models | msgspec.UnsetType = msgspec.UNSET
    fingerprint: Annotated[str, msgspec.Meta(max_length=100)] | msgspec.UnsetType = msgspec.UNSET
    proxy: Annotated[str, msgspec.Meta(max_length=2048)] | msgspec.UnsetType = msgspec.UNSET
    is_active: bool | msgspec.UnsetType = msgspec.UNSET

    global_priority: int | msgspec.UnsetType | None = msgspec.UNSET
    default_model: _Short | msgspec.UnsetType | None = msgspec.UNSET
    test_status: _Short | msgspec.UnsetType | None = msgspec.UNSET
    provider_specific_data: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    display_name: _Short | msgspec.UnsetType | None = msgspec.UNSET
    email: _Short | msgspec.UnsetType | None = msgspec.UNSET
    health_check_interval: int | msgspec.UnsetType | None = msgspec.UNSET
    rate_limit_protection: bool | msgspec.UnsetType | None = msgspec.UNSET
    auth_type: _Short | msgspec.UnsetType | None = msgspec.UNSET

    version: Version | msgspec.UnsetType = msgspec.UNSET

    def __repr__(self) -> str:
        return f"ConnectionBody(provider={self.provider!r}, name={self.name!r})"


@get("/api/providers")
async def list_connections(plane: NamedDependency[Plane], limit: Limit = None, cursor: Cursor = "") -> dict[str, Any]:
    """By provider, priority and name."""
    async with plane.database.read() as connection:
        rows, after = await load_page(connection, connections, limit, cursor)
        tests = await load_tests(connection, *(row.id for row in rows))
    return {"connections": [connection_view(row, tests.get(row.id)) for row in rows], "nextCursor": after}


@post("/api/providers")
async def create_connection(data: JSONBody[ConnectionBody], plane: NamedDependency[Plane]) -> Response[dict[str, Any]]:
    if data.provider is msgspec.UNSET or data.name is msgspec.UNSET:
        raise bad_request(*((n, "is missing") for n in ("provider", "name") if getattr(data, n) is msgspec.UNSET))
    async with plane.change() as change:
        provider, _ = await find_provider(plane, change.connection, data.provider)
        row = _changed(plane, blank_connection(plane.new_id(), provider, data.name, plane.now()), data, change.revision)
        await _check_name_free(change.connection, row)
        await connections.insert(change.connection, row)
    return saved({"connection": connection_view(row)}, await plane.published(), status=201, version=row.version)


@get("/api/providers/{connection_id:str}")
async def get_connection(connection_id: FromPath[str], plane: NamedDependency[Plane]) -> dict[str, Any]:
    async with plane.database.read() as connection:
        row = await connections.get(connection, connection_id)
        tests = await load_tests(connection, connection_id)
    if row is None:
        raise not_found("connection", connection_id)
    return {"connection": connection_view(row, tests.get(row.id))}


@put("/api/providers/{connection_id:str}")
async def change_connection(
    connection_id: FromPath[str],
    data: JSONBody[ConnectionBody],
    plane: NamedDependency[Plane],
    if_match: IfMatch = None,
) -> Response[dict[str, Any]]:
    async with plane.change() as change:
        old = editable(await connections.get(change.connection, connection_id), "connection", connection_id)
        check_version(old.version, if_match, data.version)
        if data.provider is not msgspec.UNSET:
            provider, _ = await find_provider(plane, change.connection, data.provider)
            if provider != old.provider:
                raise bad_request(("provider", "cannot be changed: make another connection"))
        row = _changed(plane, old, data, change.revision)
        await _check_name_free(change.connection, row)
        await connections.replace(change.connection, row)
        test = await _test_that_still_counts(change.connection, old, row)
    return saved({"connection": connection_view(row, test)}, await plane.published(), version=row.version)


@delete("/api/providers/{connection_id:str}", status_code=200)
async def delete_connection(
    connection_id: FromPath[str], plane: NamedDependency[Plane], if_match: IfMatch = None
) -> Response[dict[str, Any]]:
    async with plane.change() as change:
        old = editable(await connections.get(change.connection, connection_id), "connection", connection_id)
        check_version(old.version, if_match)
        await connections.delete(change.connection, connection_id)
        await forget_test(change.connection, connection_id)
    answer = {"success": True, "message": "Connection deleted successfully"}
    return saved(answer, await plane.published())


def _changed(plane: Plane, row: ConnectionRow, data: ConnectionBody, revision: int) -> ConnectionRow:
    given: dict[str, Any] = {name: value for name in _PLAIN if (value := getattr(data, name)) is not msgspec.UNSET}
    # A client that sends back what it was shown means no change.
    if data.api_key is not msgspec.UNSET and (data.api_key != row.api_key_hint or not data.api_key):
        given["api_key"] = plane.seal(data.api_key, row.id)
        given["api_key_hint"] = secret_hint(data.api_key)
    if data.proxy is not msgspec.UNSET:
        if data.proxy and (problem := proxy_problem(data.proxy)):
            raise bad_request(("proxy", problem))
        given["proxy"] = plane.seal(data.proxy, row.id)
    extra = {_camel(name): value for name in _EXTRA if (value := getattr(data, name)) is not msgspec.UNSET}
    if (secret := first_secret(extra)) is not None:
        raise bad_request((secret, "is kept open and shown to everybody: a secret is given as `apiKey`"))
    return msgspec.structs.replace(row, **given, extra={**row.extra, **extra}, updated_at=plane.now(), version=revision)


async def _test_that_still_counts(
    connection: AsyncConnection, old: ConnectionRow, row: ConnectionRow
) -> TestRow | None:
    """With another credential, or on another way, nothing is known of a connection."""
    if (old.api_key, old.proxy, old.fingerprint) != (row.api_key, row.proxy, row.fingerprint):
        await forget_test(connection, row.id)
    return (await load_tests(connection, row.id)).get(row.id)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


async def _check_name_free(connection: AsyncConnection, row: ConnectionRow) -> None:
    for other in await load_connections_of(connection, row.provider):
        if other.id != row.id and other.name == row.name:
            raise conflict(f"the provider {row.provider!r} has a connection {row.name!r} already")


handlers = (list_connections, create_connection, get_connection, change_connection, delete_connection)
