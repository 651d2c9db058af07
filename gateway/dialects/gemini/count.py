"""`:countTokens`: what is to be counted, and the answer."""

import msgspec

from gateway.dialects.codec import Arrival
from gateway.dialects.envelope import Envelopes
from gateway.dialects.gemini.request import chat_request, read_object
from gateway.domain.chat import ChatRequest


def decode_count(body: bytes, arrival: Arrival, envelopes: Envelopes) -> ChatRequest:
    """The request to count: `generateContentRequest` if there is one, else the body itself. Raises BadRequest."""
    place = read_object(body)
    return chat_request(place.object("generateContentRequest") or place, arrival, envelopes)


def encode_count(total: int) -> bytes:
    return msgspec.json.encode({"totalTokens": total})
