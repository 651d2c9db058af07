"""Events of a stream as they stand on the wire, read loosely: providers put null and other things where texts should be."""

from typing import Any

import msgspec

from gateway.dialects.surrogates import read_json_with_halves

_IN_PIECES = frozenset({"delta"})


class WireEvent(msgspec.Struct):
    """What all kinds of events hold that is of use."""

    type: Any = None
    delta: Any = None
    text: Any = None
    refusal: Any = None
    arguments: Any = None
    input: Any = None
    item: Any = None
    annotation: Any = None
    output_index: int | None = None
    item_id: str | None = None
    content_index: int | None = 0
    summary_index: int | None = 0
    error: Any = None
    response: Any = None


decode_event = msgspec.json.Decoder(WireEvent).decode


def with_halves(data: bytes) -> WireEvent | None:
    """An event with half a character in it, which only the next one completes."""
    try:
        return msgspec.convert(read_json_with_halves(data, _IN_PIECES), WireEvent)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return None
