"""Rows of one table as frozen structs, by primary key: what every aggregate needs. Fields are columns.

In a transaction that has a trail every change of a row is noted there, before and after.
"""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.store.cursor import read_cursor, write_cursor
from admin_api.store.trail import trail_of

Row = TypeVar("Row", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """`after` is the cursor of the next page, None at the end."""

    rows: list[Row]
    after: str | None


class Collection(Generic[Row]):
    """Reads and writes `table` as structs of type `row_type`. The caller owns the transaction."""

    def __init__(self, table: sa.Table, row_type: type[Row], *order: Any) -> None:
        self._table = table
        self._type = row_type
        (self._key,) = table.primary_key.columns
        self._order = order or (self._key,)

    def key_of(self, row: Row) -> str:
        """The primary key of a row."""
        return str(getattr(row, self._key.name))

    async def load_all(self, connection: AsyncConnection, *where: sa.ColumnElement[bool]) -> list[Row]:
        statement = sa.select(self._table).where(*where).order_by(*self._order)
        return [self._type(**row._mapping) for row in await connection.execute(statement)]

    async def load_page(
        self,
        connection: AsyncConnection,
        cursor: str,
        limit: int,
        *where: sa.ColumnElement[bool],
        is_reversed: bool = False,
    ) -> Page[Row]:
        """At most `limit` rows behind a place, in the order of `load_all`. Raises BadCursor."""
        columns = [*(one for one in self._order if one is not self._key), self._key]
        order = [column.desc() if is_reversed else column for column in columns]
        statement = sa.select(self._table).where(*where).order_by(*order).limit(limit + 1)
        if cursor:
            values = read_cursor(cursor, [column.type.python_type for column in columns])
            bound = (sa.literal(value, column.type) for value, column in zip(values, columns, strict=True))
            here, place = sa.tuple_(*columns), sa.tuple_(*bound)
            statement = statement.where(here < place if is_reversed else here > place)
        rows = [self._type(**row._mapping) for row in await connection.execute(statement)]
        last = [getattr(rows[limit - 1], column.name) for column in columns] if len(rows) > limit else None
        return Page(rows[:limit], write_cursor(last) if last else None)

    async def get(self, connection: AsyncConnection, key: str) -> Row | None:
        row = (await connection.execute(sa.select(self._table).where(self._key == key))).first()
        return self._type(**row._mapping) if row else None

    async def insert(self, connection: AsyncConnection, row: Row) -> None:
        await connection.execute(sa.insert(self._table).values(**msgspec.structs.asdict(row)))
        if (trail := trail_of(connection)) is not None:
            trail.note_row("created", self._table.name, self.key_of(row), None, row)

    async def replace(self, connection: AsyncConnection, row: Row) -> None:
        """Write all fields of a row that exists."""
        values = msgspec.structs.asdict(row)
        key = values.pop(self._key.name)
        if (trail := trail_of(connection)) is not None:
            trail.note_row("changed", self._table.name, str(key), await self.get(connection, key), row)
        await connection.execute(sa.update(self._table).where(self._key == key).values(**values))

    async def delete(self, connection: AsyncConnection, key: str) -> bool:
        """True when there was such a row."""
        statement = sa.delete(self._table).where(self._key == key).returning(*self._table.columns)
        gone = (await connection.execute(statement)).first()
        if gone is not None and (trail := trail_of(connection)) is not None:
            trail.note_row("deleted", self._table.name, key, self._type(**gone._mapping), None)
        return gone is not None
