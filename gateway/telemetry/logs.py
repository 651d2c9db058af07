"""Structured logs on stderr: JSON lines or console. No secret passes: a redactor is the last step before output."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import orjson
import structlog

from gateway.telemetry.log_tail import LogTail

_SECRET_FIELD = re.compile(r"(?i)(api_?key|secret|token|password|passwd|authorization|cookie|credential|proxy)")
_SECRET_VALUE = re.compile(
    r"(?i)(bearer\s+|basic\s+|[?&]key=|\bsk-or-|\bsk-)[^\s\"'&@]{4,}|(://[^/\s:@]*:)[^/\s]+(?=@)"  # a URL's port stays
)
_HARMLESS_FIELDS = frozenset({"key_id", "key_name", "tokens", "input_tokens", "output_tokens"})
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logging(level: str, format: str, tail: LogTail | None = None) -> None:  # noqa: A002  (the setting's own word)
    """Set up structlog and the standard library's logging once per process. `format` is `json` or `console`.

    `tail` is shown each line too.
    """
    renderer: Any = (
        structlog.processors.JSONRenderer(serializer=lambda event, **_: orjson.dumps(event, default=str).decode())
        if format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            *([tail.note] if tail is not None else ()),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(_LEVELS[level], logging.WARNING), stream=sys.stderr, force=True)


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask fields that are named like secrets and text that looks like one, wherever it stands."""
    for name, value in event.items():
        event[name] = _redact_member(name, value)
    return event


def _redact_member(name: object, value: object) -> object:
    is_text_like = isinstance(value, str | bytes | list | tuple | dict)
    if is_text_like and name not in _HARMLESS_FIELDS and _SECRET_FIELD.search(str(name)):
        return "[redacted]"
    return _redact_value(value)


def _redact_value(value: object) -> object:
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes):
        return redact_text(value.decode("utf-8", "replace"))
    if isinstance(value, dict):
        return {name: _redact_member(name, inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_redact_value(inner) for inner in value]
    return redact_text(str(value)) if isinstance(value, BaseException) else value


def redact_text(text: str) -> str:
    """Mask bearer tokens, key-like words and passwords in URLs."""
    return _SECRET_VALUE.sub(lambda match: (match.group(1) or match.group(2)) + "[redacted]", text)
