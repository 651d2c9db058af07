"""Chat Completions answers that are not streamed: is it an answer at all, and what did it use."""

from typing import Any, Literal

import msgspec

from gateway.dialects.openai_chat.stream import error_text, usage_of
from gateway.domain.usage import Usage


class _Answer(msgspec.Struct, frozen=True):
    choices: list[msgspec.Raw] | None = None
    error: Any = None
    usage: Any = None


class Reading(msgspec.Struct, frozen=True):
    """`kind` is `answer`, or what came in its place under a status of 200; `error_status` is a status it names."""

    kind: Literal["answer", "error", "empty", "not_json"]
    usage: Usage | None = None
    message: str = ""
    error_status: int = 0


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
        return Reading(kind="error", message=error_text(body), error_status=_status_in(answer.error))
    if not answer.choices:
        return Reading(kind="empty", message="the provider's answer has no choices")
    return Reading(kind="answer", usage=usage_of(answer.usage))


def _status_in(error: object) -> int:
    """Some providers put the real status inside: `{"error": {"code": 429, …}}` (OpenRouter's documents)."""
    if isinstance(error, dict):
        for name in ("status", "code"):
            value = error.get(name)
            if isinstance(value, int) and 400 <= value < 600:
                return value
    return 0
