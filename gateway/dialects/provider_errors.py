"""A short text out of a provider's error, for logs and records. Never the prompt: only the message."""

import msgspec

from gateway.dialects.codec import UNREADABLE

_WORDS = ("message", "code", "type")


def error_text(data: bytes, words: tuple[str, ...] = _WORDS) -> str:
    """Of an error body or the data of an event. `words` are the members that may tell it, the best one first."""
    try:
        error = msgspec.json.decode(data)
    except UNREADABLE:
        return "the provider's error is not JSON"
    return text_of_error(error, words)


def text_of_error(error: object, words: tuple[str, ...] = _WORDS) -> str:
    """Of JSON that is read already: an error, `{"error": …}`, an array of one, or a failed `{"response": …}`."""
    if isinstance(error, list):
        error = error[0] if error else None
    if isinstance(error, dict) and isinstance(error.get("response"), dict):
        error = error["response"]
    if isinstance(error, dict):
        error = error.get("error") or error
    if isinstance(error, dict):
        error = next((error[word] for word in words if error.get(word)), None)
    return str(error)[:300] if error else "no message"
