"""Errors as the OpenAI SDKs read them: `{"error": {message, type, param, code}}`; inside a stream a flat `error` event."""

import msgspec

from gateway.dialects.sse import event_of

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}

_encode = msgspec.json.Encoder().encode


def encode_error(
    status: int, code: str, message: str, param: str | None = None, details: dict[str, object] | None = None
) -> bytes:
    """An error body. `details` (attempts, near names) stand under `error.omniroute`."""
    error: dict[str, object] = {
        "message": message,
        "type": _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error"),
        "param": param,
        "code": code,
    }
    if details:
        error["omniroute"] = details
    return _encode({"error": error})


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
