"""What of a caller's headers goes upstream, by dialect, and what they say about the client."""

from gateway.dialects.headers import (
    MAX_SESSION_CHARS,
    does_without_tools,
    forwarded_anywhere,
    forwarded_headers,
    session_of,
)


def test_only_listed_headers_go_upstream() -> None:
    canary = b"c4n4ry"
    kept = [
        (b"openai-beta", b"assistants=v2"),
        (b"x-session-id", b"s1"),
        (b"user-agent", b"sdk/1"),
        (b"traceparent", b"00-1"),
    ]
    dropped = [
        (name, canary)
        for name in (
            b"authorization", b"x-api-key", b"x-goog-api-key", b"cookie", b"host", b"x-forwarded-for", b"forwarded",
            b"x-real-ip", b"content-length", b"content-type", b"accept-encoding", b"accept", b"connection",
            b"transfer-encoding", b"x-omniroute-no-cache", b"idempotency-key", b"x-request-id", b"expect", b"proxy-authorization",
        )
    ]  # fmt: skip
    lines = forwarded_headers([*dropped, *kept, (b"x-session-affinity", "ü".encode())], "openai_chat")
    assert lines == (b"Content-Type: application/json", *(name + b": " + value for name, value in kept))
    assert canary not in b"".join(lines)


def test_each_dialect_has_its_own_list() -> None:
    sent = [(b"anthropic-beta", b"a,b"), (b"openai-beta", b"r"), (b"x-goog-api-client", b"g"), (b"user-agent", b"u")]
    plain = (b"Content-Type: application/json",)
    assert forwarded_headers(sent, "openai_chat") == (*plain, b"openai-beta: r", b"user-agent: u")
    assert forwarded_headers(sent, "gemini") == (*plain, b"x-goog-api-client: g", b"user-agent: u")
    assert forwarded_headers(sent, "anthropic_messages") == (
        *plain, b"anthropic-beta: a,b", b"user-agent: u", b"anthropic-version: 2023-06-01",
    )  # fmt: skip
    assert forwarded_anywhere(sent) == (*plain, b"user-agent: u")


def test_a_version_that_the_caller_names_stays() -> None:
    lines = forwarded_headers([(b"anthropic-version", b"2024-01-01")], "anthropic_messages")
    assert lines[1:] == (b"anthropic-version: 2024-01-01",)


def test_known_clients_name_their_conversation() -> None:
    assert session_of([(b"x-claude-code-session-id", b"c1")]) == "c1"
    assert session_of([(b"user-agent", b"u"), (b"session-id", b"s"), (b"x-session-id", b"x")]) == "s"
    assert session_of([(b"session_id", b"s" * (MAX_SESSION_CHARS + 1))]) == ""
    assert session_of([]) == ""


def test_who_gets_along_without_a_built_in_tool() -> None:
    assert does_without_tools([(b"accept", b"*/*"), (b"originator", b"codex_exec")])
    assert does_without_tools([(b"user-agent", b"codex_cli_rs/0.169.0")])
    assert does_without_tools([(b"x-omniroute-unsupported-tools", b"drop")])
    assert not does_without_tools([(b"user-agent", b"OpenAI/Python"), (b"x-omniroute-unsupported-tools", b"refuse")])
