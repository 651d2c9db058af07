"""Where a caller's key can stand, and which of its headers may go upstream. Pure."""

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl

from gateway.domain.dialect import CallerDialect

MAX_SECRET_BYTES = 512

_FORWARDED: dict[CallerDialect, frozenset[bytes]] = {
    "openai_chat": frozenset(
        {
            b"openai-beta", b"openai-organization", b"openai-project", b"x-session-id", b"x-session-affinity",
            b"user-agent", b"x-client-request-id", b"traceparent", b"tracestate",
            b"x-stainless-lang", b"x-stainless-package-version", b"x-stainless-runtime",
            b"x-stainless-runtime-version", b"x-stainless-os", b"x-stainless-arch",
        }
    ),
}  # fmt: skip
"""By dialect: beta flags, session and trace ids, and what says which client asks. Never a credential or a cookie."""
_ALWAYS = frozenset({b"user-agent"})


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


def forwarded_headers(headers: Iterable[tuple[bytes, bytes]], dialect: CallerDialect) -> tuple[bytes, ...]:
    """Raw header lines for the provider: content type, the caller's user agent, and the dialect's allow-list."""
    allowed = _FORWARDED.get(dialect, _ALWAYS)
    lines = [name + b": " + value for name, value in headers if name in allowed and value.isascii()]
    return (b"Content-Type: application/json", *lines)


def _bounded(secret: bytes) -> bytes:
    return secret if len(secret) <= MAX_SECRET_BYTES else b""
