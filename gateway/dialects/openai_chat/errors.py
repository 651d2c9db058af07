"""Errors inside a stream: the body of an error (`openai_errors.py`) as an event."""

from gateway.dialects.openai_errors import encode_error


def encode_stream_error(
    status: int, code: str, message: str, param: str | None = None, details: dict[str, object] | None = None
) -> bytes:
    """The official SDKs raise on a `data` object with `error`; no `[DONE]` follows."""
    return b"data: " + encode_error(status, code, message, param, details) + b"\n\n"
