"""A connection as the API shows it: no secret, and what its last test found."""

from typing import Any

from admin_api.services.masking import masked
from admin_api.store.connection_tests import TestRow
from admin_api.store.connections import ConnectionRow

_STATUS = {"network_error": "unavailable", "upstream_unavailable": "unavailable"}


def connection_view(row: ConnectionRow, test: TestRow | None = None) -> dict[str, Any]:
    """`extra` fields stand beside the others, as the seed has them."""
    return {
        **masked(row.extra),
        **test_view(test),
        "id": row.id,
        "provider": row.provider,
        "authType": row.extra.get("authType", "apikey"),
        "name": row.name,
        "apiKey": row.api_key_hint,
        "priority": row.priority,
        "tier": row.tier,
        "rpm": row.rpm,
        "minGapMs": row.min_gap_ms,
        "maxConcurrency": row.max_concurrency,
        "models": row.models,
        "fingerprint": row.fingerprint,
        "hasProxy": bool(row.proxy),
        "isActive": row.is_active,
        "managed": row.managed,
        "version": row.version,
        "createdAt": row.created_at,
        "updatedAt": row.updated_at,
    }


def test_view(test: TestRow | None) -> dict[str, Any]:
    """In the seed's words: `testStatus` is `active`, `unavailable`, `error`, or `untested`."""
    if test is None:
        return {
            "testStatus": "untested",
            "lastTested": None,
            "lastError": None,
            "lastErrorType": None,
            "errorCode": None,
        }
    return {
        "testStatus": "active" if test.is_valid else _STATUS.get(test.type, "error"),
        "lastTested": test.at,
        "lastError": None if test.is_valid else test.message or test.type,
        "lastErrorType": None if test.type == "ok" else test.type,
        "errorCode": None if test.is_valid else test.code,
    }
