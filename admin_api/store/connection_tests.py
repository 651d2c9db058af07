"""What the last test of each connection found. No configuration: a test changes nothing that workers see."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.store import tables

_table = tables.connection_tests


class TestRow(msgspec.Struct, frozen=True):
    """`type`, `source` and `code` are those of a diagnosis (`services/diagnosis.py`); `at` is unix seconds.

    `proxy` is the one it went through, without credentials, `proxy_level` whose it is. `models` are those that the endpoint
    listed, then or when it last did.
    """

    connection_id: str
    at: float
    is_valid: bool
    type: str
    source: str
    code: str
    message: str
    latency_ms: float
    proxy: str = ""
    proxy_level: str = ""
    models: Sequence[str] = ()


async def load_tests(connection: AsyncConnection, *ids: str) -> dict[str, TestRow]:
    """By connection, at most some thousand."""
    rows = await connection.execute(sa.select(_table).where(_table.c.connection_id.in_(ids)))
    return {row.connection_id: TestRow(**row._mapping) for row in rows}


async def load_proxied_tests(connection: AsyncConnection, limit: int) -> list[TestRow]:
    """Those that went through a proxy, newest first."""
    statement = sa.select(_table).where(_table.c.proxy != "").order_by(_table.c.at.desc()).limit(limit)
    return [TestRow(**row._mapping) for row in await connection.execute(statement)]


async def keep_test(connection: AsyncConnection, row: TestRow) -> None:
    """In place of the one before."""
    await forget_test(connection, row.connection_id)
    await connection.execute(sa.insert(_table).values(**msgspec.structs.asdict(row)))


async def forget_test(connection: AsyncConnection, connection_id: str) -> None:
    await connection.execute(sa.delete(_table).where(_table.c.connection_id == connection_id))
