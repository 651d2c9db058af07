"""Rows of one table as frozen structs, by primary key: what every aggregate needs. Fields are columns."""

from typing import Any, Generic, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

Row = TypeVar("Row", bound=msgspec.Struct)


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

    async def get(self, connection: AsyncConnection, key: str) -> Row | None:
        row = (await connection.execute(sa.select(self._table).where(self._key == key))).first()
        return self._type(**row._mapping) if row else None

    async def insert(self, connection: AsyncConnection, row: Row) -> None:
        await connection.execute(sa.insert(self._table).values(**msgspec.structs.asdict(row)))

    async def replace(self, connection: AsyncConnection, row: Row) -> None:
        """Write all fields of a row that exists."""
        values = msgspec.structs.asdict(row)
        key = values.pop(self._key.name)
        await connection.execute(sa.update(self._table).where(self._key == key).values(**values))

    async def delete(self, connection: AsyncConnection, key: str) -> bool:
        """True when there was such a row."""
        result = await connection.execute(sa.delete(self._table).where(self._key == key).returning(self._key))
        return result.first() is not None
