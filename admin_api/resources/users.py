"""Who may log in: `/api/users`. Owners only. A password is taken, never shown."""

from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.auth.actor import Role
from admin_api.http.errors import bad_request, conflict, not_found
from admin_api.http.paging import Cursor, Limit, load_page
from admin_api.http.versions import IfMatch, Version, check_version
from admin_api.services.log_in import blank_user, new_password_hash, renewed
from admin_api.services.plane import Plane
from admin_api.store.credentials import UserRow, count_owners, delete_sessions, get_user_by_name, users

MAX_USERS = 1000

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._@+-]+$")]


class UserBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Names are kept in lower case. What is left out keeps its value."""

    name: _Name | msgspec.UnsetType = msgspec.UNSET
    role: Role | msgspec.UnsetType = msgspec.UNSET
    password: str | msgspec.UnsetType = msgspec.UNSET
    is_active: bool | msgspec.UnsetType = msgspec.UNSET
    version: Version | msgspec.UnsetType = msgspec.UNSET

    def __repr__(self) -> str:
        return "UserBody()"


@get("/api/users")
async def list_users(plane: NamedDependency[Plane], limit: Limit = None, cursor: Cursor = "") -> dict[str, Any]:
    """Newest first; there are at most MAX_USERS."""
    async with plane.database.read() as connection:
        rows, after = await load_page(connection, users, limit, cursor, is_reversed=True)
    return {"users": [user_view(row) for row in rows], "nextCursor": after}


@post("/api/users")
async def create_user(data: JSONBody[UserBody], plane: NamedDependency[Plane]) -> Response[dict[str, Any]]:
    if data.name is msgspec.UNSET or data.password is msgspec.UNSET:
        raise bad_request(*[(name, "is missing") for name in ("name", "password") if not getattr(data, name)])
    row = await _changed(blank_user(plane, data.name), data, plane)
    async with plane.act() as acting:
        if len(await users.load_all(acting.connection)) >= MAX_USERS:
            raise conflict(f"there are {MAX_USERS} users already")
        if await get_user_by_name(acting.connection, row.name):
            raise conflict(f"there is a user {row.name!r} already")
        await users.insert(acting.connection, row)
    return Response(user_view(row), status_code=201)


@get("/api/users/{user_id:str}")
async def get_user(user_id: FromPath[str], plane: NamedDependency[Plane]) -> dict[str, Any]:
    async with plane.database.read() as connection:
        return user_view(await _user(connection, user_id))


@patch("/api/users/{user_id:str}")
async def change_user(
    user_id: FromPath[str], data: JSONBody[UserBody], plane: NamedDependency[Plane], if_match: IfMatch = None
) -> Response[dict[str, Any]]:
    """Another role counts at once; a new password, or being made inactive, ends the user's sessions."""
    async with plane.database.read() as connection:
        seen = await _user(connection, user_id)
    row = await _changed(seen, data, plane)
    async with plane.act() as acting:
        old = await _user(acting.connection, user_id)
        check_version(old.version, if_match, data.version)
        check_version(old.version, None, seen.version)
        other = await get_user_by_name(acting.connection, row.name)
        if other is not None and other.id != user_id:
            raise conflict(f"there is a user {row.name!r} already")
        await users.replace(acting.connection, row)
        await _check_owner_left(acting.connection)
        if row.password_hash != old.password_hash or not row.is_active:
            await delete_sessions(acting.connection, user_id=user_id)
    return Response(user_view(row), headers={"ETag": f'"{row.version}"'})


@delete("/api/users/{user_id:str}", status_code=200)
async def delete_user(
    user_id: FromPath[str], plane: NamedDependency[Plane], if_match: IfMatch = None
) -> dict[str, Any]:
    async with plane.act() as acting:
        check_version((await _user(acting.connection, user_id)).version, if_match)
        await users.delete(acting.connection, user_id)
        await _check_owner_left(acting.connection)
        await delete_sessions(acting.connection, user_id=user_id)
    return {"success": True}


def user_view(row: UserRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "role": row.role,
        "isActive": row.is_active,
        "lastLoginAt": row.last_login_at,
        "createdAt": row.created_at,
        "updatedAt": row.updated_at,
        "version": row.version,
    }


async def _user(connection: AsyncConnection, user_id: str) -> UserRow:
    row = await users.get(connection, user_id)
    if row is None:
        raise not_found("user", user_id)
    return row


async def _changed(row: UserRow, data: UserBody, plane: Plane) -> UserRow:
    given: dict[str, Any] = {
        name: value for name in ("role", "is_active") if (value := getattr(data, name)) is not msgspec.UNSET
    }
    if data.name is not msgspec.UNSET:
        given["name"] = data.name.lower()
    if data.password is not msgspec.UNSET:
        given["password_hash"] = await new_password_hash(plane, data.password, "password")
    return renewed(row, plane, **given)


async def _check_owner_left(connection: AsyncConnection) -> None:
    """Somebody must be able to do everything. Raises 409; the transaction is rolled back."""
    if not await count_owners(connection):
        raise conflict("this is the last owner who can log in: make another one first")


handlers = (list_users, create_user, get_user, change_user, delete_user)
