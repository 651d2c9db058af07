"""The two sides of Anthropic Messages."""

from gateway.dialects.anthropic_messages.decoder import make_decoder
from gateway.dialects.anthropic_messages.encoder import make_encoder
from gateway.dialects.anthropic_messages.errors import encode_error, encode_stream_error
from gateway.dialects.anthropic_messages.outgoing import encode_request
from gateway.dialects.anthropic_messages.request import decode_request, pass_on, read_head
from gateway.dialects.anthropic_messages.response import decode_response, encode_response, read_answer
from gateway.dialects.anthropic_messages.stream import StreamTap, classify
from gateway.dialects.codec import CallerCodec, ProviderCodec
from gateway.dialects.provider_errors import error_text

CALLER = CallerCodec(
    dialect="anthropic_messages",
    read_head=read_head,
    decode_request=decode_request,
    encode_response=encode_response,
    make_encoder=make_encoder,
    encode_error=encode_error,
    encode_stream_error=encode_stream_error,
    stream_type=lambda arrival: b"text/event-stream; charset=utf-8",
    keep_alive=b'event: ping\ndata: {"type":"ping"}\n\n',
    explanation=b'event: ping\ndata: {"type":"ping","omniroute.explain":%s}\n\n',  # clients pass any ping by
    progress=b"event: progress\ndata: {%s}\n\n",
)

PROVIDER = ProviderCodec(
    dialect="anthropic_messages",
    path=lambda model, is_stream: "/messages",
    classify=classify,
    read_answer=read_answer,
    make_tap=StreamTap,
    pass_on=pass_on,
    encode_request=encode_request,
    decode_response=decode_response,
    make_decoder=make_decoder,
    error_text=error_text,
    headers=(b"anthropic-version: 2023-06-01",),
    terminator=b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
)
