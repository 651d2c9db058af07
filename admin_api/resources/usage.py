"""What was asked and what it used: `/api/usage/history` and `/api/usage/logs`, newest first, paged by id."""

from typing import Annotated, Any

import msgspec
import sqlalchemy as sa
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery, Parameter

from admin_api.http.errors import bad_request
from admin_api.services.decision_view import decision_view
from admin_api.services.key_rules import NANO
from admin_api.services.plane import Plane
from admin_api.store.records import RecordRow, load_records, record_conditions
from gateway.domain.decision import Decision

MAX_LIMIT = 200
_Limit = Annotated[int, Parameter(ge=1, le=MAX_LIMIT)]


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
    combo: FromQuery[str] = "",
) -> dict[str, Any]:
    """Usage and cost of single requests."""
    where = _where(status=status, model=model, provider=provider, account=account, key=key, combo=combo)
    rows, after = await _page(plane, where, limit, cursor)
    return {"history": [_usage_view(row) for row in rows], "nextCursor": after}


@get("/api/usage/logs")
async def logs(
    plane: NamedDependency[Plane],
    limit: FromQuery[_Limit] = 50,
    cursor: FromQuery[str] = "",
    status: FromQuery[str] = "",
    model: FromQuery[str] = "",
    provider: FromQuery[str] = "",
    account: FromQuery[str] = "",
    key: FromQuery[str] = "",
    combo: FromQuery[str] = "",
) -> dict[str, Any]:
    """How single requests went: every attempt, times and errors."""
    where = _where(status=status, model=model, provider=provider, account=account, key=key, combo=combo)
    rows, after = await _page(plane, where, limit, cursor)
    return {"logs": [_log_view(row) for row in rows], "nextCursor": after}


def _where(**words: str) -> list[sa.ColumnElement[bool]]:
    try:
        return record_conditions(**words)
    except ValueError as error:
        raise bad_request(("status", str(error))) from error


async def _page(
    plane: Plane, where: list[sa.ColumnElement[bool]], limit: int, cursor: str
) -> tuple[list[RecordRow], str | None]:
    """A page, and the cursor of the next one if there is one."""
    async with plane.database.read() as connection:
        rows = await load_records(connection, where, cursor, limit + 1)
    return rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else None


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
    }


handlers = (history, logs)
