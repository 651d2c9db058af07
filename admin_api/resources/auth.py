"""Log in and out, and one's own password: `/api/auth/*`."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from admin_api.auth.actor import Actor
from admin_api.auth.sessions import (
    COOKIE,
    SESSION_LIFETIME_S,
    csrf_token,
    get_session_actor,
    hash_token,
    open_session,
)
from admin_api.http.errors import not_found
from admin_api.http.paging import Cursor, Limit, load_page
from admin_api.services.log_in import check_link, check_password, new_password_hash, renewed, user_of
from admin_api.services.plane import Plane
from admin_api.store.credentials import SessionRow, UserRow, delete_sessions, sessions, users
from admin_api.store.settings import is_setup_complete

_SHOWN = 16
"""How much of a session's hash names it: enough to end it, of no use to anybody."""


class LoginBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Without a `username` the first user is meant, as in the seed."""

    password: str
    username: Annotated[str, msgspec.Meta(max_length=100)] = ""

    def __repr__(self) -> str:
        return "LoginBody()"


class LinkBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The code of the address that `omniroute serve` opens."""

    code: Annotated[str, msgspec.Meta(max_length=100)]

    def __repr__(self) -> str:
        return "LinkBody()"


class PasswordBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    current_password: str
    new_password: str

    def __repr__(self) -> str:
        return "PasswordBody()"


@post("/api/auth/login", status_code=200)
async def login(
    data: JSONBody[LoginBody], request: Request[Any, Any, Any], plane: NamedDependency[Plane]
) -> Response[dict[str, Any]]:
    """Open a session. One that was there in this browser ends: a planted one is never raised."""
    peer = request.scope["state"]["peer"]
    user = await check_password(plane, data.username, data.password, peer)
    body, cookie = await _begin_session(request, plane, user, "session.opened")
    return Response({"success": True, **body}, cookies=[cookie])


@post("/api/auth/login-link", status_code=200)
async def login_by_link(
    data: JSONBody[LinkBody], request: Request[Any, Any, Any], plane: NamedDependency[Plane]
) -> Response[dict[str, Any]]:
    """Open a session of the first user by a code that only whoever started the product has. It works once."""
    user = await check_link(plane, data.code, request.scope["state"]["peer"])
    body, cookie = await _begin_session(request, plane, user, "session.opened")
    return Response({"success": True, **body}, cookies=[cookie])


@post("/api/auth/logout", status_code=200)
async def logout(request: Request[Any, Any, Any], plane: NamedDependency[Plane]) -> Response[dict[str, Any]]:
    digest = hash_token(request.scope["state"]["session_token"])
    async with plane.act() as acting:
        await sessions.delete(acting.connection, digest)
        acting.trail.note("session.closed", "session", digest[:_SHOWN], name=plane.actor.name)
    return Response({"success": True}, cookies=[_cookie(plane, "", 0)])


@post("/api/auth/logout-all", status_code=200)
async def logout_everywhere(plane: NamedDependency[Plane]) -> Response[dict[str, Any]]:
    """End all sessions of whoever asks, this one too."""
    user = await user_of(plane)
    async with plane.act() as acting:
        await delete_sessions(acting.connection, user_id=user.id)
        acting.trail.note("session.closed_everywhere", "session", user.id, name=user.name)
    return Response({"success": True}, cookies=[_cookie(plane, "", 0)])


@get("/api/auth/status")
async def status(request: Request[Any, Any, Any], plane: NamedDependency[Plane]) -> dict[str, Any]:
    """Whether the cookie holds a session; with it, the CSRF token again (a page loses it on reload).

    `setupComplete` is false until somebody has gone through the dashboard's first-start guide, or has left it.
    """
    token = request.scope["state"]["session_token"]
    actor, is_set_up = None, True
    if token:
        async with plane.database.read() as connection:
            actor = await get_session_actor(connection, token, plane.now())
            is_set_up = await is_setup_complete(connection)
    if actor is None:
        return {"authenticated": False, "requireLogin": True}
    csrf = csrf_token(token, plane.settings.jwt_secret)
    return {
        "authenticated": True,
        "requireLogin": True,
        "role": actor.role,
        "username": actor.name,
        "csrfToken": csrf,
        "setupComplete": is_set_up,
    }


@post("/api/auth/password", status_code=200)
async def change_password(
    data: JSONBody[PasswordBody], request: Request[Any, Any, Any], plane: NamedDependency[Plane]
) -> Response[dict[str, Any]]:
    """Set one's own password. All sessions end; who asked by a session gets a new one."""
    peer = request.scope["state"]["peer"]
    user = await user_of(plane)
    user = await check_password(plane, user.name, data.current_password, peer)
    password_hash = await new_password_hash(plane, data.new_password)
    async with plane.act() as acting:
        user = renewed(user, plane, password_hash=password_hash)
        await users.replace(acting.connection, user)
        await delete_sessions(acting.connection, user_id=user.id)
    if not request.scope["state"]["session_token"]:
        return Response({"success": True})
    body, cookie = await _begin_session(request, plane, user, "session.rotated")
    return Response({"success": True, **body}, cookies=[cookie])


@get("/api/auth/sessions")
async def list_sessions(
    request: Request[Any, Any, Any], plane: NamedDependency[Plane], limit: Limit = None, cursor: Cursor = ""
) -> dict[str, Any]:
    """Who is logged in, from where; newest first. `isOwn`: the one that asks."""
    token = request.scope["state"]["session_token"]
    own = hash_token(token) if token else ""
    async with plane.database.read() as connection:
        rows, after = await load_page(connection, sessions, limit, cursor, is_reversed=True)
        names = {user.id: user.name for user in await users.load_all(connection)}
    shown = [_session_view(row, names.get(row.user_id, ""), own) for row in rows]
    return {"sessions": shown, "nextCursor": after}


@delete("/api/auth/sessions/{session_id:str}", status_code=200)
async def end_session(session_id: FromPath[str], plane: NamedDependency[Plane]) -> dict[str, Any]:
    async with plane.act() as acting:
        rows = await sessions.load_all(acting.connection)
        row = next((row for row in rows if row.token_hash[:_SHOWN] == session_id), None)
        if row is None:
            raise not_found("session", session_id)
        await sessions.delete(acting.connection, row.token_hash)
        user = await users.get(acting.connection, row.user_id)
        acting.trail.note("session.ended", "session", session_id, name=user.name if user else "")
    return {"success": True}


async def _begin_session(
    request: Request[Any, Any, Any], plane: Plane, user: UserRow, action: str
) -> tuple[dict[str, Any], Cookie]:
    """A new session in the place of the browser's old one; gives what the page is told, and the cookie."""
    state = request.scope["state"]
    agent = request.headers.get("user-agent", "")
    async with plane.database.write() as connection:
        if state["session_token"]:
            await sessions.delete(connection, hash_token(state["session_token"]))
        token = await open_session(connection, user, plane.now(), state["peer"], agent)
    actor = Actor("user", user.name, user.id, user.role, state["peer"])
    await plane.acting_as(actor).audit(action, "session", hash_token(token)[:_SHOWN], name=user.name)
    body = {"csrfToken": csrf_token(token, plane.settings.jwt_secret), "role": user.role, "username": user.name}
    return body, _cookie(plane, token, int(SESSION_LIFETIME_S))


def _session_view(row: SessionRow, name: str, own: str) -> dict[str, Any]:
    return {
        "id": row.token_hash[:_SHOWN],
        "username": name,
        "address": row.address,
        "agent": row.agent,
        "createdAt": row.created_at,
        "seenAt": row.seen_at,
        "expiresAt": row.expires_at,
        "isOwn": row.token_hash == own,
    }


def _cookie(plane: Plane, token: str, max_age: int) -> Cookie:
    return Cookie(
        key=COOKIE,
        value=token,
        max_age=max_age,
        httponly=True,
        samesite="strict",
        secure=plane.settings.auth_cookie_secure or plane.settings.base_url.lower().startswith("https://"),
        path="/",
    )


handlers = (login, login_by_link, logout, logout_everywhere, status, change_password, list_sessions, end_session)
