"""Encoded records → the ledger, in one transaction. What cannot be read or stored is set aside, never in the way."""

import hashlib
import math
from collections.abc import Sequence
from itertools import islice
from typing import Any

import msgspec
import structlog

from admin_api.services.plane import Plane
from admin_api.services.tariff import Tariff, load_tariff
from admin_api.store.faults import FAILURES, Fault, fault_of
from admin_api.store.records import PROXIED, REFUSED, insert_records, insert_rejected
from gateway.domain.decision import Decision
from gateway.domain.record import AttemptRecord, RequestRecord, decode_record

_MAX_COUNT = 1 << 53
_MAX_BODY = 16_384
_SHORT, _LONG = 200, 4_000
_MOST_NAMED = 100
_TRIES = 3

log = structlog.get_logger()


async def keep_records(plane: Plane, blobs: Sequence[bytes], *, is_lost: bool = False) -> int:
    """Insert the records that are not in the ledger yet. Gives how many that were. May be repeated."""
    if not blobs:
        return 0
    tariff = await load_tariff(plane)
    rows: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    for blob in blobs:
        try:
            record = decode_record(blob)
            rows.append(record_row(as_lost(record) if is_lost else record, tariff))
        except (msgspec.DecodeError, msgspec.ValidationError, ValueError) as error:
            rejected.append(_rejected(plane, blob, str(error)))
    if rejected:
        log.warning("records_rejected", count=len(rejected), reason=rejected[0]["reason"])
    try:
        return await _insert(plane, rows, rejected)
    except FAILURES as error:
        if fault_of(error) not in (Fault.VALUE, Fault.CLASH):
            raise
        if len(blobs) == 1:
            return await _set_aside(plane, blobs[0], error)
        # One row that the database refuses must not hold up the rest: find it by halves.
        middle = len(blobs) // 2
        first = await keep_records(plane, blobs[:middle], is_lost=is_lost)
        return first + await keep_records(plane, blobs[middle:], is_lost=is_lost)


async def _insert(plane: Plane, rows: list[dict[str, Any]], rejected: list[dict[str, Any]]) -> int:
    for tries_left in reversed(range(_TRIES)):
        try:
            async with plane.database.write() as connection:
                await insert_rejected(connection, rejected)
                return await insert_records(connection, rows)
        except FAILURES as error:
            if not tries_left or fault_of(error) != Fault.BUSY:
                raise
            log.info("ledger_tries_again", reason=type(error).__name__)
    raise AssertionError("the last try gives or raises")


async def _set_aside(plane: Plane, blob: bytes, error: Exception) -> int:
    log.warning("record_refused_by_database", reason=type(error).__name__)
    async with plane.database.write() as connection:
        await insert_rejected(connection, [_rejected(plane, blob, f"database: {type(error).__name__}")])
    return 0


def as_lost(record: RequestRecord) -> RequestRecord:
    """What is written for a request whose worker died: its usage is a guess."""
    usage = msgspec.structs.replace(record.usage, estimated=True)
    return msgspec.structs.replace(record, state="lost", error="worker_lost", usage=usage)


def record_row(record: RequestRecord, tariff: Tariff) -> dict[str, Any]:
    """Columns of a record, in the table's order. Raises ValueError for what no honest worker writes."""
    usage = record.usage
    is_honest = (
        0 <= usage.input < _MAX_COUNT
        and 0 <= usage.output < _MAX_COUNT
        and 0 <= usage.cache_read < _MAX_COUNT
        and 0 <= usage.cache_write < _MAX_COUNT
        and 0 <= usage.reasoning < _MAX_COUNT
        and 0 <= record.cost_nano_usd < _MAX_COUNT
        and 0 <= record.bytes_in < _MAX_COUNT
        and 0 <= record.bytes_out < _MAX_COUNT
    )
    if not is_honest:
        raise ValueError("a count is negative or far too large")
    if record.cache and not all(
        0 <= count < _MAX_COUNT for count in (record.saved_input, record.saved_output, record.saved_nano_usd)
    ):
        raise ValueError("what was saved is negative or far too large")
    if not (record.id and len(record.id) <= 100 and record.id.isascii() and record.id.isprintable()):
        raise ValueError("the id is empty, too long or not plain text")
    if not (0 <= record.at < 1e11 and 0 <= record.status < 1000):
        raise ValueError("the time or the status is out of range")
    if not (0 <= record.duration_ms < 1e11 and (record.first_byte_ms is None or 0 <= record.first_byte_ms < 1e11)):
        raise ValueError("a duration is out of range")
    return {
        "id": record.id,
        "at": record.at,
        "state": _state(record),
        "worker": _text(record.worker),
        "endpoint": _text(record.endpoint),
        "dialect": _text(record.dialect),
        "requested_model": _text(record.requested_model, 400),
        "request_id": _text(record.request_id),
        "key_id": _text(record.key_id),
        "key_name": _text(record.key_name),
        "combo": _text(record.combo),
        "provider": _text(record.provider),
        "connection_id": _text(record.connection_id),
        "model": _text(record.model, 400),
        "is_stream": record.is_stream,
        "status": record.status,
        "error": _text(record.error, _LONG) if record.error else "",
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write,
        "reasoning_tokens": usage.reasoning,
        "is_estimated": usage.estimated,
        "cost_nano_usd": 0 if record.cache else record.cost_nano_usd or tariff.cost(record),
        "attempts": _attempts(record.attempts),
        "first_byte_ms": record.first_byte_ms,
        "duration_ms": record.duration_ms,
        "bytes_in": record.bytes_in,
        "bytes_out": record.bytes_out,
        "routing": None if record.routing is None else msgspec.json.encode(_routing(record.routing)).decode(),
        "cache": _text(record.cache, 20) if record.cache else "",
        "saved_input_tokens": record.saved_input if record.cache else 0,
        "saved_output_tokens": record.saved_output if record.cache else 0,
        "saved_nano_usd": record.saved_nano_usd if record.cache else 0,
        "noted": _noted(record.attempts),
    }


def _state(record: RequestRecord) -> str:
    """`estimated` gives way to a record of the same request that knows what was used."""
    if record.state == "final":
        return "estimated" if record.usage.estimated else "final"
    return "lost"


def _noted(attempts: Sequence[AttemptRecord]) -> int:
    """By what rows are found for the sake of their attempts."""
    found = 0
    for attempt in attempts:
        if attempt.proxy:
            found |= PROXIED
        if attempt.outcome == "auth":
            found |= REFUSED
    return found


def _attempts(attempts: Sequence[AttemptRecord]) -> str:
    """As JSON, each text bounded. Nearly always it is short and harmless, and need not be taken apart."""
    encoded = msgspec.json.encode(attempts)
    if len(encoded) <= _LONG and b"\\u0000" not in encoded:
        return encoded.decode()
    return msgspec.json.encode([_clean(msgspec.to_builtins(attempt)) for attempt in attempts[:100]]).decode()


def _routing(decision: Decision) -> dict[str, Any]:
    """A decision as it is kept: of what names it may hold, as many as an honest worker writes."""
    return {
        "strategy": _text(decision.strategy),
        "account_strategy": _text(decision.account_strategy),
        "candidates": [_clean(msgspec.to_builtins(one)) for one in decision.candidates[:_MOST_NAMED]],
        "dropped": [_clean(msgspec.to_builtins(one)) for one in decision.dropped[:_MOST_NAMED]],
        "scores": {
            _text(name, _LONG): score for name, score in islice(decision.scores.items(), 1000) if math.isfinite(score)
        },
        "has_affinity": decision.has_affinity,
    }


def _text(text: str, limit: int = _SHORT) -> str:
    """Bounded, and without the one character that PostgreSQL cannot store."""
    if len(text) > limit:
        text = text[:limit]
    return text.replace("\0", "") if "\0" in text else text


def _clean(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _text(value, _LONG) if isinstance(value, str) else value for name, value in values.items()}


def _rejected(plane: Plane, blob: bytes, reason: str) -> dict[str, Any]:
    body = blob[:_MAX_BODY].decode(errors="replace")
    return {
        "id": hashlib.sha256(blob).hexdigest(),
        "at": plane.now(),
        "reason": _text(reason, _LONG),
        "body": _text(body, _MAX_BODY),
    }
