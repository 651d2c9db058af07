"""What Anthropic Messages looks like on the wire, for both directions: blocks, usage, and the words for an answer's end.

One loose struct holds any block, because blocks differ in few members and callers and providers add members freely.
"""

from typing import Any, TypeGuard

import msgspec

from gateway.dialects.codec import UNREADABLE
from gateway.dialects.surrogates import readable_json
from gateway.domain.chat import CacheTtl, Citation, Finish
from gateway.domain.usage import Usage

FINISHES: dict[str, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "pause_turn": "pause",
}
STOP_REASONS: dict[Finish, str] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "pause": "pause_turn",
}

ERROR_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The words that providers of this dialect use → HTTP statuses."""


class CacheControl(msgspec.Struct, frozen=True):
    type: str = ""
    ttl: str | None = None


class Block(msgspec.Struct, frozen=True):
    """Any content block. What is not needed of it stays undecoded."""

    type: str
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    tool_use_id: str | None = None
    input: msgspec.Raw = msgspec.Raw()
    content: msgspec.Raw = msgspec.Raw()
    source: msgspec.Raw = msgspec.Raw()
    citations: Any = None
    cache_control: CacheControl | None = None
    is_error: bool | None = None
    title: str | None = None
    context: str | None = None


class Source(msgspec.Struct, frozen=True):
    """Where a picture or a document is."""

    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    content: str | list[Block] | None = None


def cache_ttl(control: CacheControl | None) -> CacheTtl:
    """No `ttl` means five minutes."""
    if control is None:
        return ""
    return "1h" if control.ttl == "1h" else "5m"


def citations_of(raw: object, text: str) -> tuple[Citation, ...]:
    """The citations of a text block. They are about the whole block: its text is cut for them."""
    if not isinstance(raw, list):
        return ()
    found = (citation_of(item, 0, len(text)) for item in raw)
    return tuple(citation for citation in found if citation is not None)


def citation_of(raw: object, start: int, end: int) -> Citation | None:
    """Any of the five kinds; None for what is none. Places within a document have no home in the hub."""
    if not isinstance(raw, dict):
        return None
    source = _text(raw.get("url")) or _text(raw.get("source"))
    return Citation(
        url=source if "://" in source else "",
        title=_text(raw.get("title")) or _text(raw.get("document_title")) or source,
        quote=_text(raw.get("cited_text")),
        start=start,
        end=end,
    )


def finish_of(reason: str | None, *, has_calls: bool) -> Finish:
    """`tool_calls` goes by the calls themselves: servers that imitate this dialect name the wrong reason."""
    finish = FINISHES.get(reason or "", "stop")
    if finish == "tool_calls" and not has_calls:
        return "stop"
    return "tool_calls" if has_calls and finish in ("stop", "stop_sequence", "pause") else finish


class Counts:
    """Usage as this dialect tells it: in pieces, each later figure in the place of the earlier one."""

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    def take(self, raw: object) -> None:
        """`usage` of `message_start`, `message_delta` or of a whole answer. Odd figures are not believed."""
        if not isinstance(raw, dict):
            return
        self._told |= {name: int(raw[name]) for name in _COUNTS if _is_count(raw.get(name))}
        details = raw.get("output_tokens_details")
        if isinstance(details, dict) and _is_count(details.get("thinking_tokens")):
            self._told["thinking_tokens"] = int(details["thinking_tokens"])

    @property
    def usage(self) -> Usage | None:
        """In the gateway's convention; None when nothing was told. The wire's `input_tokens` leaves cached ones out."""
        told = self._told
        if not told:
            return None
        cache_read = told.get("cache_read_input_tokens", 0)
        cache_write = told.get("cache_creation_input_tokens", 0)
        return Usage(
            input=told.get("input_tokens", 0) + cache_read + cache_write,
            output=told.get("output_tokens", 0),
            cache_read=cache_read,
            cache_write=cache_write,
            reasoning=min(told.get("thinking_tokens", 0), told.get("output_tokens", 0)),
        )


def json_object(text: str) -> bytes | None:
    r"""The text, if it is JSON of an object, as it came; None if not.

    Half a character (`\ud83d` alone) is legal JSON, which msgspec refuses: it becomes U+FFFD.
    """
    try:
        return text.encode() if isinstance(msgspec.json.decode(text), dict) else None
    except (*UNREADABLE, UnicodeEncodeError):
        pass
    try:
        found = readable_json(text)
    except UNREADABLE:
        return None
    return found if found.startswith(b"{") else None


def usage_of(raw: object) -> Usage | None:
    """The counts of one `usage` object; None when it is none."""
    counts = Counts()
    counts.take(raw)
    return counts.usage


def usage_fields(usage: Usage) -> dict[str, Any]:
    """The `usage` object of an answer. Details are there only if there is something to tell."""
    fields: dict[str, Any] = {
        "input_tokens": max(usage.input - usage.cache_read - usage.cache_write, 0),
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.output,
    }
    if usage.reasoning:
        fields["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return fields


_COUNTS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _is_count(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1_000_000_000
