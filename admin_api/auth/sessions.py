"""Sessions and admin tokens: random, kept as hashes. The CSRF token is derived from the session, not stored."""

import hashlib
import hmac
import secrets
import uuid

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.auth.actor import Actor, Role
from admin_api.store.credentials import (
    SessionRow,
    TokenRow,
    UserRow,
    admin_tokens,
    get_token_by_hash,
    load_sessions_of,
    sessions,
    users,
)

COOKIE = "auth_token"
SESSION_LIFETIME_S = 30 * 86_400.0
IDLE_LIFETIME_S = 7 * 86_400.0
"""A session that was not used for so long is over."""
MAX_SESSIONS = 20
"""Of one user; the oldest end."""
SEEN_EVERY_S = 300.0
"""How old what is known of a session's or token's last use may be."""
TOKEN_PREFIX = "omni-admin-"  # noqa: S105  (a prefix, so that scanners can find leaked tokens)


def hash_token(token: str) -> str:
    """Tokens hold 256 random bits, so a plain hash is enough."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def csrf_token(session_token: str, secret: str) -> str:
    """What a page must send in `X-CSRF-Token` with this session."""
    return hmac.digest(secret.encode(), b"csrf:" + session_token.encode(), hashlib.sha256).hex()


async def open_session(connection: AsyncConnection, user: UserRow, now: float, address: str, agent: str) -> str:
    """Begin a session of a user; gives its token."""
    for row in (await load_sessions_of(connection, user.id))[: -(MAX_SESSIONS - 1)]:
        await sessions.delete(connection, row.token_hash)
    token = secrets.token_urlsafe(32)
    row = SessionRow(hash_token(token), user.id, address[:100], agent[:200], now, now, now + SESSION_LIFETIME_S)
    await sessions.insert(connection, row)
    await users.replace(connection, msgspec.structs.replace(user, last_login_at=now))
    return token


async def get_session(connection: AsyncConnection, token: str, now: float) -> tuple[Actor, SessionRow] | None:
    """Who holds the session now, in the role that the user has now."""
    row = await sessions.get(connection, hash_token(token))
    if row is None or row.expires_at <= now or row.seen_at <= now - IDLE_LIFETIME_S:
        return None
    user = await users.get(connection, row.user_id)
    if user is None or not user.is_active:
        return None
    return Actor("user", user.name, user.id, user.role), row


async def get_session_actor(connection: AsyncConnection, token: str, now: float) -> Actor | None:
    found = await get_session(connection, token, now)
    return found[0] if found else None


async def create_admin_token(
    connection: AsyncConnection,
    name: str,
    role: Role,
    now: float,
    *,
    scopes: tuple[str, ...] = (),
    expires_at: float = 0.0,
    created_by: str = "",
) -> tuple[TokenRow, str]:
    """Make a token for programs; gives its row, and the token once."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    row = TokenRow(
        str(uuid.uuid4()), name, hash_token(token), role, now, list(scopes), expires_at, created_by=created_by
    )
    await admin_tokens.insert(connection, row)
    return row, token


def actor_of_the_environment(token: str, admin_token: str) -> Actor | None:
    """Who has the token of the environment, which has no row: it opens the door while SQL is away too."""
    is_it = bool(admin_token) and hmac.compare_digest(hash_token(token), hash_token(admin_token))
    return Actor("token", "OMNIROUTE_ADMIN_TOKEN") if is_it else None


async def get_token(connection: AsyncConnection, token: str, now: float) -> tuple[Actor, TokenRow] | None:
    """Whose a bearer token of those made here is."""
    row = await get_token_by_hash(connection, hash_token(token))
    if row is None or 0 < row.expires_at <= now:
        return None
    return Actor("token", row.name, row.id, row.role, scopes=tuple(row.scopes)), row
