"""Which of a caller's headers may go upstream, and what they say about the client. Names are lower case."""

from collections.abc import Sequence

from gateway.domain.dialect import CallerDialect

RawHeaders = Sequence[tuple[bytes, bytes]]

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
_SESSIONS = frozenset(
    {
        b"x-session-id", b"x-session-affinity", b"x-claude-code-session-id", b"session-id", b"session_id",
        b"conversation_id",
    }
)  # fmt: skip
_CLIENT_NAMES = frozenset({b"originator", b"user-agent"})
MAX_SESSION_CHARS = 256


def forwarded_headers(headers: RawHeaders, dialect: CallerDialect) -> tuple[bytes, ...]:
    """Raw header lines for a provider of the caller's dialect: content type, and the dialect's allow-list."""
    allowed = _FORWARDED[dialect]
    lines = [b"Content-Type: application/json"]
    lines += [name + b": " + value for name, value in headers if name in allowed and value.isascii()]
    needed = _NEEDED.get(dialect)
    if needed is not None and not any(line.startswith(needed[0]) for line in lines):
        lines.append(needed[0] + b": " + needed[1])
    return tuple(lines)


def forwarded_anywhere(headers: RawHeaders) -> tuple[bytes, ...]:
    """The same for a provider of another dialect."""
    lines = (name + b": " + value for name, value in headers if name in _ANYWHERE and value.isascii())
    return (b"Content-Type: application/json", *lines)


def session_of(headers: RawHeaders) -> str:
    """The conversation that known clients name in a header; empty if none."""
    for name, value in headers:
        if name in _SESSIONS and value:
            text = value.decode("latin-1")
            return text if len(text) <= MAX_SESSION_CHARS and text.isascii() and text.isprintable() else ""
    return ""


def asks_why(headers: RawHeaders) -> bool:
    """The caller wants to be told why its request went where it went."""
    return (b"x-omniroute-explain", b"true") in headers


def asks_progress(headers: RawHeaders) -> bool:
    """The caller wants to be told how far its stream is."""
    return (b"x-omniroute-progress", b"true") in headers


def does_without_tools(headers: RawHeaders) -> bool:
    """Codex offers web search with every request and gets along without it; anybody can say the same by a header."""
    for name, value in headers:
        if name in _CLIENT_NAMES:
            if value[:5].lower() == b"codex":
                return True
        elif name == b"x-omniroute-unsupported-tools" and value.lower() == b"drop":
            return True
    return False
