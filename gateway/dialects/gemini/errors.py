"""Errors as Google's SDKs read them: `{"error": {code, message, status}}` (google.rpc.Status in JSON)."""

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
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def encode_error(status: int, code: str, message: str) -> bytes:
    """An error body; our own code stands in `details`."""
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": code, "domain": "omniroute"}]
    error = {"code": status, "message": message, "status": _STATUSES.get(status, "UNKNOWN"), "details": details}
    return msgspec.json.encode({"error": error})
