"""Ollama's chat, the caller's side only: no provider is asked in this dialect."""

from gateway.dialects.codec import CallerCodec
from gateway.dialects.ollama.encoder import StreamEncoder
from gateway.dialects.ollama.errors import encode_error, encode_stream_error
from gateway.dialects.ollama.request import decode_request, read_head
from gateway.dialects.ollama.response import encode_response

CALLER = CallerCodec(
    dialect="ollama",
    read_head=read_head,
    decode_request=decode_request,
    encode_response=encode_response,
    make_encoder=StreamEncoder,
    encode_error=encode_error,
    encode_stream_error=encode_stream_error,
    stream_type=lambda arrival: b"application/x-ndjson",
)
"""Nothing can be sent while nothing useful has come: clients decode every line, also an empty one."""
