"""`:countTokens`: what is to be counted, and the answer."""

import msgspec

from gateway.dialects.codec import UNREADABLE, Arrival, BrokenAnswer
from gateway.dialects.envelope import Envelopes
from gateway.dialects.gemini.request import chat_request, read_object
from gateway.domain.chat import ChatRequest


def decode_count(body: bytes, arrival: Arrival, envelopes: Envelopes) -> ChatRequest:
    """The request to count: `generateContentRequest` if there is one, else the body itself. Raises BadRequest."""
    place = read_object(body)
    return chat_request(place.object("generateContentRequest") or place, arrival, envelopes)


def encode_count(total: int) -> bytes:
    return msgspec.json.encode({"totalTokens": total})


class _Count(msgspec.Struct, frozen=True):
    total: int = msgspec.field(name="totalTokens")


_decode = msgspec.json.Decoder(_Count).decode


def count_body(body: bytes, model: str) -> bytes:
    """Of a body for `:generateContent` one for `:countTokens`, system text and tools included."""
    name = msgspec.json.encode(f"models/{model.removeprefix('models/')}")
    return b'{"generateContentRequest":{"model":' + name + b"," + body[body.index(b"{") + 1 :] + b"}"


def read_count(body: bytes) -> int:
    """The provider's number. Raises BrokenAnswer when there is none."""
    try:
        return _decode(body).total
    except UNREADABLE as error:
        raise BrokenAnswer("the provider's answer is no count of tokens") from error
