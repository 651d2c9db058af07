"""Chat Completions answers that are not streamed: is it an answer at all, and what did it use."""

from typing import Any

import msgspec

from gateway.dialects.codec import Reading
from gateway.dialects.openai_chat.usage import usage_in
from gateway.dialects.provider_errors import error_text


class _Answer(msgspec.Struct, frozen=True):
    choices: list[msgspec.Raw] | None = None
    error: Any = None
    usage: Any = None
    x_groq: Any = None


_decode = msgspec.json.Decoder(_Answer).decode


def read_answer(body: bytes) -> Reading:
    """Judge a body that came with a status of 200. An error object, a page or nothing is a failure, not an answer."""
    if not body.strip():
        return Reading(kind="empty", message="the provider sent an empty answer")
    try:
        answer = _decode(body)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError):
        return Reading(kind="not_json", message="the provider's answer is not a completion")
    if answer.error:
        return Reading(kind="error", message=error_text(body), error_status=status_in(answer.error))
    if not answer.choices:
        return Reading(kind="empty", message="the provider's answer has no choices")
    return Reading(kind="answer", usage=usage_in(answer.usage, answer.x_groq))


def status_in(error: object) -> int:
    """Some providers put the real status inside: `{"error": {"code": 429, …}}` (OpenRouter's documents)."""
    if isinstance(error, dict):
        for name in ("status", "code"):
            value = error.get(name)
            if isinstance(value, int) and 400 <= value < 600:
                return value
    return 0
