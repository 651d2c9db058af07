"""Errors as Google's SDKs read them: `{"error": {code, message, status, details}}` (google.rpc.Status in JSON)."""

import msgspec

from gateway.dialects import provider_errors

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "INVALID_ARGUMENT",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}

_WORDS = ("message", "status", "code")
"""The members that tell what happened; `code` is a mere number here."""

_TYPE = "type.googleapis.com/google."


def encode_error(
    status: int, code: str, message: str, param: str | None = None, details: dict[str, object] | None = None
) -> bytes:
    """An error body. Our own code is the reason of an ErrorInfo, the field a BadRequest, ours (attempts …) a Struct."""
    told: list[dict[str, object]] = [
        {"@type": f"{_TYPE}rpc.ErrorInfo", "reason": code, "domain": "omniroute"},
    ]
    if param:
        told.append(
            {
                "@type": f"{_TYPE}rpc.BadRequest",
                "fieldViolations": [{"field": param, "description": message}],
            }
        )
    if details:
        told.append({"@type": f"{_TYPE}protobuf.Struct", "value": details})
    error = {"code": status, "message": message, "status": _STATUSES.get(status, "UNKNOWN"), "details": told}
    return msgspec.json.encode({"error": error})


def encode_stream_error(
    status: int, code: str, message: str, param: str | None = None, details: dict[str, object] | None = None
) -> bytes:
    """An error as an event. The Python SDK sees it only when `error` is the first key; nothing follows it."""
    return b"data: " + encode_error(status, code, message, param, details) + b"\r\n\r\n"


def error_text(data: bytes) -> str:
    """See `provider_errors.error_text`."""
    return provider_errors.error_text(data, _WORDS)


def text_of_error(error: object) -> str:
    """See `provider_errors.text_of_error`."""
    return provider_errors.text_of_error(error, _WORDS)


def status_of_error(error: object) -> int:
    """The HTTP status that an error object names, 0 if none."""
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and not isinstance(code, bool) and 400 <= code < 600 else 0


def word_of_error(error: object) -> str:
    """The provider's own word (`RESOURCE_EXHAUSTED`), empty if none."""
    word = error.get("status") if isinstance(error, dict) else None
    return word if isinstance(word, str) else ""
