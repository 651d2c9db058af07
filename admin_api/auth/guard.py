"""The door: every HTTP request passes here before it meets a route.

Order: address (where no worker has asked), host (DNS rebinding), public list, credential, role, and for a cookie that
changes something the origin and the CSRF token. It fails closed: a path that no route has asks for a credential too.
"""

import hmac
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from admin_api.auth.access import is_in_scope, is_public, may
from admin_api.auth.actor import NOBODY, Actor
from admin_api.auth.addresses import AddressFilter
from admin_api.auth.sessions import COOKIE, SEEN_EVERY_S, actor_of_the_environment, csrf_token, get_session, get_token
from admin_api.http.browser_safety import (
    API_HEADERS,
    SAFE_METHODS,
    SECURITY_HEADERS,
    decode_headers,
    is_origin_allowed,
)
from admin_api.http.errors import database_problem, error_body
from admin_api.store.credentials import admin_tokens, sessions
from admin_api.store.database import Database
from admin_api.store.faults import FAILURES
from gateway.admission.peer import Network, peer_address
from gateway.config.addresses import is_host_allowed

PEER_HEADER = "x-omniroute-peer"


@dataclass(frozen=True, slots=True)
class GuardRules:
    """What the guard has to know. `is_relayed`: requests come over the unix socket, from a gateway worker.

    Otherwise `X-Forwarded-For` counts as far as the `trusted_proxies` vouch for it.
    """

    is_loopback: bool
    is_relayed: bool
    base_url: str
    admin_token: str
    csrf_secret: str
    trusted_proxies: Sequence[Network] = ()

    def __repr__(self) -> str:
        return f"GuardRules(is_loopback={self.is_loopback}, is_relayed={self.is_relayed})"


class Refusal(Exception):
    def __init__(self, status: int, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after_s = retry_after_s


class Guard:
    """ASGI application around the routes. Leaves `session_token`, `peer` and `actor` in the scope's state.

    `addresses` is None where workers have looked at them.
    """

    def __init__(
        self,
        app: ASGIApp,
        database: Database,
        rules: GuardRules,
        now: Callable[[], float],
        addresses: AddressFilter | None = None,
    ) -> None:
        self._app = app
        self._database = database
        self._rules = rules
        self._now = now
        self._addresses = addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await send({"type": "websocket.close", "code": 1008, "reason": "there are no web sockets here"})
            return
        headers = decode_headers(scope["headers"])
        is_api = scope["path"].startswith("/api")
        sender = _with_headers(send, SECURITY_HEADERS + (API_HEADERS if is_api else ()))
        state: dict[str, Any] = scope.setdefault("state", {})
        state["peer"] = self._peer(scope, headers)
        try:
            await self._check_address(scope["path"], state["peer"])
            state["session_token"], actor = await self._admit(scope["method"], scope["path"], headers)
            state["actor"] = msgspec.structs.replace(actor, address=state["peer"])
        except Refusal as refusal:
            await _refuse(sender, refusal)
            return
        except FAILURES as error:
            problem = database_problem(error)
            if problem is None:
                raise
            await _refuse(sender, Refusal(problem.status, problem.message))
            return
        await self._app(scope, receive, sender)

    def _peer(self, scope: Scope, headers: dict[str, str]) -> str:
        """The address of whoever asks. The internal header counts only where workers alone can connect."""
        if self._rules.is_relayed:
            return headers.get(PEER_HEADER, "local")
        client = scope.get("client")
        if not client:
            return "unknown"
        hops = b",".join(value for name, value in scope["headers"] if name.lower() == b"x-forwarded-for")
        return peer_address(str(client[0]), hops.decode("latin-1"), self._rules.trusted_proxies)

    async def _check_address(self, path: str, address: str) -> None:
        """Probes come from machines that nobody lists. Raises Refusal."""
        if self._addresses is None or path == "/healthz":
            return
        if await self._addresses.refuses(address):
            raise Refusal(403, "this address may not come in here")
        if wait_s := await self._addresses.wait_s(address):
            raise Refusal(429, "there are too many requests from this address", wait_s)

    async def _admit(self, method: str, path: str, headers: dict[str, str]) -> tuple[str, Actor]:
        """Let the request in, or raise Refusal. Gives the session's token when a cookie opened the door, and who asks."""
        rules = self._rules
        if rules.is_loopback and not is_host_allowed(headers.get("host", ""), rules.base_url):
            raise Refusal(403, "this Host is not served here: use localhost, or set BASE_URL")
        is_change = method not in SAFE_METHODS
        if is_public(method, path):
            if is_change and not is_origin_allowed(headers, rules.base_url):
                raise Refusal(403, "the request comes from another site")
            return _cookie(headers), NOBODY
        actor, session_token = await self._identify(headers)
        if not may(actor.role, method, path):
            raise Refusal(403, f"the role {actor.role} may not do this")
        if not is_in_scope(actor.scopes, path):
            raise Refusal(403, "this token's scopes do not hold this path")
        if session_token and is_change:
            self._check_cookie_change(headers, session_token)
        return session_token, actor

    async def _identify(self, headers: dict[str, str]) -> tuple[Actor, str]:
        """Who it is, and the session's token if it was a session. Raises Refusal 401."""
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        bearer = bearer.strip() if scheme.lower() == "bearer" else ""
        session_token = "" if bearer else _cookie(headers)
        actor = None
        if bearer:
            actor = await self._token_actor(bearer)
        elif session_token:
            actor = await self._session_actor(session_token)
        if actor is None:
            raise Refusal(401, "log in, or send an admin token: Authorization: Bearer <token>")
        return actor, session_token

    async def _token_actor(self, bearer: str) -> Actor | None:
        actor = actor_of_the_environment(bearer, self._rules.admin_token)
        if actor is not None:
            return actor
        now = self._now()
        async with self._database.read() as connection:
            found = await get_token(connection, bearer, now)
        if found is None:
            return None
        actor, row = found
        if row.last_used_at < now - SEEN_EVERY_S:
            async with self._database.write() as connection:
                await admin_tokens.replace(connection, msgspec.structs.replace(row, last_used_at=now))
        return actor

    async def _session_actor(self, session_token: str) -> Actor | None:
        now = self._now()
        async with self._database.read() as connection:
            found = await get_session(connection, session_token, now)
        if found is None:
            return None
        actor, row = found
        if row.seen_at < now - SEEN_EVERY_S:
            async with self._database.write() as connection:
                await sessions.replace(connection, msgspec.structs.replace(row, seen_at=now))
        return actor

    def _check_cookie_change(self, headers: dict[str, str], session_token: str) -> None:
        if not is_origin_allowed(headers, self._rules.base_url):
            raise Refusal(403, "the request comes from another site")
        expected = csrf_token(session_token, self._rules.csrf_secret)
        if not hmac.compare_digest(headers.get("x-csrf-token", "").encode(), expected.encode()):
            raise Refusal(403, "X-CSRF-Token is missing or wrong: GET /api/auth/status gives it")


def _cookie(headers: dict[str, str]) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _with_headers(send: Send, extra: tuple[tuple[bytes, bytes], ...]) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", []))
            given = {bytes(name).lower() for name, _ in headers}
            message["headers"] = headers + [pair for pair in extra if pair[0] not in given]
        await send(message)

    return send_with_headers


async def _refuse(send: Send, refusal: Refusal) -> None:
    body = msgspec.json.encode(error_body(refusal.message))
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if refusal.retry_after_s:
        headers.append((b"retry-after", str(math.ceil(refusal.retry_after_s)).encode()))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
