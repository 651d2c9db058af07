"""Errors as the Anthropic SDKs read them: `{"type": "error", "error": {type, message}}`."""

import msgspec

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    529: "overloaded_error",
}


def encode_error(status: int, code: str, message: str) -> bytes:
    """An error body; our own code stands beside the type."""
    kind = _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return msgspec.json.encode({"type": "error", "error": {"type": kind, "message": message, "code": code}})
