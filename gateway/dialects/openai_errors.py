"""The error body that OpenAI's SDKs read, whatever they asked: `{"error": {message, type, param, code}}`."""

import msgspec

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def encode_error(
    status: int, code: str, message: str, param: str | None = None, details: dict[str, object] | None = None
) -> bytes:
    """`details` (attempts, near names) stand under `error.omniroute`."""
    error: dict[str, object] = {
        "message": message,
        "type": _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error"),
        "param": param,
        "code": code,
    }
    if details:
        error["omniroute"] = details
    return msgspec.json.encode({"error": error})
