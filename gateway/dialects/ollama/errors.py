"""Errors as Ollama's clients read them: `{"error": "text"}`, a body of its own or a line of the stream."""

import msgspec


def encode_error(
    status: int, code: str, message: str, param: str | None = None, details: dict[str, object] | None = None
) -> bytes:
    """An error body. The dialect has room for the text alone: status and code are not in it, nor are `details`."""
    del status, code, param, details
    return msgspec.json.encode({"error": message})


def encode_stream_error(
    status: int, code: str, message: str, param: str | None = None, details: dict[str, object] | None = None
) -> bytes:
    """The same as a line; the official clients raise on it wherever it stands."""
    return encode_error(status, code, message, param, details) + b"\n"
