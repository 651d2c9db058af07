"""How a gateway key's secret becomes its digest. Both planes must agree, so it stands here once."""

import hashlib
import hmac
import secrets

KEY_PREFIX = "sk-or-"


class Digester:
    """`digest_of` with one pepper, for the request path: the padded key is hashed once, 0.6 instead of 1.7 µs."""

    def __init__(self, pepper: bytes) -> None:
        padded = (hashlib.sha256(pepper).digest() if len(pepper) > 64 else pepper).ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))

    def __call__(self, secret: bytes) -> str:
        inner = self._inner.copy()
        inner.update(secret)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.hexdigest()


def digest_of(secret: str | bytes, pepper: bytes) -> str:
    """HMAC-SHA256 of a key with `API_KEY_SECRET`, as 64 hex digits. The secret itself is never stored."""
    return hmac.digest(pepper, secret.encode() if isinstance(secret, str) else secret, hashlib.sha256).hex()


def new_key_secret() -> str:
    """A fresh gateway key: 256 bits, url-safe."""
    return KEY_PREFIX + secrets.token_urlsafe(32)
