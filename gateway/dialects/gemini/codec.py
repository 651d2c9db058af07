"""Gemini as callers and as providers speak it."""

from urllib.parse import quote

from gateway.dialects.codec import Arrival, CallerCodec, ProviderCodec
from gateway.dialects.gemini.decoder import GeminiDecoder
from gateway.dialects.gemini.encoder import GeminiEncoder
from gateway.dialects.gemini.errors import encode_error, encode_stream_error, error_text
from gateway.dialects.gemini.request import decode_request, encode_request, pass_on, read_head
from gateway.dialects.gemini.response import decode_response, encode_response, read_answer
from gateway.dialects.gemini.signatures import MARKS
from gateway.dialects.gemini.stream import GeminiTap, classify


def path(model: str, is_stream: bool) -> str:
    """Below a base URL that ends in the version."""
    segment = quote(model.removeprefix("models/"), safe="")
    return f"/models/{segment}:{'streamGenerateContent?alt=sse' if is_stream else 'generateContent'}"


def stream_type(arrival: Arrival) -> bytes:
    return b"application/json; charset=utf-8" if arrival.wants_array else b"text/event-stream; charset=utf-8"


CALLER = CallerCodec(
    dialect="gemini",
    read_head=read_head,
    decode_request=decode_request,
    encode_response=encode_response,
    make_encoder=GeminiEncoder,
    encode_error=encode_error,
    encode_stream_error=encode_stream_error,
    stream_type=stream_type,
    progress=b"event: progress\ndata: {%s}\n\n",
    envelope_marks=MARKS,
)

PROVIDER = ProviderCodec(
    dialect="gemini",
    path=path,
    classify=classify,
    read_answer=read_answer,
    make_tap=GeminiTap,
    pass_on=pass_on,
    encode_request=encode_request,
    decode_response=decode_response,
    make_decoder=GeminiDecoder,
    error_text=error_text,
    is_model_in_path=True,
    needs_picture_bytes=True,
)
