"""Whether the stored credentials of connections are accepted: from tests, from what rests, and from the log of requests."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.services.check_secrets import opens
from admin_api.services.plane import Plane
from admin_api.store.connection_tests import TestRow
from admin_api.store.connections import ConnectionRow
from admin_api.store.record_lists import load_last_success, load_refused
from admin_api.store.usage_sums import load_by_name
from gateway.state.rest_table import RestState

State = Literal["healthy", "refused", "unreadable", "unknown"]

LOOKED_BACK_S = 7 * 86_400.0
MOST_REFUSALS = 2_000
"""Requests with a refusal that are looked at, the newest; what lies behind them is not known here."""
MOST_SCANNED = 1_000
_REFUSING_TESTS = ("upstream_auth_error", "auth_missing")


class Refusal(msgspec.Struct, frozen=True):
    """The last time that a provider would not have a connection's credential (401, 403). `at` is unix seconds."""

    at: float
    status: int = 0
    message: str = ""


async def last_refusals(connection: AsyncConnection, now: float) -> dict[str, Refusal]:
    """By connection, of the last LOOKED_BACK_S."""
    found: dict[str, Refusal] = {}
    for row in await load_refused(connection, now - LOOKED_BACK_S, MOST_REFUSALS):
        for attempt in row["attempts"]:
            if attempt.get("outcome") == "auth" and attempt["connection_id"] not in found:
                found[attempt["connection_id"]] = Refusal(row["at"], attempt.get("status", 0), attempt.get("error", ""))
    return found


async def credential_health(
    plane: Plane,
    connection: AsyncConnection,
    rows: Sequence[ConnectionRow],
    tests: Mapping[str, TestRow],
    rests: Sequence[RestState],
) -> list[dict[str, Any]]:
    """In the order of the rows; each as the newest that is known says."""
    now = plane.now()
    refusals = await last_refusals(connection, now)
    sums = await load_by_name(connection, "connection", now - LOOKED_BACK_S, len(rows) + MOST_SCANNED)
    answered = {name for name, one in sums if one["requests"] > one["errors"]}
    resting = {state.connection_id: state.until for state in rests if state.why == "auth"}
    shown = []
    for row in rows:
        test, refusal = tests.get(row.id), refusals.get(row.id)
        worked_at = await _worked_at(connection, row.id, refusal, row.id in answered)
        shown.append(
            {
                "connectionId": row.id,
                "provider": row.provider,
                "name": row.name,
                "isActive": row.is_active,
                "state": state_of(opens(plane, row), test, refusal, worked_at, is_resting=row.id in resting),
                "lastRefusedAt": refusal.at if refusal else None,
                "lastRefusal": {"status": refusal.status, "message": refusal.message} if refusal else None,
                "restsUntil": resting.get(row.id),
                "lastTested": test.at if test else None,
                "lastTestType": test.type if test else None,
            }
        )
    return shown


def state_of(
    is_readable: bool, test: TestRow | None, refusal: Refusal | None, worked_at: float, *, is_resting: bool
) -> State:
    """What counts is what happened last; while it rests for it, a refusal did. Pure."""
    if not is_readable:
        return "unreadable"
    tested_at = test.at if test else 0.0
    well_at = max(worked_at, tested_at if test and test.is_valid else 0.0)
    refused_at = max(refusal.at if refusal else 0.0, tested_at if test and test.type in _REFUSING_TESTS else 0.0)
    if refused_at > well_at or (is_resting and not well_at > refused_at > 0):
        return "refused"
    return "healthy" if well_at else "unknown"


async def _worked_at(connection: AsyncConnection, row_id: str, refusal: Refusal | None, has_answered: bool) -> float:
    """When it last answered well, unix seconds; without a refusal to compare with, any instant will do."""
    if not has_answered:
        return 0.0
    return await load_last_success(connection, row_id, refusal.at, MOST_SCANNED) if refusal else 1.0
