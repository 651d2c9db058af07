"""The ledger: request records, hourly roll-ups, and what could not be read. Rows go in once, whatever is repeated.

Roll-ups rise in the same transaction, and only for rows that were really inserted. A `lost` row, written for a
worker that seemed dead, gives way to the `final` one if that comes after all.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.store import tables

RecordRow = Mapping[str, Any]
"""Columns of `request_records` by name."""

_records = tables.request_records
_rollups = tables.usage_rollups
_KEY = ("hour_at", "provider", "model", "connection_id", "key_id")
_COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_SAVED = ("saved_input_tokens", "saved_output_tokens", "saved_nano_usd")
_SUMS = ("requests", "errors", *_COUNTS, "cost_nano_usd", "unpriced", "cached", *_SAVED)
_LOOKUP = 500


async def insert_records(connection: AsyncConnection, rows: Sequence[RecordRow]) -> int:
    """Insert those that are not there yet, raise the roll-ups by them; gives how many were inserted."""
    if not rows:
        return 0
    inserted = await _insert_new(connection, rows)
    repeated = [row for row in rows if row["state"] == "final" and row["id"] not in inserted]
    replaced = await _delete_lost(connection, [row["id"] for row in repeated])
    if replaced:
        gone = {row["id"] for row in replaced}
        inserted |= await _insert_new(connection, [row for row in repeated if row["id"] in gone])
    by_id = {row["id"]: row for row in reversed(rows)}
    await _raise_rollups(connection, [by_id[row_id] for row_id in inserted], replaced)
    return len(inserted)


async def insert_rejected(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep what could not be read (`id`, `at`, `reason`, `body`), each once."""
    if rows:
        await connection.execute(_insert(connection, tables.rejected_records).on_conflict_do_nothing(), rows)


async def load_records(
    connection: AsyncConnection, where: Iterable[sa.ColumnElement[bool]], before: str, limit: int
) -> list[RecordRow]:
    """Newest first (ids sort by time), those older than the id `before` if it is given."""
    statement = sa.select(_records).where(*where).order_by(_records.c.id.desc()).limit(limit)
    if before:
        statement = statement.where(_records.c.id < before)
    return [dict(row._mapping) for row in await connection.execute(statement)]


def record_conditions(
    *, status: str = "", model: str = "", provider: str = "", account: str = "", key: str = "", combo: str = ""
) -> list[sa.ColumnElement[bool]]:
    """Filters of a list; empty ones are left out. `status` is `ok`, `error` or a code. Raises ValueError."""
    columns = _records.c
    where: list[sa.ColumnElement[bool]] = []
    if status == "ok":
        where += [columns.status < 400, columns.error == ""]
    elif status == "error":
        where.append(sa.or_(columns.status >= 400, columns.error != ""))
    elif status.isascii() and status.isdigit() and len(status) == 3:
        where.append(columns.status == int(status))
    elif status:
        raise ValueError("must be ok, error or a status code")
    if model:
        where.append(sa.or_(columns.model == model, columns.requested_model == model))
    if key:
        where.append(sa.or_(columns.key_id == key, columns.key_name == key))
    if provider:
        where.append(columns.provider == provider)
    if account:
        where.append(columns.connection_id == account)
    if combo:
        where.append(columns.combo == combo)
    return where


async def count_rejected(connection: AsyncConnection) -> int:
    statement = sa.select(sa.func.count()).select_from(tables.rejected_records)
    return int((await connection.execute(statement)).scalar_one())


async def purge_rejected(connection: AsyncConnection, kept: int) -> None:
    """Keep the newest ones only."""
    table = tables.rejected_records
    oldest = sa.select(table.c.at).order_by(table.c.at.desc()).offset(kept).limit(1).scalar_subquery()
    await connection.execute(sa.delete(table).where(table.c.at <= oldest))


async def _insert_new(connection: AsyncConnection, rows: Sequence[RecordRow]) -> set[str]:
    statement = _insert(connection, _records).on_conflict_do_nothing().returning(_records.c.id)
    return set((await connection.execute(statement, list(rows))).scalars())


async def _delete_lost(connection: AsyncConnection, ids: Sequence[str]) -> list[RecordRow]:
    deleted: list[RecordRow] = []
    for start in range(0, len(ids), _LOOKUP):
        statement = (
            sa.delete(_records)
            .where(_records.c.id.in_(ids[start : start + _LOOKUP]), _records.c.state == "lost")
            .returning(*_records.c)
        )
        deleted += [dict(row._mapping) for row in await connection.execute(statement)]
    return deleted


async def _raise_rollups(connection: AsyncConnection, added: list[RecordRow], removed: list[RecordRow]) -> None:
    sums: dict[tuple[Any, ...], list[int]] = {}
    for sign, rows in ((1, added), (-1, removed)):
        for row in rows:
            bucket = sums.setdefault(_bucket(row), [0] * len(_SUMS))
            for index, value in enumerate(_addends(row)):
                bucket[index] += sign * value
    if not sums:
        return
    statement = _insert(connection, _rollups)
    risen = {name: _rollups.c[name] + statement.excluded[name] for name in _SUMS}
    # Sorted, so that two writers take the rows' locks in the same order.
    values = [dict(zip((*_KEY, *_SUMS), (*key, *sums[key]), strict=True)) for key in sorted(sums)]
    await connection.execute(statement.on_conflict_do_update(index_elements=list(_KEY), set_=risen), values)


def _bucket(row: RecordRow) -> tuple[Any, ...]:
    hour_at = int(row["at"]) // 3600 * 3600
    return hour_at, row["provider"], row["model"], row["connection_id"], row["key_id"]


def _addends(row: RecordRow) -> tuple[int, ...]:
    cost = row["cost_nano_usd"]
    is_error = row["status"] >= 400 or bool(row["error"])
    counts, saved = (row[name] for name in _COUNTS), (row[name] for name in _SAVED)
    return (1, int(is_error), *counts, cost or 0, int(cost is None), int(bool(row["cache"])), *saved)


def _insert(connection: AsyncConnection, table: sa.Table) -> Any:
    """`INSERT … ON CONFLICT`, which both databases spell alike and the library does not."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table)
