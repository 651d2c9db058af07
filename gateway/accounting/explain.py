"""What a caller that asks (`X-OmniRoute-Explain: true`) is told: the plan, and what came of each attempt. Pure."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.domain.decision import Decision
from gateway.domain.record import AttemptRecord

MAX_HEADER_BYTES = 4_000
"""Of the header. Servers and proxies before us take 8 KiB of headers at least, and others stand beside it."""
MAX_ERROR = 120
"""Letters of an attempt's error in a header that would else be too long."""


def explanation(decision: Decision, attempts: Sequence[AttemptRecord]) -> bytes:
    """One line of ASCII: the decision's fields, and `attempts`."""
    return _line(_document(decision, attempts))


def explained_header(decision: Decision, attempts: Sequence[AttemptRecord]) -> bytes:
    """The same for a header: when it is too long, `is_cut` is true and the longest parts are shortened or left out."""
    document = _document(decision, attempts)
    if len(line := _line(document)) <= MAX_HEADER_BYTES:
        return line
    document["is_cut"] = True
    for attempt in document["attempts"]:
        attempt.pop("dropped", None)
        attempt["error"] = attempt.get("error", "")[:MAX_ERROR]
    for part in ("dropped", "scores", "candidates", "attempts"):
        if len(line := _line(document)) <= MAX_HEADER_BYTES:
            return line
        document[part] = len(document.get(part, ()))
    return _line(document)


def _document(decision: Decision, attempts: Sequence[AttemptRecord]) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(decision)
    shown["attempts"] = msgspec.to_builtins(tuple(attempts))
    return shown


def _line(document: dict[str, Any]) -> bytes:
    """Names may be any text, a header holds ASCII; JSON has escapes for all else, line ends too."""
    return json.dumps(document, separators=(",", ":")).encode("ascii")
