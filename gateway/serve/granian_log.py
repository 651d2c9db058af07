"""granian's own messages in our log format. Its routine news (info) is debug to us and left out.

A handler of its own writes whole lines to the descriptor: granian forks workers while its threads log, and a lock
of a stream that is held at the fork would never open again in the worker.
"""

import logging
import os
import sys
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

_STDERR = 2


def granian_log_config(log_format: str) -> dict[str, Any]:
    """The `log_dictconfig` of granian for our `LOG_FORMAT`."""
    silent: dict[str, Any] = {"handlers": [], "level": "CRITICAL", "propagate": False}
    return {
        "formatters": {},
        "handlers": {"lines": {"()": LineHandler, "log_format": log_format, "level": "WARNING"}},
        "loggers": {
            "_granian": {"handlers": ["lines"], "level": "WARNING", "propagate": False},
            "granian.access": silent,
        },
    }


class LineHandler(logging.Handler):
    """Writes each record as one line of our log format to stderr, in one write."""

    def __init__(self, log_format: str) -> None:
        super().__init__()
        self._render = _render_json if log_format == "json" else _console_renderer()

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; a stderr that is gone is no reason to fail."""
        event: dict[str, Any] = {
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "logger": "granian",
        }
        if record.exc_info and record.exc_info[0] is not None:
            event["exception"] = logging.Formatter().formatException(record.exc_info)
        try:
            os.write(_STDERR, self._render(event).encode(errors="replace") + b"\n")
        except OSError:
            self.handleError(record)


def _render_json(event: MutableMapping[str, Any]) -> str:
    return orjson.dumps(event).decode()


def _console_renderer() -> Callable[[MutableMapping[str, Any]], str]:
    renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    return lambda event: str(renderer(None, "", event))
