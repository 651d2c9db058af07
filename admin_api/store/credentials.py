"""The admin password, sessions, admin tokens, and what a first start still has to show. Only hashes, or sealed."""

from typing import Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.store import tables
from admin_api.store.collection import Collection

Role = Literal["owner", "operator", "viewer"]

_ONLY = 1


class SessionRow(msgspec.Struct, frozen=True):
    token_hash: str
    role: Role
    created_at: float
    expires_at: float


class TokenRow(msgspec.Struct, frozen=True):
    id: str
    name: str
    token_hash: str
    role: Role
    created_at: float


class FirstStart(msgspec.Struct, frozen=True):
    """Credentials made at first start, sealed; empty once shown. No row = there was no first start yet."""

    id: int
    sealed_password: str
    sealed_key: str


sessions = Collection(tables.sessions, SessionRow)
admin_tokens = Collection(tables.admin_tokens, TokenRow, tables.admin_tokens.c.created_at)


async def get_password_hash(connection: AsyncConnection) -> str | None:
    return (await connection.execute(sa.select(tables.admin_password.c.hash))).scalar_one_or_none()


async def set_password_hash(connection: AsyncConnection, password_hash: str, now: float) -> None:
    await connection.execute(sa.delete(tables.admin_password))
    await connection.execute(sa.insert(tables.admin_password).values(id=_ONLY, hash=password_hash, updated_at=now))


async def get_token_by_hash(connection: AsyncConnection, token_hash: str) -> TokenRow | None:
    found = await admin_tokens.load_all(connection, tables.admin_tokens.c.token_hash == token_hash)
    return found[0] if found else None


async def delete_sessions(connection: AsyncConnection, *, but: str = "") -> None:
    """End all sessions, or all but one (the hash of its token)."""
    await connection.execute(sa.delete(tables.sessions).where(tables.sessions.c.token_hash != but))


async def purge_sessions(connection: AsyncConnection, expired_before: float) -> None:
    await connection.execute(sa.delete(tables.sessions).where(tables.sessions.c.expires_at < expired_before))


async def get_first_start(connection: AsyncConnection) -> FirstStart | None:
    row = (await connection.execute(sa.select(tables.first_start))).first()
    return FirstStart(**row._mapping) if row else None


async def keep_first_start(connection: AsyncConnection, sealed_password: str, sealed_key: str) -> None:
    await connection.execute(
        sa.insert(tables.first_start).values(id=_ONLY, sealed_password=sealed_password, sealed_key=sealed_key)
    )


async def forget_first_start(connection: AsyncConnection, *, key_too: bool = True) -> None:
    """Forget what was to be shown. The row stays: it says that there was a first start."""
    blank = {"sealed_password": "", "sealed_key": ""} if key_too else {"sealed_password": ""}
    await connection.execute(sa.update(tables.first_start).values(**blank))
