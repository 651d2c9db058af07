"""`POST /responses/input_tokens`: its body is part of a request's, its answer one number."""

import msgspec

from gateway.dialects.codec import UNREADABLE, BrokenAnswer
from gateway.dialects.splice import drop_members

_NOT_COUNTED = (
    "stream", "store", "include", "max_output_tokens", "metadata", "prompt_cache_key", "service_tier", "temperature",
    "top_p", "safety_identifier", "user", "top_logprobs",
)  # fmt: skip


class _Count(msgspec.Struct, frozen=True):
    input_tokens: int


_decode = msgspec.json.Decoder(_Count).decode


def count_body(body: bytes) -> bytes:
    """Of a body for `/responses` one for the counting path, which knows only what has tokens."""
    return drop_members(body, _NOT_COUNTED)


def encode_count(tokens: int) -> bytes:
    """How many input tokens a request has."""
    return msgspec.json.encode({"object": "response.input_tokens", "input_tokens": tokens})


def read_count(body: bytes) -> int:
    """The provider's number. Raises BrokenAnswer when there is none."""
    try:
        return _decode(body).input_tokens
    except UNREADABLE as error:
        raise BrokenAnswer("the provider's answer is no count of tokens") from error
