"""Errors as the Anthropic SDKs read them: `{"type": "error", "error": {type, message}, "request_id"}`, also as an event.

The SDKs (Python 2.12 run) take any further members, so our own stand beside theirs.
"""

import msgspec

from gateway.dialects.sse import event_of

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def encode_error(
    status: int, code: str, message: str, param: str | None = None, details: dict[str, object] | None = None
) -> bytes:
    """An error body. Our own code stands beside the type, `details` (attempts, near names) under `error.omniroute`."""
    kind = _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    error: dict[str, object] = {"type": kind, "message": message, "code": code}
    if param is not None:
        error["param"] = param
    body: dict[str, object] = {"type": "error", "error": error}
    if details:
        error["omniroute"] = details
        if isinstance(details.get("request_id"), str):
            body["request_id"] = details["request_id"]
    return msgspec.json.encode(body)


def encode_stream_error(
    status: int, code: str, message: str, param: str | None = None, details: dict[str, object] | None = None
) -> bytes:
    """The same as an event of a stream; the SDKs raise on it. No `message_stop` follows."""
    return event_of("error", encode_error(status, code, message, param, details))
