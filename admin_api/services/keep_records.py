"""Encoded records → the ledger, in one transaction. What cannot be read or stored is set aside, never in the way."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec
import structlog
from sqlalchemy.exc import InterfaceError, OperationalError, StatementError

from admin_api.services.cost import cost_nano_usd, price_of
from admin_api.services.plane import Plane
from admin_api.store.nodes import nodes
from admin_api.store.prices import PriceRow, prices
from admin_api.store.records import insert_records, insert_rejected
from gateway.domain.decision import Decision
from gateway.domain.record import RequestRecord, decode_record

_MAX_COUNT = 1 << 53
_MAX_BODY = 16_384
_SHORT, _LONG = 200, 4_000
_MOST_NAMED = 100

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Tariff:
    """Prices, and the names under which a provider's may stand."""

    prices: dict[str, PriceRow]
    prefixes: dict[str, tuple[str, ...]]

    def cost(self, record: RequestRecord) -> int | None:
        price = price_of(self.prices, record.provider, record.model, self.prefixes.get(record.provider, ()))
        return cost_nano_usd(record.usage, price)


async def load_tariff(plane: Plane) -> Tariff:
    async with plane.database.read() as connection:
        by_model = {row.model: row for row in await prices.load_all(connection)}
        prefixes = {spec.id: spec.prefixes for spec in plane.specs.values()}
        prefixes |= {row.id: (row.prefix,) for row in await nodes.load_all(connection)}
    return Tariff(by_model, prefixes)


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
        async with plane.database.write() as connection:
            await insert_rejected(connection, rejected)
            return await insert_records(connection, rows)
    except (OperationalError, InterfaceError):
        raise
    except (StatementError, OverflowError, ValueError) as error:
        if len(blobs) == 1:
            return await _set_aside(plane, blobs[0], error)
        # One row that the database refuses must not hold up the rest: find it by halves.
        middle = len(blobs) // 2
        first = await keep_records(plane, blobs[:middle], is_lost=is_lost)
        return first + await keep_records(plane, blobs[middle:], is_lost=is_lost)


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
    """Columns of a record. Raises ValueError for what no honest worker writes."""
    usage = record.usage
    counts = (usage.input, usage.output, usage.cache_read, usage.cache_write, usage.reasoning)
    saved = (record.saved_input, record.saved_output, record.saved_nano_usd)
    sizes = (record.cost_nano_usd, record.bytes_in, record.bytes_out)
    if not all(0 <= count < _MAX_COUNT for count in (*counts, *saved, *sizes)):
        raise ValueError("a count is negative or far too large")
    if not (record.id and len(record.id) <= 100 and record.id.isascii() and record.id.isprintable()):
        raise ValueError("the id is empty, too long or not plain text")
    if not (math.isfinite(record.at) and 0 <= record.at < 1e11 and 0 <= record.status < 1000):
        raise ValueError("the time or the status is out of range")
    return {
        "id": record.id,
        "at": record.at,
        "state": _text(record.state, 20),
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
        "error": _text(record.error, _LONG),
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write,
        "reasoning_tokens": usage.reasoning,
        "is_estimated": usage.estimated,
        "cost_nano_usd": 0 if record.cache else record.cost_nano_usd or tariff.cost(record),
        "attempts": [_clean(msgspec.to_builtins(attempt)) for attempt in record.attempts[:100]],
        "first_byte_ms": record.first_byte_ms,
        "duration_ms": record.duration_ms,
        "bytes_in": record.bytes_in,
        "bytes_out": record.bytes_out,
        "routing": _routing(record.routing),
        "cache": record.cache,
        "saved_input_tokens": record.saved_input,
        "saved_output_tokens": record.saved_output,
        "saved_nano_usd": record.saved_nano_usd,
    }


def _routing(decision: Decision | None) -> dict[str, Any] | None:
    """A decision as it is kept: of what names it may hold, as many as an honest worker writes."""
    if decision is None:
        return None
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
