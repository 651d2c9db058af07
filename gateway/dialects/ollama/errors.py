"""Errors as Ollama's clients read them: `{"error": "text"}`."""

import msgspec


def encode_error(_status: int, _code: str, message: str) -> bytes:
    """An error body."""
    return msgspec.json.encode({"error": message})
