"""The OpenAI Responses dialect, both sides."""

from gateway.dialects.codec import CallerCodec, ProviderCodec
from gateway.dialects.openai_errors import encode_error
from gateway.dialects.openai_responses.decoder import StreamDecoder
from gateway.dialects.openai_responses.encoder import StreamEncoder
from gateway.dialects.openai_responses.errors import encode_stream_error
from gateway.dialects.openai_responses.provider_request import encode_request
from gateway.dialects.openai_responses.request import decode_request, pass_on, read_head
from gateway.dialects.openai_responses.response import decode_response, encode_response, read_answer
from gateway.dialects.openai_responses.stream import StreamTap, classify
from gateway.dialects.provider_errors import error_text

CALLER = CallerCodec(
    dialect="openai_responses",
    read_head=read_head,
    decode_request=decode_request,
    encode_response=encode_response,
    make_encoder=StreamEncoder,
    encode_error=encode_error,
    encode_stream_error=encode_stream_error,
    stream_type=lambda _arrival: b"text/event-stream; charset=utf-8",
    keep_alive=b": keep-alive\n\n",
    explanation=b": omniroute.explain %s\n\n",  # a comment: clients hand every event on to their users
    progress=b'event: progress\ndata: {%s,"type":"progress"}\n\n',
)

PROVIDER = ProviderCodec(
    dialect="openai_responses",
    path=lambda _model, _is_stream: "/responses",
    classify=classify,
    read_answer=read_answer,
    make_tap=StreamTap,
    pass_on=pass_on,
    encode_request=encode_request,
    decode_response=decode_response,
    make_decoder=StreamDecoder,
    error_text=error_text,
)
