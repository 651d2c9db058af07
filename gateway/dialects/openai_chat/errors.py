"""Errors as the OpenAI SDKs read them: `{"error": {message, type, param, code}}`, also inside a stream."""

import msgspec

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "invalid_request_error",
    405: "invalid_request_error",
    408: "invalid_request_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    422: "invalid_request_error",
    426: "invalid_request_error",
    429: "rate_limit_error",
}


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
    return msgspec.json.encode({"error": error})


def encode_stream_error(status: int, code: str, message: str, details: dict[str, object] | None = None) -> bytes:
    """An error as an event of a stream. The official SDKs raise on a `data` object with `error`; no `[DONE]` follows."""
    return b"data: " + encode_error(status, code, message, None, details) + b"\n\n"


def encode_error_event(
    status: int, code: str, message: str, param: str | None = None, details: dict[str, object] | None = None
) -> bytes:
    """As `encode_stream_error`, with the place of the fault."""
    return b"data: " + encode_error(status, code, message, param, details) + b"\n\n"
