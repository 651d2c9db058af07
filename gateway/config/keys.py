"""How a gateway key's secret becomes its digest. Both planes must agree, so it stands here once."""

import hashlib
import hmac
import secrets

KEY_PREFIX = "sk-or-"


def digest_of(secret: str | bytes, pepper: bytes) -> str:
    """HMAC-SHA256 of a key with `API_KEY_SECRET`, as 64 hex digits. The secret itself is never stored."""
    return hmac.digest(pepper, secret.encode() if isinstance(secret, str) else secret, hashlib.sha256).hex()


def new_key_secret() -> str:
    """A fresh gateway key: 256 bits, url-safe."""
    return KEY_PREFIX + secrets.token_urlsafe(32)
