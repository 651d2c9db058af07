"""Chat Completions requests: what the gateway must know of one, and how it goes on to a provider of this dialect."""

from typing import Any

import msgspec

from gateway.dialects.codec import Arrival, Head
from gateway.dialects.routing_fields import ChatFields, is_zero, most_tokens, read_chat_fields
from gateway.dialects.splice import append_member, drop_members, replace_member, replace_model


class _StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool | None = None


class _Body(ChatFields, frozen=True):
    stream_options: Any = msgspec.UNSET
    reasoning_effort: Any = None
    max_completion_tokens: Any = None


ChatHead = Head
"""The name of it here."""

_decode = msgspec.json.Decoder(_Body).decode


def read_head(body: bytes, _arrival: Arrival | None = None) -> Head:
    """Read the routing fields of a request; all of them are in the body. Raises BadRequest, naming what is wrong."""
    fields = read_chat_fields(body, _decode)
    options = fields.stream_options
    return Head(
        model=fields.model,
        is_stream=fields.stream is True,
        wants_usage=isinstance(options, dict) and options.get("include_usage") is True,
        has_stream_options=options is not msgspec.UNSET,
        is_reasoning=fields.reasoning_effort not in (None, "none", "minimal"),
        is_cold=fields.temperature is not None and is_zero(fields.temperature),
        max_output=most_tokens(
            fields.max_tokens if fields.max_completion_tokens is None else fields.max_completion_tokens
        ),
    )


def pass_on(body: bytes, head: Head, model: str, *, asks_usage: bool, drop_fields: tuple[str, ...] = ()) -> bytes:
    """The body for a provider of this dialect: the model's name changes, and a stream asks for its usage.

    `asks_usage` is False for a target known to refuse `stream_options`.
    """
    body = replace_model(body, head.model, model)
    if head.is_stream and asks_usage and not head.wants_usage:
        if head.has_stream_options:
            body = replace_member(body, "stream_options", _with_usage(_decode(body).stream_options))
        else:
            body = append_member(body, "stream_options", b'{"include_usage":true}')
    if drop_fields:
        body = drop_members(body, drop_fields)
    return body


def _with_usage(options: object) -> bytes:
    """The caller's other stream options stay."""
    return msgspec.json.encode({**(options if isinstance(options, dict) else {}), "include_usage": True})
