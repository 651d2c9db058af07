"""Where a caller's key can stand, and which of its headers may go upstream. Pure."""

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl

from gateway.domain.dialect import CallerDialect

MAX_SECRET_BYTES = 512

_ANYWHERE = frozenset({b"user-agent", b"traceparent", b"tracestate"})
"""For a provider of any dialect: which client asks, and the trace."""
_STAINLESS = frozenset(
    {
        b"x-stainless-lang", b"x-stainless-package-version", b"x-stainless-runtime", b"x-stainless-runtime-version",
        b"x-stainless-os", b"x-stainless-arch", b"x-stainless-retry-count", b"x-stainless-timeout",
        b"x-stainless-helper-method",
    }
)  # fmt: skip
_OPENAI = _ANYWHERE | _STAINLESS | {
    b"openai-beta", b"openai-organization", b"openai-project", b"x-session-id", b"x-session-affinity",
    b"x-client-request-id",
}  # fmt: skip
_FORWARDED: dict[CallerDialect, frozenset[bytes]] = {
    "openai_chat": _OPENAI,
    "openai_responses": _OPENAI | {
        b"session-id", b"session_id", b"thread-id", b"conversation_id", b"originator", b"version",
        b"x-codex-beta-features", b"x-codex-turn-state", b"x-codex-turn-metadata", b"x-codex-window-id",
        b"x-codex-installation-id", b"x-codex-parent-thread-id",
    },
    "anthropic_messages": _ANYWHERE | _STAINLESS | {
        b"anthropic-version", b"anthropic-beta", b"anthropic-dangerous-direct-browser-access", b"x-app",
        b"x-claude-code-session-id", b"x-client-request-id",
    },
    "gemini": _ANYWHERE | {b"x-goog-api-client", b"x-goog-request-params"},
    "ollama": _ANYWHERE,
}  # fmt: skip
"""By dialect: beta flags, session and trace ids, and what says which client asks. Never a credential or a cookie."""
_NEEDED: dict[CallerDialect, tuple[bytes, bytes]] = {"anthropic_messages": (b"anthropic-version", b"2023-06-01")}
"""What a dialect's providers want to be told, if the caller has not."""
_SESSIONS = (
    b"x-session-id", b"x-session-affinity", b"x-claude-code-session-id", b"session-id", b"session_id", b"conversation_id",
)  # fmt: skip
MAX_SESSION_CHARS = 256


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
    """Raw header lines for a provider of the caller's dialect: content type, and the dialect's allow-list."""
    allowed = _FORWARDED[dialect]
    lines = [b"Content-Type: application/json"]
    lines += [name + b": " + value for name, value in headers if name in allowed and value.isascii()]
    needed = _NEEDED.get(dialect)
    if needed is not None and not any(line.startswith(needed[0]) for line in lines):
        lines.append(needed[0] + b": " + needed[1])
    return tuple(lines)


def forwarded_anywhere(headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, ...]:
    """The same for a provider of another dialect."""
    lines = (name + b": " + value for name, value in headers if name in _ANYWHERE and value.isascii())
    return (b"Content-Type: application/json", *lines)


def session_of(headers: Mapping[bytes, bytes]) -> str:
    """The conversation that known clients name in a header; empty if none."""
    for name in _SESSIONS:
        value = headers.get(name)
        if value:
            text = value.decode("latin-1")
            return text if len(text) <= MAX_SESSION_CHARS and text.isascii() and text.isprintable() else ""
    return ""


def does_without_tools(headers: Mapping[bytes, bytes]) -> bool:
    """Codex offers web search with every request and gets along without it; anybody can say the same by a header."""
    if headers.get(b"x-omniroute-unsupported-tools", b"").lower() == b"drop":
        return True
    return headers.get(b"originator", b"").lower().startswith(b"codex") or headers.get(
        b"user-agent", b""
    ).lower().startswith(b"codex")


def _bounded(secret: bytes) -> bytes:
    return secret if len(secret) <= MAX_SECRET_BYTES else b""
