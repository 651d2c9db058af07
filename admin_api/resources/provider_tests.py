"""Ask providers themselves: does this credential work, which models are there. `/api/providers/…`, `/api/provider-nodes/validate`.

Every call is made by the admin process itself, within its limit, and goes the way that requests would go.
"""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from admin_api.http.answers import saved
from admin_api.http.errors import bad_request, not_found
from admin_api.services.find_provider import find_provider
from admin_api.services.keep_tests import probe_all, probe_and_keep
from admin_api.services.node_rules import base_url_problem, proxy_problem
from admin_api.services.ownership import editable
from admin_api.services.plane import Plane
from admin_api.services.probe import Probe, list_models, probe
from admin_api.store.connections import ConnectionRow, blank_connection, connections, load_connections_of
from admin_api.store.nodes import NodeRow, nodes
from gateway.domain.dialect import ProviderDialect

BATCH_LIMIT_S = 45.0
"""Shorter than workers wait for the admin process."""
MAX_BATCH = 500

_Text = Annotated[str, msgspec.Meta(max_length=400)]
_Secret = Annotated[str, msgspec.Meta(max_length=16_384)]
_Url = Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]


class ProbeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """`model`: asked for one token, beside the list of models."""

    model: _Text = ""


class ValidateBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A connection that is not there yet. Nothing of it is kept."""

    provider: _Text
    api_key: _Secret = ""
    model: _Text = ""
    fingerprint: Annotated[str, msgspec.Meta(max_length=100)] = ""
    proxy: Annotated[str, msgspec.Meta(max_length=2048)] = ""

    def __repr__(self) -> str:
        return f"ValidateBody(provider={self.provider!r})"


class NodeProbeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A node that is not there yet."""

    base_url: _Url
    api_key: _Secret = ""
    dialect: ProviderDialect | msgspec.UnsetType = msgspec.UNSET
    type: Literal["openai-compatible", "anthropic-compatible"] = "openai-compatible"
    api_type: Literal["chat", "responses"] = "chat"
    allow_private: bool = False
    model: _Text = ""

    def __repr__(self) -> str:
        return f"NodeProbeBody(base_url={self.base_url!r})"


class BatchBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """`provider` needs `providerId`; `compatible` are the nodes; `oauth` has none in this version."""

    mode: Literal["provider", "oauth", "free", "apikey", "compatible", "all"]
    provider_id: _Text = ""


class OrderBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """All connections of a provider in the order in which they are to be asked: their priorities become 1, 2, 3 …"""

    provider: _Text
    ids: Annotated[list[_Text], msgspec.Meta(min_length=1, max_length=10_000)]


@post("/api/providers/{connection_id:str}/test", status_code=200)
async def check_connection(
    connection_id: FromPath[str], plane: NamedDependency[Plane], data: JSONBody[ProbeBody | None] = None
) -> dict[str, Any]:
    """Does the provider accept its credential? What was found is kept with the connection."""
    row, node = await _connection(plane, connection_id)
    found = await probe_and_keep(plane, row, node, data.model if data else "")
    return _probe_view(found) | {"connectionId": row.id}


@post("/api/providers/validate", status_code=200)
async def validate_connection(data: JSONBody[ValidateBody], plane: NamedDependency[Plane]) -> dict[str, Any]:
    if data.proxy and (problem := proxy_problem(data.proxy)):
        raise bad_request(("proxy", problem))
    async with plane.database.read() as connection:
        provider, node = await find_provider(plane, connection, data.provider)
    row = _unkept(plane, provider, data.api_key, data.proxy, data.fingerprint)
    return _probe_view(await probe(plane, row, node, data.model))


@post("/api/provider-nodes/validate", status_code=200)
async def validate_node(data: JSONBody[NodeProbeBody], plane: NamedDependency[Plane]) -> dict[str, Any]:
    if problem := base_url_problem(data.base_url):
        raise bad_request(("baseUrl", problem))
    dialect = data.dialect
    if dialect is msgspec.UNSET:
        plain: ProviderDialect = "openai_responses" if data.api_type == "responses" else "openai_chat"
        dialect = "anthropic_messages" if data.type == "anthropic-compatible" else plain
    now = plane.now()
    node = NodeRow(
        "node-to-validate", "node", dialect, data.base_url.rstrip("/"), "node", data.allow_private, False, now, now
    )
    found = await probe(plane, _unkept(plane, node.id, data.api_key), node, data.model)
    return _probe_view(found) | {"models": found.models}


@post("/api/providers/test-batch", status_code=200)
async def check_connections(data: JSONBody[BatchBody], plane: NamedDependency[Plane]) -> dict[str, Any]:
    """Test many at once: active ones only, MAX_BATCH at most, and none that had no answer within BATCH_LIMIT_S."""
    if data.mode == "provider" and not data.provider_id:
        raise bad_request(("providerId", "is missing"))
    async with plane.database.read() as connection:
        known = {row.id: row for row in await nodes.load_all(connection)}
        rows = [row for row in await connections.load_all(connection) if row.is_active and _is_meant(row, data, known)]
    asked = rows[:MAX_BATCH]
    found = await probe_all(plane, [(row, known.get(row.provider)) for row in asked], BATCH_LIMIT_S)
    results = [_result_view(row, one) for row, one in zip(asked, found, strict=True)]
    passed = sum(one is not None and one.diagnosis.is_valid for one in found)
    tested = sum(one is not None for one in found)
    summary = {"total": len(rows), "passed": passed, "failed": tested - passed, "untested": len(rows) - tested}
    return {"mode": data.mode, "providerId": data.provider_id or None, "results": results, "summary": summary}


@get("/api/providers/{connection_id:str}/models")
async def list_provider_models(connection_id: FromPath[str], plane: NamedDependency[Plane]) -> dict[str, Any]:
    """What the provider itself lists; else, with the `warning` why, what this version knows of it (`source` `static`)."""
    row, node = await _connection(plane, connection_id)
    models, problem = await list_models(plane, row, node)
    answer: dict[str, Any] = {"provider": row.provider, "connectionId": row.id}
    if models is not None:
        return {**answer, "models": [{"id": one, "name": one} for one in models], "source": "api"}
    spec = plane.specs.get(row.provider)
    known = row.models or [model.id for model in spec.models] if spec else row.models
    return {
        **answer,
        "models": [{"id": one, "name": one} for one in known],
        "source": "static",
        "warning": msgspec.to_builtins(problem),
    }


@post("/api/providers/reorder", status_code=200)
async def reorder_connections(data: JSONBody[OrderBody], plane: NamedDependency[Plane]) -> Response[dict[str, Any]]:
    async with plane.change() as change:
        provider, _ = await find_provider(plane, change.connection, data.provider)
        rows = {row.id: row for row in await load_connections_of(change.connection, provider)}
        if sorted(data.ids) != sorted(rows):
            raise bad_request(("ids", f"must be all {len(rows)} connections of {provider!r}, each once"))
        for place, connection_id in enumerate(data.ids, 1):
            row = rows[connection_id]
            if row.priority != place:
                moved = msgspec.structs.replace(
                    editable(row, "connection", row.name),
                    priority=place,
                    updated_at=plane.now(),
                    version=change.revision,
                )
                await connections.replace(change.connection, moved)
    order = [{"id": connection_id, "priority": place} for place, connection_id in enumerate(data.ids, 1)]
    return saved({"success": True, "connections": order}, await plane.published())


async def _connection(plane: Plane, connection_id: str) -> tuple[ConnectionRow, NodeRow | None]:
    async with plane.database.read() as connection:
        row = await connections.get(connection, connection_id)
        if row is None:
            raise not_found("connection", connection_id)
        return row, await nodes.get(connection, row.provider)


def _unkept(plane: Plane, provider: str, api_key: str, proxy: str = "", fingerprint: str = "") -> ConnectionRow:
    row = blank_connection(plane.new_id(), provider, "connection to validate", plane.now())
    return msgspec.structs.replace(
        row, api_key=plane.seal(api_key, row.id), proxy=plane.seal(proxy, row.id), fingerprint=fingerprint
    )


def _is_meant(row: ConnectionRow, data: BatchBody, known: dict[str, NodeRow]) -> bool:
    match data.mode:
        case "provider":
            return row.provider == data.provider_id
        case "free":
            return row.tier == "free"
        case "apikey":
            return row.provider not in known
        case "compatible":
            return row.provider in known
        case "oauth":
            return False
        case _:
            return True


def _probe_view(found: Probe) -> dict[str, Any]:
    diagnosis = found.diagnosis
    return {
        "valid": diagnosis.is_valid,
        "error": None if diagnosis.is_valid else diagnosis.message or diagnosis.type,
        "latencyMs": found.latency_ms,
        "diagnosis": msgspec.to_builtins(diagnosis),
    }


def _result_view(row: ConnectionRow, found: Probe | None) -> dict[str, Any]:
    named = {"connectionId": row.id, "connectionName": row.name, "provider": row.provider}
    if found is None:
        return {**named, "valid": None, "error": "there was no time for it", "latencyMs": None, "diagnosis": None}
    return {**named, **_probe_view(found)}


handlers = (
    check_connection,
    validate_connection,
    validate_node,
    check_connections,
    list_provider_models,
    reorder_connections,
)
