"""Counting tokens: `POST /v1/messages/count_tokens`. Its body is a request's without `max_tokens`; its answer one number."""

import msgspec

from gateway.dialects.anthropic_messages.request import decode_uncounted
from gateway.dialects.codec import UNREADABLE, Arrival, BrokenAnswer
from gateway.dialects.envelope import Envelopes
from gateway.dialects.splice import drop_members
from gateway.domain.chat import ChatRequest

PATH = "/messages/count_tokens"

_NOT_COUNTED = (
    "max_tokens", "stream", "stop_sequences", "temperature", "top_p", "top_k", "metadata", "service_tier",
)  # fmt: skip


class _Count(msgspec.Struct, frozen=True):
    input_tokens: int


_decode = msgspec.json.Decoder(_Count).decode


def decode_count_request(body: bytes, arrival: Arrival, envelopes: Envelopes) -> ChatRequest:
    """What is to be counted. Raises BadRequest as `decode_request` does, but `max_tokens` may be missing."""
    return decode_uncounted(body, arrival, envelopes)


def count_body(body: bytes) -> bytes:
    """Of a body for `/messages` one for the counting path, which refuses fields that have no tokens."""
    return drop_members(body, _NOT_COUNTED)


def encode_count(input_tokens: int) -> bytes:
    return b'{"input_tokens":%d}' % input_tokens


def read_count(body: bytes) -> int:
    """The provider's number. Raises BrokenAnswer when there is none."""
    try:
        count = _decode(body).input_tokens
    except UNREADABLE as error:
        raise BrokenAnswer("the provider's answer is no count of tokens") from error
    if count < 0:
        raise BrokenAnswer("the provider's answer is no count of tokens")
    return count
