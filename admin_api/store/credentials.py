"""The admin password, sessions, admin tokens, and what a first start still has to show. Only hashes, or sealed."""

from typing import Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.store import tables
from admin_api.store.collection import Collection

Role = Literal["owner", "operator", "viewer"]

_ONLY = 1


FIRST_USER = "admin"
"""The user that a first start makes, and whom a log-in without a name means."""


class UserRow(msgspec.Struct, frozen=True):
    """A person. `last_login_at` is unix seconds, 0 = never."""

    id: str
    name: str
    role: Role
    password_hash: str
    is_active: bool
    last_login_at: float
    created_at: float
    updated_at: float
    version: int = 1

    def __repr__(self) -> str:
        return f"UserRow(id={self.id!r}, name={self.name!r}, role={self.role!r})"


class SessionRow(msgspec.Struct, frozen=True):
    """A log-in from one browser. Instants are unix seconds."""

    token_hash: str
    user_id: str
    address: str
    agent: str
    created_at: float
    seen_at: float
    expires_at: float


class TokenRow(msgspec.Struct, frozen=True):
    """A token for programs. Empty `scopes` = every path its role may; `expires_at` and `last_used_at` of 0 = never."""

    id: str
    name: str
    token_hash: str
    role: Role
    created_at: float
    scopes: list[str] = []
    expires_at: float = 0.0
    last_used_at: float = 0.0
    created_by: str = ""


class FirstStart(msgspec.Struct, frozen=True):
    """Credentials made at first start, sealed; empty once shown. No row = there was no first start yet."""

    id: int
    sealed_password: str
    sealed_key: str


users = Collection(tables.users, UserRow, tables.users.c.created_at)
sessions = Collection(tables.sessions, SessionRow, tables.sessions.c.created_at)
admin_tokens = Collection(tables.admin_tokens, TokenRow, tables.admin_tokens.c.created_at)


async def get_user_by_name(connection: AsyncConnection, name: str) -> UserRow | None:
    """Names are kept in lower case."""
    found = await users.load_all(connection, tables.users.c.name == name.lower())
    return found[0] if found else None


async def count_owners(connection: AsyncConnection) -> int:
    """Those who can log in."""
    table = tables.users
    statement = sa.select(sa.func.count()).select_from(table).where(table.c.role == "owner", table.c.is_active)
    return int((await connection.execute(statement)).scalar_one())


async def set_password_hash(
    connection: AsyncConnection, password_hash: str, now: float, user_id: str = FIRST_USER
) -> None:
    """Set a user's password; the first user is made when there is none, and is an owner who can log in."""
    row = await users.get(connection, user_id)
    if row is None:
        row = UserRow(user_id, FIRST_USER, "owner", password_hash, True, 0.0, now, now)
        await users.insert(connection, row)
        return
    await users.replace(
        connection,
        msgspec.structs.replace(row, password_hash=password_hash, updated_at=now, version=row.version + 1),
    )


async def get_token_by_hash(connection: AsyncConnection, token_hash: str) -> TokenRow | None:
    found = await admin_tokens.load_all(connection, tables.admin_tokens.c.token_hash == token_hash)
    return found[0] if found else None


async def delete_sessions(connection: AsyncConnection, *, but: str = "", user_id: str = "") -> None:
    """End all sessions, of one user or of all, but one (the hash of its token)."""
    table = tables.sessions
    statement = sa.delete(table).where(table.c.token_hash != but)
    await connection.execute(statement.where(table.c.user_id == user_id) if user_id else statement)


async def load_sessions_of(connection: AsyncConnection, user_id: str) -> list[SessionRow]:
    """Oldest first."""
    return await sessions.load_all(connection, tables.sessions.c.user_id == user_id)


async def purge_sessions(connection: AsyncConnection, expired_before: float, idle_since: float) -> None:
    table = tables.sessions
    is_over = sa.or_(table.c.expires_at < expired_before, table.c.seen_at < idle_since)
    await connection.execute(sa.delete(table).where(is_over))


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
