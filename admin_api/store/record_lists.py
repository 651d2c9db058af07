"""Lists of request records, newest first: one indexed filter, further ones on what that finds, in pages by instant and id.

A page looks at no more than `SCANNED` rows: a rare combination of filters gives a short page and a cursor to go on
with, never a query that goes through millions of rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.store import tables
from admin_api.store.cursor import BadCursor
from admin_api.store.records import REFUSED, RecordRow, read_row

SCANNED = 5_000

_records = tables.request_records
_INDEXED = ("account", "key", "model", "combo", "proxied", "error", "provider")
"""The one that finds the fewest is asked of its index."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Empty = any. `status` is `ok`, `error` or a code; instants are unix seconds, `until` is excluded, 0 = open.

    `search` looks for a text in names, models and errors. `proxied`: an attempt went through a proxy.
    """

    status: str = ""
    model: str = ""
    provider: str = ""
    account: str = ""
    key: str = ""
    combo: str = ""
    state: str = ""
    search: str = ""
    proxied: bool = False
    since: float = 0.0
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class Page:
    """`after` is the cursor of the next page, None at the end."""

    rows: list[RecordRow]
    after: str | None


async def load_page(
    connection: AsyncConnection, filters: Filters, cursor: str, limit: int, scanned: int = SCANNED
) -> Page:
    """The newest that fit. Raises ValueError for a wrong status, BadCursor."""
    conditions = _conditions(filters)
    first = next((name for name in _INDEXED if name in conditions), None)
    where = [*([conditions.pop(first)] if first else []), *_window(filters, cursor)]
    order = (_records.c.at.desc(), _records.c.id.desc())
    if not conditions:
        found = await connection.execute(sa.select(_records).where(*where).order_by(*order).limit(limit + 1))
        rows = list(found)
        return Page([read_row(row) for row in rows[:limit]], _cursor(rows[limit - 1]) if len(rows) > limit else None)
    seen = sa.select(_records).where(*where).order_by(*order).limit(scanned).subquery()
    fitting = sa.select(seen).where(*_on(seen, filters, but=first))
    rows = list(await connection.execute(fitting.order_by(seen.c.at.desc(), seen.c.id.desc()).limit(limit + 1)))
    if len(rows) > limit:
        return Page([read_row(row) for row in rows[:limit]], _cursor(rows[limit - 1]))
    last = sa.select(_records.c.at, _records.c.id).where(*where).order_by(*order).offset(scanned - 1).limit(1)
    end = (await connection.execute(last)).first()
    return Page([read_row(row) for row in rows], _cursor(end) if end else None)


async def load_record(connection: AsyncConnection, record_id: str) -> RecordRow | None:
    row = (await connection.execute(sa.select(_records).where(_records.c.id == record_id))).first()
    return read_row(row) if row else None


def check_status(status: str) -> None:
    """Raises ValueError."""
    if status not in ("", "ok", "error") and not (status.isascii() and status.isdigit() and len(status) == 3):
        raise ValueError("must be ok, error or a status code")


def _conditions(filters: Filters) -> dict[str, sa.ColumnElement[bool]]:
    return _named(_records.c, filters)


def _on(seen: sa.Subquery, filters: Filters, but: str | None) -> Sequence[sa.ColumnElement[bool]]:
    return [condition for name, condition in _named(seen.c, filters).items() if name != but]


def _named(columns: Any, filters: Filters) -> dict[str, sa.ColumnElement[bool]]:
    """The filters that are set, by name; `status` counts as `error` where its index helps."""
    check_status(filters.status)
    plain = {
        "account": columns.connection_id,
        "key": columns.key_id,
        "model": columns.model,
        "combo": columns.combo,
        "provider": columns.provider,
        "state": columns.state,
    }
    found = {name: column == getattr(filters, name) for name, column in plain.items() if getattr(filters, name)}
    if "combo" in found:
        found["combo"] = sa.and_(found["combo"], columns.combo != sa.literal_column("''"))
    if filters.proxied:
        # Spelled as the index is, as below.
        found["proxied"] = sa.and_(columns.noted > sa.literal_column("0"), columns.noted != REFUSED)
    if filters.status == "ok":
        found["status"] = sa.and_(columns.status < 400, columns.error == "")
    elif filters.status == "error":
        # Spelled as the index is: with bound values no planner knows that it fits.
        found["error"] = sa.or_(columns.status >= sa.literal_column("400"), columns.error != sa.literal_column("''"))
    elif filters.status:
        found["status"] = columns.status == int(filters.status)
    if filters.search:
        words = (
            columns.requested_model,
            columns.error,
            columns.key_name,
            columns.request_id,
            columns.id,
            columns.model,
        )
        pattern = f"%{_escaped(filters.search)}%"
        found["search"] = sa.or_(*(word.ilike(pattern, escape="\\") for word in words))
    return found


def _window(filters: Filters, cursor: str) -> list[sa.ColumnElement[bool]]:
    where: list[sa.ColumnElement[bool]] = []
    if filters.since:
        where.append(_records.c.at >= filters.since)
    if filters.until:
        where.append(_records.c.at < filters.until)
    if cursor:
        at, record_id = _read_cursor(cursor)
        where += [_records.c.at <= at, sa.or_(_records.c.at < at, _records.c.id < record_id)]
    return where


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _cursor(row: sa.Row[*tuple[Any, ...]]) -> str:
    return f"{row._mapping['at']!r}_{row._mapping['id']}"


def _read_cursor(cursor: str) -> tuple[float, str]:
    at, separator, record_id = cursor.partition("_")
    try:
        if separator and len(cursor) <= 200:
            return float(at), record_id
    except ValueError:
        pass
    raise BadCursor


async def load_refused(connection: AsyncConnection, since: float, limit: int) -> list[RecordRow]:
    """Requests with an attempt whose credential was refused, newest first."""
    where = (_records.c.noted >= sa.literal_column("2"), _records.c.at >= since)
    statement = sa.select(_records).where(*where).order_by(_records.c.at.desc()).limit(limit)
    return [read_row(row) for row in await connection.execute(statement)]


async def load_last_success(connection: AsyncConnection, connection_id: str, since: float, scanned: int) -> float:
    """When a connection last answered well after `since`, among its newest `scanned` requests; 0 = it did not."""
    newest = (
        sa.select(_records.c.at, _records.c.status, _records.c.error)
        .where(_records.c.connection_id == connection_id, _records.c.at > since)
        .order_by(_records.c.at.desc())
        .limit(scanned)
        .subquery()
    )
    statement = sa.select(sa.func.max(newest.c.at)).where(newest.c.status < 400, newest.c.error == "")
    return float((await connection.execute(statement)).scalar_one() or 0.0)


async def load_own_calls_cost(connection: AsyncConnection, key_id: str, since: float) -> int:
    """Nano-dollars of calls that the gateway made for itself in the name of a key (vectors of questions)."""
    cost = sa.func.coalesce(sa.func.sum(_records.c.cost_nano_usd), 0)
    where = (_records.c.key_id == key_id, _records.c.at >= since, _records.c.endpoint == "semantic_embeddings")
    return int((await connection.execute(sa.select(cost).where(*where))).scalar_one())
