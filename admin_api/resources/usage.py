"""What was asked and what it used, request by request: `/api/usage/history`, `logs` and the seed's other names for them.

Newest first, in pages: `cursor` is the `nextCursor` of the page before. A page may be short, or empty, and have a next one.
"""

from dataclasses import replace
from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, Parameter, QueryParameter

from admin_api.http.errors import bad_request, not_found
from admin_api.services.decision_view import decision_view
from admin_api.services.key_rules import NANO
from admin_api.services.plane import Plane
from admin_api.store.connections import load_connection_names
from admin_api.store.cursor import BadCursor
from admin_api.store.keys import find_key_id
from admin_api.store.record_lists import Filters, Page, check_status, load_page, load_record
from admin_api.store.records import RecordRow
from admin_api.store.request_bodies import load_bodies
from gateway.domain.bodies import StoredBodies
from gateway.domain.decision import Decision

MAX_LIMIT = 200
SEARCHED_S = 86_400.0
"""A text is looked for in so much of the past if the caller names no time."""
_Limit = Annotated[int, Parameter(ge=1, le=MAX_LIMIT)]
_Instant = Annotated[float, Parameter(ge=0, le=1e11)]
_Search = Annotated[str, Parameter(max_length=200)]
_ApiKey = Annotated[str, QueryParameter(name="apiKey", required=False, description="The seed's word for `key`.")]


@get("/api/usage/history")
async def history(
    plane: NamedDependency[Plane],
    limit: FromQuery[_Limit] = 50,
    cursor: FromQuery[str] = "",
    status: FromQuery[str] = "",
    model: FromQuery[str] = "",
    provider: FromQuery[str] = "",
    account: FromQuery[str] = "",
    key: FromQuery[str] = "",
    api_key: _ApiKey = "",
    combo: FromQuery[str] = "",
    search: FromQuery[_Search] = "",
    since: FromQuery[_Instant] = 0.0,
    until: FromQuery[_Instant] = 0.0,
) -> dict[str, Any]:
    """Usage and cost of single requests."""
    filters = Filters(
        status=status, model=model, provider=provider, account=account, key=key or api_key, combo=combo,
        search=search, since=since, until=until,
    )  # fmt: skip
    page = await _page(plane, filters, cursor, limit)
    return {"history": [_usage_view(row) for row in page.rows], "nextCursor": page.after}


@get(["/api/usage/logs", "/api/usage/request-logs", "/api/usage/call-logs"])
async def logs(
    plane: NamedDependency[Plane],
    limit: FromQuery[_Limit] = 50,
    cursor: FromQuery[str] = "",
    status: FromQuery[str] = "",
    model: FromQuery[str] = "",
    provider: FromQuery[str] = "",
    account: FromQuery[str] = "",
    key: FromQuery[str] = "",
    api_key: _ApiKey = "",
    combo: FromQuery[str] = "",
    search: FromQuery[_Search] = "",
    since: FromQuery[_Instant] = 0.0,
    until: FromQuery[_Instant] = 0.0,
) -> dict[str, Any]:
    """How single requests went: every attempt, times and errors. A text is looked for within a time range."""
    filters = Filters(
        status=status, model=model, provider=provider, account=account, key=key or api_key, combo=combo,
        search=search, since=since, until=until,
    )  # fmt: skip
    page = await _page(plane, filters, cursor, limit)
    return {"logs": [_log_view(row) for row in page.rows], "nextCursor": page.after}


@get(["/api/usage/logs/{record_id:str}", "/api/usage/call-logs/{record_id:str}"])
async def one_log(record_id: FromPath[str], plane: NamedDependency[Plane]) -> dict[str, Any]:
    """One request; for owners and operators with what was asked and answered, where that is stored.

    `connectionNames` has the names of the connections that it came by and that are still there, by id.
    """
    sees_bodies = plane.actor.role != "viewer"
    async with plane.database.read() as connection:
        row = await load_record(connection, record_id)
        if row is None:
            raise not_found("request", record_id)
        bodies = await load_bodies(connection, record_id) if sees_bodies else None
        ids = {row["connection_id"], *(attempt.get("connection_id", "") for attempt in row["attempts"])}
        names = await load_connection_names(connection, ids)
    shown = {**_log_view(row), "connectionNames": {of: one.name for of, one in names.items()}}
    return {**shown, "bodies": _bodies_view(bodies)} if sees_bodies else shown


async def _page(plane: Plane, filters: Filters, cursor: str, limit: int) -> Page:
    """`key` is an id, or the name of a key that exists. A text is looked for in the last day if no time is given."""
    try:
        check_status(filters.status)
    except ValueError as error:
        raise bad_request(("status", str(error))) from error
    if filters.search and not filters.since:
        filters = replace(filters, since=(filters.until or plane.now()) - SEARCHED_S)
    try:
        async with plane.database.read() as connection:
            if filters.key:
                filters = replace(filters, key=await find_key_id(connection, filters.key))
            return await load_page(connection, filters, cursor, limit)
    except BadCursor as error:
        raise bad_request(("cursor", str(error))) from error


def _usage_view(row: RecordRow) -> dict[str, Any]:
    cost = row["cost_nano_usd"]
    return {
        "id": row["id"],
        "timestamp": row["at"],
        "provider": row["provider"],
        "model": row["model"],
        "requestedModel": row["requested_model"],
        "combo": row["combo"],
        "connectionId": row["connection_id"],
        "apiKeyId": row["key_id"],
        "apiKeyName": row["key_name"],
        "status": row["status"],
        "state": row["state"],
        "tokens": {
            "input": row["input_tokens"],
            "output": row["output_tokens"],
            "cacheRead": row["cache_read_tokens"],
            "cacheWrite": row["cache_write_tokens"],
            "reasoning": row["reasoning_tokens"],
            "estimated": row["is_estimated"],
        },
        "costNanoUsd": cost,
        "costUsd": None if cost is None else cost / NANO,
        "cache": row["cache"],
        "saved": {
            "input": row["saved_input_tokens"],
            "output": row["saved_output_tokens"],
            "nanoUsd": row["saved_nano_usd"],
        },
    }


def _log_view(row: RecordRow) -> dict[str, Any]:
    return {
        **_usage_view(row),
        "requestId": row["request_id"],
        "endpoint": row["endpoint"],
        "dialect": row["dialect"],
        "stream": row["is_stream"],
        "error": row["error"],
        "attempts": [_attempt_view(attempt) for attempt in row["attempts"]],
        "firstByteMs": row["first_byte_ms"],
        "durationMs": row["duration_ms"],
        "bytesIn": row["bytes_in"],
        "bytesOut": row["bytes_out"],
        "worker": row["worker"],
        "routing": _routing_view(row["routing"]),
    }


def _bodies_view(bodies: StoredBodies | None) -> dict[str, Any] | None:
    """Texts as they are stored: redacted, and cut where the sizes (bytes, of what was sent) say more."""
    if bodies is None:
        return None
    return {
        "request": bodies.asked,
        "requestBytes": bodies.asked_bytes,
        "response": bodies.answered,
        "responseBytes": bodies.answered_bytes,
    }


def _routing_view(routing: dict[str, Any] | None) -> dict[str, Any] | None:
    """The decision, of requests for which it was kept."""
    return None if routing is None else decision_view(msgspec.convert(routing, Decision))


def _attempt_view(attempt: dict[str, Any]) -> dict[str, Any]:
    return {
        "provider": attempt.get("provider", ""),
        "connectionId": attempt.get("connection_id", ""),
        "model": attempt.get("model", ""),
        "outcome": attempt.get("outcome", ""),
        "status": attempt.get("status", 0),
        "durationMs": attempt.get("duration_ms", 0.0),
        "error": attempt.get("error", ""),
        "dropped": attempt.get("dropped", []),
        "proxy": attempt.get("proxy") or None,
    }


handlers = (history, logs, one_log)
