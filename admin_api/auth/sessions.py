"""Sessions and admin tokens: random, kept as hashes. The CSRF token is derived from the session, not stored."""

import hashlib
import hmac
import secrets
import uuid

from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.auth.actor import Actor, Role
from admin_api.store.credentials import SessionRow, TokenRow, admin_tokens, get_token_by_hash, sessions

COOKIE = "auth_token"
SESSION_LIFETIME_S = 30 * 86_400.0
TOKEN_PREFIX = "omni-admin-"  # noqa: S105  (a prefix, so that scanners can find leaked tokens)


def hash_token(token: str) -> str:
    """Tokens hold 256 random bits, so a plain hash is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


def csrf_token(session_token: str, secret: str) -> str:
    """What a page must send in `X-CSRF-Token` with this session."""
    return hmac.digest(secret.encode(), b"csrf:" + session_token.encode(), hashlib.sha256).hex()


async def open_session(connection: AsyncConnection, now: float) -> str:
    """Begin a session of the administrator; gives its token."""
    token = secrets.token_urlsafe(32)
    await sessions.insert(
        connection, SessionRow(hash_token(token), "owner", created_at=now, expires_at=now + SESSION_LIFETIME_S)
    )
    return token


async def get_session_actor(connection: AsyncConnection, token: str, now: float) -> Actor | None:
    row = await sessions.get(connection, hash_token(token))
    return Actor("user", "admin", role=row.role) if row and row.expires_at > now else None


async def create_admin_token(connection: AsyncConnection, name: str, role: Role, now: float) -> str:
    """Make a token for programs; gives it once."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    await admin_tokens.insert(connection, TokenRow(str(uuid.uuid4()), name, hash_token(token), role, created_at=now))
    return token


async def get_token_actor(connection: AsyncConnection, token: str, admin_token: str) -> Actor | None:
    """Whose a bearer token is: the one of the environment, or one of those made here."""
    if admin_token and hmac.compare_digest(token.encode(), admin_token.encode()):
        return Actor("token", "OMNIROUTE_ADMIN_TOKEN")
    row = await get_token_by_hash(connection, hash_token(token))
    return Actor("token", row.name, row.id, row.role) if row else None
