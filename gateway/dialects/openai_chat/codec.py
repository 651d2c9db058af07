"""The two sides of Chat Completions."""

from gateway.dialects.codec import Arrival, CallerCodec, ProviderCodec
from gateway.dialects.openai_chat.answer import decode_response, encode_response
from gateway.dialects.openai_chat.asked import decode_request
from gateway.dialects.openai_chat.decoder import Decoder
from gateway.dialects.openai_chat.encoder import Encoder
from gateway.dialects.openai_chat.errors import encode_stream_error
from gateway.dialects.openai_chat.request import pass_on, read_head
from gateway.dialects.openai_chat.response import read_answer
from gateway.dialects.openai_chat.sent import encode_request
from gateway.dialects.openai_chat.stream import StreamTap, classify
from gateway.dialects.openai_errors import encode_error
from gateway.dialects.provider_errors import error_text


def _stream_type(_arrival: Arrival) -> bytes:
    return b"text/event-stream; charset=utf-8"


def _path(_model: str, _is_stream: bool) -> str:
    return "/chat/completions"


CALLER = CallerCodec(
    dialect="openai_chat",
    read_head=read_head,
    decode_request=decode_request,
    encode_response=encode_response,
    make_encoder=Encoder,
    encode_error=encode_error,
    encode_stream_error=encode_stream_error,
    stream_type=_stream_type,
    keep_alive=b": keep-alive\n\n",
    explanation=b"event: omniroute.explain\ndata: %s\n\n",  # after [DONE], where clients read no more
    progress=b'event: progress\ndata: {%s,"choices":[]}\n\n',  # clients read the choices of every event
)

PROVIDER = ProviderCodec(
    dialect="openai_chat",
    path=_path,
    classify=classify,
    read_answer=read_answer,
    make_tap=StreamTap,
    pass_on=pass_on,
    encode_request=encode_request,
    decode_response=decode_response,
    make_decoder=Decoder,
    error_text=error_text,
    terminator=b"data: [DONE]\n\n",
)
