"""Events of a Messages stream as they stand on the wire, read by type. What a block or a delta has more is skipped."""

from typing import Any

import msgspec

from gateway.dialects.codec import UNREADABLE
from gateway.dialects.surrogates import readable_json


class WireDelta(msgspec.Struct, frozen=True):
    type: str = ""
    text: str = ""
    partial_json: str = ""
    thinking: str = ""
    signature: str = ""
    citation: Any = None
    stop_reason: str | None = None
    stop_sequence: str | None = None


class BlockStart(msgspec.Struct, frozen=True):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw()
    citations: Any = None


class WireMessage(msgspec.Struct, frozen=True):
    id: Any = None
    model: Any = None
    usage: Any = None


class WireEvent(msgspec.Struct, frozen=True):
    type: str = ""
    index: int = 0
    delta: WireDelta | None = None
    content_block: BlockStart | None = None
    message: WireMessage | None = None
    usage: Any = None
    error: Any = None


_event_decoder = msgspec.json.Decoder(WireEvent)

_KINDS = frozenset(
    {
        "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
        "message_stop", "error",
    }
)  # fmt: skip
_BLOCKS = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})
_DELTAS = frozenset({"text_delta", "thinking_delta", "signature_delta", "input_json_delta", "citations_delta"})


def read_event(data: bytes) -> WireEvent | None:
    """One event; None when it cannot be read. Of kinds that we do not know only the kind is left."""
    try:
        return _event_decoder.decode(data)
    except UNREADABLE as error:
        return _read_loosely(data, error)


def _read_loosely(data: bytes, error: Exception) -> WireEvent | None:
    """Events, blocks and deltas of kinds that we do not know may look any way; halves of characters are mended."""
    try:
        if isinstance(error, msgspec.ValidationError):
            return _unknown(msgspec.json.decode(data))
        if b"\\ud" in data or b"\\uD" in data:
            return _event_decoder.decode(readable_json(data))
    except UNREADABLE:
        return None
    return None


def _unknown(event: object) -> WireEvent | None:
    """What is left of an event that does not fit: its kind, if that is not one of ours."""
    kind = event.get("type") if isinstance(event, dict) else None
    if not isinstance(event, dict) or not isinstance(kind, str):
        return None
    if kind not in _KINDS:
        return WireEvent(kind)
    block, delta, index = event.get("content_block"), event.get("delta"), event.get("index")
    if kind == "content_block_start" and _is_unknown(block, _BLOCKS) and isinstance(index, int):
        return WireEvent(kind, index, content_block=BlockStart(type="unknown"))
    return WireEvent("unknown") if kind == "content_block_delta" and _is_unknown(delta, _DELTAS) else None


def _is_unknown(inner: object, known: frozenset[str]) -> bool:
    kind = inner.get("type") if isinstance(inner, dict) else None
    return isinstance(kind, str) and kind not in known
