"""Log in and out: `/api/auth/*`."""

import math
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import JSONBody

from admin_api.auth.passwords import MAX_LENGTH, is_password
from admin_api.auth.sessions import (
    COOKIE,
    SESSION_LIFETIME_S,
    csrf_token,
    get_session_actor,
    hash_token,
    open_session,
)
from admin_api.http.errors import ApiError, bad_request
from admin_api.services.plane import Plane
from admin_api.store.credentials import get_password_hash, sessions


class LoginBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    password: str

    def __repr__(self) -> str:
        return "LoginBody()"


@post("/api/auth/login", status_code=200)
async def login(
    data: JSONBody[LoginBody], request: Request[Any, Any, Any], plane: NamedDependency[Plane]
) -> Response[dict[str, Any]]:
    """Open a session. Every try counts as a failure until it has proved right, so tries at once count too."""
    peer = request.scope["state"]["peer"]
    wait_s = plane.throttle.wait_s(peer)
    if wait_s:
        headers = {"Retry-After": str(math.ceil(wait_s))}
        raise ApiError(429, "too many wrong passwords from this address: wait", headers=headers)
    if len(data.password) > MAX_LENGTH:
        raise bad_request(("password", f"is longer than {MAX_LENGTH} characters"))
    plane.throttle.report_failure(peer)
    async with plane.database.read() as connection:
        password_hash = await get_password_hash(connection)
    async with plane.password_slots:
        is_right = password_hash is not None and await is_password(data.password, password_hash)
    if not is_right:
        raise ApiError(401, "the password is wrong")
    plane.throttle.report_success(peer)
    async with plane.database.write() as connection:
        token = await open_session(connection, plane.now())
    body = {"success": True, "csrfToken": csrf_token(token, plane.settings.jwt_secret)}
    return Response(body, cookies=[_cookie(plane, token, int(SESSION_LIFETIME_S))])


@post("/api/auth/logout", status_code=200)
async def logout(request: Request[Any, Any, Any], plane: NamedDependency[Plane]) -> Response[dict[str, Any]]:
    async with plane.database.write() as connection:
        await sessions.delete(connection, hash_token(request.scope["state"]["session_token"]))
    return Response({"success": True}, cookies=[_cookie(plane, "", 0)])


@get("/api/auth/status")
async def status(request: Request[Any, Any, Any], plane: NamedDependency[Plane]) -> dict[str, Any]:
    """Whether the cookie holds a session; with it, the CSRF token again (a page loses it on reload)."""
    token = request.scope["state"]["session_token"]
    actor = None
    if token:
        async with plane.database.read() as connection:
            actor = await get_session_actor(connection, token, plane.now())
    if actor is None:
        return {"authenticated": False, "requireLogin": True}
    csrf = csrf_token(token, plane.settings.jwt_secret)
    return {"authenticated": True, "requireLogin": True, "role": actor.role, "csrfToken": csrf}


def _cookie(plane: Plane, token: str, max_age: int) -> Cookie:
    return Cookie(
        key=COOKIE,
        value=token,
        max_age=max_age,
        httponly=True,
        samesite="lax",
        secure=plane.settings.auth_cookie_secure,
        path="/",
    )


handlers = (login, logout, status)
