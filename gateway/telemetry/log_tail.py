"""The newest lines of a process's log, on their way to where an operator can look at them. The log itself is stderr."""

from collections import deque
from collections.abc import MutableMapping
from typing import Any

import orjson

MAX_HELD = 1_000
MAX_LINE_BYTES = 2_048


class LogTail:
    """A step of structlog that keeps what passes, already without secrets: at most MAX_HELD lines, the oldest go first."""

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque(maxlen=MAX_HELD)

    def __len__(self) -> int:
        return len(self._lines)

    def note(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        line = orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS)
        if len(line) > MAX_LINE_BYTES:
            short = {name: event.get(name, "") for name in ("event", "level", "timestamp")}
            short["cut"] = line[: MAX_LINE_BYTES // 2].decode("utf-8", "replace")
            line = orjson.dumps(short, default=str)
        self._lines.append(line)
        return event

    def take(self, most: int) -> list[bytes]:
        """The oldest lines, which are no longer held."""
        return [self._lines.popleft() for _ in range(min(most, len(self._lines)))]
