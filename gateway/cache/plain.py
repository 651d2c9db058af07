"""The core of a request that is nothing but text and a few numbers: the same whichever way it was read. Pure.

Most requests that are looked for in the cache are such, so a body of Chat Completions is read here in one pass, without the hub.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, structs

from gateway.dialects.codec import UNREADABLE
from gateway.domain.chat import ChatRequest, Text

Core = tuple[Any, ...]


class _Said(msgspec.Struct, forbid_unknown_fields=True):
    role: Literal["system", "user", "assistant"]
    content: Annotated[str, Meta(min_length=1)]


class _StreamOptions(msgspec.Struct, forbid_unknown_fields=True):
    include_usage: bool | None = None


class _Chat(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    messages: Annotated[list[_Said], Meta(min_length=1)]
    temperature: float | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    top_p: float | None = None
    seed: int | None = None
    user: str | None = None


_decode = msgspec.json.Decoder(_Chat).decode
_BARE = ChatRequest(model="", turns=())


def core_of_chat(body: bytes) -> Core | None:
    """Of a body of Chat Completions, if all that it says is in the core."""
    try:
        chat = _decode(body)
    except UNREADABLE:
        return None
    if chat.max_tokens is not None and chat.max_completion_tokens is not None:
        return None  # which one counts is the provider's to say
    most = chat.max_completion_tokens if chat.max_tokens is None else chat.max_tokens
    return (chat.model, chat.messages, most, chat.temperature, chat.top_p, chat.seed, chat.user or "")


def core_of_request(request: ChatRequest) -> Core | ChatRequest:
    """Of a request of any dialect; of one that says more, the request without what changes no answer."""
    alike = structs.replace(
        request,
        is_stream=False,
        session="",
        cache_key="",
        includes_usage=True,
        notes=(),
        temperature=_number(request.temperature),
        top_p=_number(request.top_p),
        presence_penalty=_number(request.presence_penalty),
        frequency_penalty=_number(request.frequency_penalty),
    )
    rest = structs.replace(
        alike, model="", turns=(), max_tokens=None, temperature=None, top_p=None, seed=None, user="",
        does_without_tools=False,
    )  # fmt: skip
    if rest != _BARE:
        return alike
    said = []
    for turn in alike.turns:
        part = turn.parts[0] if len(turn.parts) == 1 else None
        if type(part) is not Text or not part.text or part.citations or part.signature is not None:
            return alike
        said.append({"role": turn.role, "content": part.text})
    return (alike.model, said, alike.max_tokens, alike.temperature, alike.top_p, alike.seed, alike.user)


def _number(value: float | None) -> float | None:
    """0 and 0.0 are one number."""
    return None if value is None else float(value)
