"""Errors as Google's SDKs read them: `{"error": {code, message, status, details}}` (google.rpc.Status in JSON)."""

import msgspec

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
    """A short text out of an error body or event, for logs and records. Never the prompt: only the message field."""
    try:
        error = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "the provider's error is not JSON"
    return text_of_error(error)


def text_of_error(error: object) -> str:
    """The same for JSON that is read already: an error, `{"error": …}`, or an array of one (a stream without `alt=sse`)."""
    if isinstance(error, list):
        error = error[0] if error else None
    if isinstance(error, dict):
        error = error.get("error", error)
    if isinstance(error, dict):
        error = error.get("message") or error.get("status") or error.get("code")
    return str(error)[:300] if error else "no message"


def status_of_error(error: object) -> int:
    """The HTTP status that an error object names, 0 if none."""
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and not isinstance(code, bool) and 400 <= code < 600 else 0


def word_of_error(error: object) -> str:
    """The provider's own word (`RESOURCE_EXHAUSTED`), empty if none."""
    word = error.get("status") if isinstance(error, dict) else None
    return word if isinstance(word, str) else ""
