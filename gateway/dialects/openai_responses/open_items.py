"""Items that are being written, and the bytes that stand around each of their deltas."""

from typing import Any

import msgspec

from gateway.dialects.sse import event_of
from gateway.domain.events import ToolCallStarted

_encode = msgspec.json.Encoder().encode


class OpenItem:
    """The item that is being written. `prefix` and `suffix` are what stands around a delta."""

    __slots__ = ("annotations", "content", "id", "index", "pieces", "prefix", "suffix")

    def __init__(self, item_id: str, index: int) -> None:
        self.id = item_id
        self.index = index
        self.pieces: list[str] = []
        self.annotations: list[dict[str, object]] = []
        self.content: list[dict[str, Any]] = []
        """Of a message: its parts that are done."""
        self.prefix = b""
        self.suffix = b""


class OpenCall:
    __slots__ = ("id", "index", "pieces", "prefix", "started", "suffix")

    def __init__(self, item_id: str, index: int, started: ToolCallStarted) -> None:
        self.id = item_id
        self.index = index
        self.started = started
        self.pieces: list[str] = []
        kind = "custom_tool_call_input" if started.kind == "custom" else "function_call_arguments"
        self.prefix, self.suffix = around(f"response.{kind}.delta", {"item_id": item_id, "output_index": index})


def around(name: str, where: dict[str, Any], rest: dict[str, Any] | None = None) -> tuple[bytes, bytes]:
    """What stands before the sequence number of a delta event, and after its delta."""
    fields = _encode({"type": name, **where, **(rest or {})})
    return event_of(name, fields)[: -len(b"}\n\n")] + b',"sequence_number":', b"}\n\n"
