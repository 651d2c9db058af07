"""What Anthropic's server tools found, as text: the only way in which another provider can be told of it."""

from typing import Any

import msgspec

from gateway.dialects.codec import UNREADABLE

MAX_CHARS = 100_000
"""Of one result; a fetched page may be much longer than what it is worth."""


def result_text(kind: str, content: msgspec.Raw) -> str:
    """The text of a result's `content`; empty where there is none that another model could read."""
    try:
        value = msgspec.json.decode(content) if content else None
    except UNREADABLE:
        return ""
    if kind == "compaction":
        return value if isinstance(value, str) else ""
    return "\n".join(line for line in _lines(value) if line)[:MAX_CHARS]


def _lines(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [line for item in value for line in _lines(item)]
    if not isinstance(value, dict):
        return []
    match value.get("type"):
        case "web_search_result":
            return [" - ".join(text for text in (_text(value, "title"), _text(value, "url")) if text)]
        case "web_fetch_result":
            return [_text(value, "url"), *_lines(value.get("content"))]
        case "document":
            source = value.get("source")
            is_text = isinstance(source, dict) and source.get("type") == "text"
            return [_text(value, "title"), _text(source, "data") if is_text else ""]
        case _ if "error_code" in value:
            return [f"error: {_text(value, 'error_code')}"]
        case _:
            return [_text(value, "stdout"), _text(value, "stderr"), _text(value, "text")]


def _text(value: Any, name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""
