"""The checks of the fields that routing reads, before a body is decoded as a whole. All raise BadRequest, naming the field."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from gateway.dialects.codec import UNREADABLE
from gateway.domain.errors import BadRequest

MAX_MODEL_CHARS = 512
ASKED = "you must provide a {} parameter"

Fields = TypeVar("Fields")
Routing = TypeVar("Routing", bound="ChatFields")


class ChatFields(msgspec.Struct, frozen=True):
    """What dialects with `messages` share; msgspec skips the rest. Read loosely, so that an error names the field."""

    model: Any = None
    stream: Any = None
    temperature: Any = None
    max_tokens: Any = None
    messages: msgspec.Raw = msgspec.Raw()


def decoded(body: bytes, decode: Callable[[bytes], Fields]) -> Fields:
    """A JSON object, read by `decode`."""
    try:
        return decode(body)
    except UNREADABLE as error:
        raise unreadable(error) from error


def unreadable(error: Exception) -> BadRequest:
    if isinstance(error, msgspec.ValidationError):
        return BadRequest("the request body must be a JSON object", code="invalid_request_body")
    return BadRequest(f"the request body is not valid JSON: {error}", code="invalid_json")


def read_chat_fields(body: bytes, decode: Callable[[bytes], Routing], missing: str = ASKED) -> Routing:
    """`missing` is how the dialect says that a field is not there."""
    try:
        fields = decode(body)
    except UNREADABLE as error:
        raise unreadable(error) from error
    checked_model(fields.model, missing)
    messages = memoryview(fields.messages)
    if not messages:
        raise BadRequest(missing.format("messages"), code="missing_messages", param="messages")
    if messages[0] not in b"[":
        raise BadRequest("messages must be an array", code="invalid_messages", param="messages")
    if fields.stream is not None and not isinstance(fields.stream, bool):
        raise wrong_stream()
    return fields


def most_tokens(value: object) -> int:
    """A limit on the answer as a head has it: nothing said, or what only the reader of the whole request judges."""
    if value is None:
        return 0
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else -1


def is_zero(value: object) -> bool:
    """A number that is zero, however it is written; `false` and `"0"` are none."""
    return value == 0 and not isinstance(value, bool)


def checked_model(model: object, missing: str = ASKED) -> str:
    if model is None:
        raise BadRequest(missing.format("model"), code="missing_model", param="model")
    if not isinstance(model, str) or not model:
        raise BadRequest("model must be a non-empty string", code="invalid_model", param="model")
    if len(model) > MAX_MODEL_CHARS or not model.isprintable():
        raise BadRequest(
            f"model must be at most {MAX_MODEL_CHARS} printable characters", code="invalid_model", param="model"
        )
    return model


def wrong_stream() -> BadRequest:
    return BadRequest("stream must be true or false", code="invalid_stream", param="stream")
