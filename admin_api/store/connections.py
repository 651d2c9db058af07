"""Accounts at providers. `api_key` and `proxy` are sealed with the row's id; `api_key_hint` is what may be shown."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.store import tables
from admin_api.store.collection import Collection


class ConnectionRow(msgspec.Struct, frozen=True):
    """`extra` keeps fields of the seed system that mean nothing here, as they came."""

    id: str
    provider: str
    name: str
    api_key: str
    api_key_hint: str
    priority: int
    tier: str
    rpm: int
    min_gap_ms: int
    max_concurrency: int
    models: list[str]
    fingerprint: str
    proxy: str
    is_active: bool
    managed: bool
    extra: dict[str, Any]
    created_at: float
    updated_at: float
    version: int = 1

    def __repr__(self) -> str:
        return f"ConnectionRow(id={self.id!r}, provider={self.provider!r}, name={self.name!r})"


_columns = tables.provider_connections.c
connections = Collection(
    tables.provider_connections, ConnectionRow, _columns.provider, _columns.priority, _columns.name
)


async def load_connections_of(connection: AsyncConnection, provider: str) -> list[ConnectionRow]:
    return await connections.load_all(connection, _columns.provider == provider)


class ConnectionName(NamedTuple):
    provider: str
    name: str


async def load_connection_names(connection: AsyncConnection, ids: Iterable[str]) -> dict[str, ConnectionName]:
    """Whose they are and what people called them, by id; those that are gone are left out."""
    chosen = sa.select(_columns.id, _columns.provider, _columns.name).where(_columns.id.in_(sorted(set(ids))))
    return {row.id: ConnectionName(row.provider, row.name) for row in await connection.execute(chosen)}


def blank_connection(row_id: str, provider: str, name: str, now: float) -> ConnectionRow:
    """A connection without credential and without limits."""
    return ConnectionRow(
        id=row_id,
        provider=provider,
        name=name,
        api_key="",
        api_key_hint="",
        priority=1,
        tier="api-key",
        rpm=0,
        min_gap_ms=0,
        max_concurrency=0,
        models=[],
        fingerprint="",
        proxy="",
        is_active=True,
        managed=False,
        extra={},
        created_at=now,
        updated_at=now,
    )
