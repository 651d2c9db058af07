"""Errors inside a stream: a flat `error` event. Bodies are in `openai_errors.py`."""

import msgspec

from gateway.dialects.sse import event_of

_encode = msgspec.json.Encoder().encode


def encode_stream_error(
    status: int, code: str, message: str, param: str | None = None, details: dict[str, object] | None = None
) -> bytes:
    """The error as the last event of a stream that was passed on. Its place in the sequence is not known there: 0."""
    del status  # there is no room for it
    return error_event(0, code, message, param, details)


def error_event(
    sequence_number: int, code: str, message: str, param: str | None, details: dict[str, object] | None
) -> bytes:
    """`event: error`. The fields are flat: SDKs raise on a nested `error` and lose the code."""
    event: dict[str, object] = {
        "type": "error",
        "sequence_number": sequence_number,
        "code": code,
        "message": message,
        "param": param,
    }
    if details:
        event["omniroute"] = details
    return event_of("error", _encode(event))
