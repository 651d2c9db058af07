"""User-made providers: `/api/provider-nodes`."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.http.answers import saved
from admin_api.http.errors import bad_request, conflict, not_found
from admin_api.http.paging import Cursor, Limit, load_page
from admin_api.http.versions import IfMatch, Version, check_version
from admin_api.services.node_rules import base_url_problem, prefix_problem
from admin_api.services.node_view import node_view
from admin_api.services.ownership import editable
from admin_api.services.plane import Plane
from admin_api.store.connection_tests import forget_test
from admin_api.store.connections import connections, load_connections_of
from admin_api.store.custom_models import custom_models, load_models_of
from admin_api.store.nodes import NodeRow, nodes
from gateway.domain.dialect import ProviderDialect

_Text = Annotated[str, msgspec.Meta(max_length=200)]
_Url = Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]


class NodeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """`baseUrl` includes the version segment. The dialect may be named, or told by the seed's `type` and `apiType`."""

    id: str | msgspec.UnsetType = msgspec.UNSET
    name: _Text | msgspec.UnsetType = msgspec.UNSET
    prefix: str | msgspec.UnsetType = msgspec.UNSET
    base_url: _Url | msgspec.UnsetType = msgspec.UNSET
    dialect: ProviderDialect | msgspec.UnsetType = msgspec.UNSET
    type: Literal["openai-compatible", "anthropic-compatible"] | msgspec.UnsetType = msgspec.UNSET
    api_type: Literal["chat", "responses"] | msgspec.UnsetType = msgspec.UNSET
    allow_private: bool | msgspec.UnsetType = msgspec.UNSET
    version: Version | msgspec.UnsetType = msgspec.UNSET


@get("/api/provider-nodes")
async def list_nodes(plane: NamedDependency[Plane], limit: Limit = None, cursor: Cursor = "") -> dict[str, Any]:
    """By id."""
    async with plane.database.read() as connection:
        rows, after = await load_page(connection, nodes, limit, cursor)
    return {"nodes": [node_view(row) for row in rows], "nextCursor": after}


@post("/api/provider-nodes")
async def create_node(data: JSONBody[NodeBody], plane: NamedDependency[Plane]) -> Response[dict[str, Any]]:
    missing = [(name, "is missing") for name in ("prefix", "baseUrl") if _given(data, name) is None]
    if missing:
        raise bad_request(*missing)
    prefix = str(data.prefix)
    blank = NodeRow(
        id=data.id or prefix,
        prefix=prefix,
        dialect="openai_chat",
        base_url="",
        name=prefix,
        allow_private=False,
        managed=False,
        created_at=plane.now(),
        updated_at=plane.now(),
    )
    row = _changed(blank, data, plane.now())
    _check(row, plane)
    async with plane.change() as change:
        if await nodes.get(change.connection, row.id):
            raise conflict(f"there is a node {row.id!r} already")
        await _check_prefix_free(change.connection, row)
        row = msgspec.structs.replace(row, version=change.revision)
        await nodes.insert(change.connection, row)
    return saved({"node": node_view(row)}, await plane.published(), status=201, version=row.version)


@get("/api/provider-nodes/{node_id:str}")
async def get_node(node_id: FromPath[str], plane: NamedDependency[Plane]) -> dict[str, Any]:
    async with plane.database.read() as connection:
        row = await nodes.get(connection, node_id)
    if row is None:
        raise not_found("node", node_id)
    return {"node": node_view(row)}


@put("/api/provider-nodes/{node_id:str}")
async def change_node(
    node_id: FromPath[str], data: JSONBody[NodeBody], plane: NamedDependency[Plane], if_match: IfMatch = None
) -> Response[dict[str, Any]]:
    if data.id not in (msgspec.UNSET, node_id):
        raise bad_request(("id", "cannot be changed"))
    async with plane.change() as change:
        old = editable(await nodes.get(change.connection, node_id), "node", node_id)
        check_version(old.version, if_match, data.version)
        row = msgspec.structs.replace(_changed(old, data, plane.now()), version=change.revision)
        _check(row, plane)
        await _check_prefix_free(change.connection, row)
        await nodes.replace(change.connection, row)
    return saved({"node": node_view(row)}, await plane.published(), version=row.version)


@delete("/api/provider-nodes/{node_id:str}", status_code=200)
async def delete_node(
    node_id: FromPath[str], plane: NamedDependency[Plane], if_match: IfMatch = None
) -> Response[dict[str, Any]]:
    """Delete a node, the connections to it and the models that were added to it."""
    async with plane.change() as change:
        old = editable(await nodes.get(change.connection, node_id), "node", node_id)
        check_version(old.version, if_match)
        for row in await load_connections_of(change.connection, node_id):
            editable(row, "connection", row.name)
            await connections.delete(change.connection, row.id)
            await forget_test(change.connection, row.id)
        for model in await load_models_of(change.connection, node_id):
            await custom_models.delete(change.connection, model.id)
        await nodes.delete(change.connection, node_id)
    return saved({"success": True}, await plane.published())


def _given(data: NodeBody, name: str) -> Any:
    value = {"prefix": data.prefix, "baseUrl": data.base_url}[name]
    return None if value is msgspec.UNSET else value


def _changed(row: NodeRow, data: NodeBody, now: float) -> NodeRow:
    given = {
        name: value
        for name in ("name", "prefix", "base_url", "allow_private")
        if (value := getattr(data, name)) is not msgspec.UNSET
    }
    if "base_url" in given:
        given["base_url"] = given["base_url"].rstrip("/")
    return msgspec.structs.replace(row, **given, dialect=_dialect(row, data), updated_at=now)


def _dialect(row: NodeRow, data: NodeBody) -> str:
    if data.dialect is not msgspec.UNSET:
        return data.dialect
    if data.type == "anthropic-compatible":
        return "anthropic_messages"
    if data.type is not msgspec.UNSET or data.api_type is not msgspec.UNSET:
        return "openai_responses" if data.api_type == "responses" else "openai_chat"
    return row.dialect


def _check(row: NodeRow, plane: Plane) -> None:
    problems = [
        ("id", prefix_problem(row.id) or _reserved(row.id, plane)),
        ("prefix", prefix_problem(row.prefix) or _reserved(row.prefix, plane)),
        ("baseUrl", base_url_problem(row.base_url)),
    ]
    found = [(field, problem) for field, problem in problems if problem]
    if found:
        raise bad_request(*found)


def _reserved(name: str, plane: Plane) -> str:
    owners = [spec.id for spec in plane.specs.values() if name in (spec.id, *spec.prefixes)]
    return f"belongs to the built-in provider {owners[0]!r}" if owners else ""


async def _check_prefix_free(connection: AsyncConnection, row: NodeRow) -> None:
    for other in await nodes.load_all(connection):
        if other.id != row.id and row.prefix in (other.prefix, other.id):
            raise conflict(f"the prefix {row.prefix!r} belongs to the node {other.id!r}")


handlers = (list_nodes, create_node, get_node, change_node, delete_node)
