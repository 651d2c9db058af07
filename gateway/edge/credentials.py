"""Where a caller's key can stand. Pure."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from gateway.domain.dialect import CallerDialect

MAX_SECRET_BYTES = 512


def secret_of(headers: Mapping[bytes, bytes], query: bytes, dialect: CallerDialect) -> bytes:
    """The caller's key from `Authorization: Bearer`, `x-api-key`, `x-goog-api-key`, or `?key=` on Gemini paths.

    Empty when there is none, or when it is longer than any key can be.
    """
    authorization = headers.get(b"authorization")
    if authorization is not None:
        scheme, _, secret = authorization.partition(b" ")
        secret = secret.strip()
        if secret and scheme.lower() == b"bearer":
            return _bounded(secret)
    found = (headers.get(b"x-api-key") or headers.get(b"x-goog-api-key") or b"").strip()
    if not found and dialect == "gemini" and query:
        found = next((value.encode() for name, value in parse_qsl(query.decode("latin-1")) if name == "key"), b"")
    return _bounded(found)


def _bounded(secret: bytes) -> bytes:
    return secret if len(secret) <= MAX_SECRET_BYTES else b""
