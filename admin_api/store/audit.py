"""The audit log: who did what to what, with before and after. Rows are written once and never changed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.store import tables

AuditRow = Mapping[str, Any]
"""Columns of `audit_log` by name."""

_log = tables.audit_log


async def insert_audit(connection: AsyncConnection, rows: Sequence[AuditRow]) -> None:
    if rows:
        await connection.execute(sa.insert(_log), list(rows))


async def load_audit(
    connection: AsyncConnection, where: Iterable[sa.ColumnElement[bool]], before: str, limit: int, offset: int = 0
) -> list[AuditRow]:
    """Newest first (ids sort by time), those older than the id `before` if it is given."""
    statement = sa.select(_log).where(*where).order_by(_log.c.id.desc()).limit(limit).offset(offset)
    if before:
        statement = statement.where(_log.c.id < before)
    return [dict(row._mapping) for row in await connection.execute(statement)]


def audit_conditions(
    *, action: str = "", actor: str = "", kind: str = "", object_id: str = "", since: float = 0.0, until: float = 0.0
) -> list[sa.ColumnElement[bool]]:
    """Filters of a list; empty ones are left out. `action` is one, or a kind with a dot (`key.`) for all of it."""
    columns = _log.c
    where: list[sa.ColumnElement[bool]] = []
    if action.endswith("."):
        where.append(columns.action.startswith(action, autoescape=True))
    elif action:
        where.append(columns.action == action)
    if actor:
        where.append(sa.or_(columns.actor == actor, columns.actor_id == actor))
    if kind:
        where.append(columns.kind == kind)
    if object_id:
        where.append(columns.object_id == object_id)
    if since:
        where.append(columns.at >= since)
    if until:
        where.append(columns.at < until)
    return where


async def purge_audit(connection: AsyncConnection, older_than: float) -> None:
    await connection.execute(sa.delete(_log).where(_log.c.at < older_than))
