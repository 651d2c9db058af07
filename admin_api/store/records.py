"""The ledger: request records and what could not be read. Rows go in once, whatever is repeated.

Roll-ups (`usage_sums.py`) rise in the same transaction, and only for rows that were really inserted. A row gives way
to one that knows more: `lost`, written for a worker that seemed dead, to any other of the same request; `estimated`,
whose provider told no usage, to a `final` one that is settled later.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.store import tables
from admin_api.store.upsert import insert_or
from admin_api.store.usage_sums import raise_sums, take_ledger_turn

RecordRow = Mapping[str, Any]
"""Columns of `request_records` by name, in the table's order."""

_records = tables.request_records
COLUMNS = tuple(column.name for column in _records.columns)
_INSERT_MANY = f"INSERT OR IGNORE INTO request_records ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608  (our own words)
PROXIED, REFUSED = 1, 2
"""Column `noted`: an attempt went through a proxy; an attempt's credential was refused."""
_LOOKUP = 500
_GIVES_WAY = {"final": ("lost", "estimated"), "estimated": ("lost",)}


async def insert_records(connection: AsyncConnection, rows: Sequence[RecordRow]) -> int:
    """Insert those that are not there yet, raise the roll-ups by them; gives how many were inserted."""
    if not rows:
        return 0
    # A `final` row would else pass over a `lost` one that another process has written and not committed, and be forgotten.
    await take_ledger_turn(connection)
    if await _insert_all_new(connection, rows):
        await raise_sums(connection, rows, ())
        return len(rows)
    best: dict[str, RecordRow] = {}
    for row in rows:
        there = best.get(row["id"])
        if there is None or there["state"] in _GIVES_WAY.get(row["state"], ()):
            best[row["id"]] = row
    replaced: list[RecordRow] = []
    for state, gives_way in _GIVES_WAY.items():
        ids = [row_id for row_id, row in best.items() if row["state"] == state]
        replaced += await _delete(connection, ids, gives_way)
    inserted = await _insert_new(connection, list(best.values()))
    await raise_sums(connection, [best[row_id] for row_id in inserted], replaced)
    return len(inserted)


async def insert_rejected(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep what could not be read (`id`, `at`, `reason`, `body`), each once."""
    if rows:
        await connection.execute(insert_or(connection, tables.rejected_records).on_conflict_do_nothing(), rows)


async def count_rejected(connection: AsyncConnection) -> int:
    statement = sa.select(sa.func.count()).select_from(tables.rejected_records)
    return int((await connection.execute(statement)).scalar_one())


async def purge_records_before(connection: AsyncConnection, instant: float, limit: int) -> int:
    """Delete the oldest, at most `limit`; gives how many. Their sums stay.

    Calls that the gateway made for itself stay too: budgets are compared with sums less these rows.
    """
    where = (_records.c.at < instant, _records.c.endpoint != "semantic_embeddings")
    oldest = sa.select(_records.c.id).where(*where).order_by(_records.c.at).limit(limit)
    return (await connection.execute(sa.delete(_records).where(_records.c.id.in_(oldest)))).rowcount


async def purge_rejected(connection: AsyncConnection, kept: int) -> None:
    """Keep the newest ones only."""
    table = tables.rejected_records
    oldest = sa.select(table.c.at).order_by(table.c.at.desc()).offset(kept).limit(1).scalar_subquery()
    await connection.execute(sa.delete(table).where(table.c.at <= oldest))


def read_row(row: sa.Row[*tuple[Any, ...]]) -> RecordRow:
    """A row as the lists show it: what is kept as JSON is read."""
    found = dict(row._mapping)
    found["attempts"] = msgspec.json.decode(found["attempts"])
    found["routing"] = None if found["routing"] is None else msgspec.json.decode(found["routing"])
    return found


async def _insert_all_new(connection: AsyncConnection, rows: Sequence[RecordRow]) -> bool:
    """Insert them at once if none is there yet: what nearly always comes, and the cheapest there is."""
    if connection.dialect.name == "sqlite":
        async with connection.begin_nested() as savepoint:
            done = await connection.exec_driver_sql(_INSERT_MANY, [tuple(row.values()) for row in rows])
            if done.rowcount == len(rows):
                return True
            await savepoint.rollback()
        return False
    try:
        async with connection.begin_nested():
            await connection.execute(sa.insert(_records), list(rows))
    except IntegrityError:
        return False
    return True


async def _insert_new(connection: AsyncConnection, rows: Sequence[RecordRow]) -> set[str]:
    """Insert those that are not there; gives their ids. Writers take turns, so what is not there when asked is not there after."""
    there: set[str] = set()
    for some in _in_equal_parts([row["id"] for row in rows]):
        there |= set((await connection.execute(sa.select(_records.c.id).where(_records.c.id.in_(some)))).scalars())
    new = [row for row in rows if row["id"] not in there]
    if new:
        await connection.execute(sa.insert(_records), new)
    return {row["id"] for row in new}


async def _delete(connection: AsyncConnection, ids: Sequence[str], states: Collection[str]) -> list[RecordRow]:
    """Delete those that are in one of `states`; gives them."""
    deleted: list[RecordRow] = []
    for some in _in_equal_parts(ids):
        statement = (
            sa.delete(_records).where(_records.c.id.in_(some), _records.c.state.in_(states)).returning(*_records.c)
        )
        deleted += [dict(row._mapping) for row in await connection.execute(statement)]
    return deleted


def _in_equal_parts(ids: Sequence[str]) -> Iterator[list[str]]:
    """Each of the same length, the last one filled up with its last id.

    A statement that names 7 ids is another one than that which names 8, and drivers keep what they have prepared: with as
    many as there were ids, and rows in one INSERT, a busy admin process grew by 10 MB a minute.
    """
    for start in range(0, len(ids), _LOOKUP):
        some = list(ids[start : start + _LOOKUP])
        yield some + some[-1:] * (_LOOKUP - len(some))
