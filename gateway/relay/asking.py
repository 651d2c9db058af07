"""What a target is asked: the caller's own bytes where both speak one dialect, else the hub's request in the target's."""

from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec

from gateway.dialects.codec import Destination, ProviderCodec, ToolName, Unsupported
from gateway.dialects.headers import forwarded_anywhere, forwarded_headers
from gateway.dialects.registry import PROVIDERS
from gateway.dialects.splice import drop_members
from gateway.domain.chat import ChatRequest, Image, Part, ToolResult, Turn
from gateway.domain.target import Connection, Target
from gateway.relay.exchange import Exchange
from gateway.upstream.fetch import Picture, PictureUnavailable

PICTURES_S = 20.0
"""For all pictures of one request."""


class Pictures(Protocol):
    """Fetches pictures by URL (`upstream/fetch.py`)."""

    async def fetch_all(self, urls: Iterable[str], *, within_s: float) -> Mapping[str, Picture]:
        """Raises PictureUnavailable."""


class Asking(msgspec.Struct, frozen=True):
    """One upstream request. `is_native`: the caller's bytes go on, and the answer's bytes go back, unchanged.

    `notes` are what could not be said, `names` the tool names to restore in the answer.
    """

    codec: ProviderCodec
    url: str
    headers: tuple[bytes, ...]
    body: bytes
    is_native: bool = True
    notes: tuple[str, ...] = ()
    names: dict[str, ToolName] = {}


def native_asking(exchange: Exchange, target: Target, *, asks_usage: bool) -> Asking | None:
    """The caller's own bytes, for a target that speaks its dialect; None when they must be written anew."""
    connection, head = target.connection, exchange.head
    dialect = exchange.caller.dialect
    if dialect == "ollama" or (dialect != connection.dialect and dialect not in connection.speaks):
        return None
    if _carries_state(exchange):
        return None
    codec = PROVIDERS[dialect]
    body = codec.pass_on(
        exchange.body, head, target.model, asks_usage=asks_usage, drop_fields=connection.drop_request_fields
    )
    if exchange.forwarded is None:
        exchange.forwarded = forwarded_headers(exchange.headers, dialect)
    return Asking(codec, _url(connection, codec, target.model, head.is_stream), exchange.forwarded, body)


async def translated_asking(exchange: Exchange, target: Target, pictures: Pictures, *, asks_usage: bool) -> Asking:
    """Raises Unsupported (another target may do it), BadRequest (the request itself makes no sense)."""
    connection, head = target.connection, exchange.head
    dialect = exchange.caller.dialect
    speaks_it = dialect != "ollama" and dialect in connection.speaks
    codec = PROVIDERS[dialect if speaks_it else connection.dialect]  # type: ignore[index]  # not ollama, then
    request = exchange.request()
    if codec.needs_picture_bytes:
        request = await _with_pictures(request, exchange, pictures)
    quirks = connection.quirks_of(target.model)
    destination = Destination(
        model=target.model,
        provider=connection.provider,
        max_output=connection.max_outputs.get(target.model, 0),
        quirks=quirks if asks_usage else quirks | {"refuse_stream_options"},
    )
    encoded = codec.encode_request(request, destination)
    body = encoded.body
    if connection.drop_request_fields:
        body = drop_members(body, connection.drop_request_fields)
    return Asking(
        codec,
        _url(connection, codec, target.model, head.is_stream),
        forwarded_anywhere(exchange.headers) + codec.headers,
        body,
        is_native=False,
        notes=tuple(dict.fromkeys(request.notes + encoded.notes)),
        names=dict(encoded.names),
    )


def _carries_state(exchange: Exchange) -> bool:
    """State of another provider in its envelope: nobody but us can read it, so such a body is written anew."""
    if exchange.carries_state is None:
        exchange.carries_state = False
        for mark in exchange.caller.envelope_marks:  # no generator: this is asked of every request
            if mark in exchange.body:
                exchange.carries_state = True
    return exchange.carries_state


def _url(connection: Connection, codec: ProviderCodec, model: str, is_stream: bool) -> str:
    url = connection.paths["chat"] if codec.dialect == connection.dialect else connection.speaks[codec.dialect]
    return url + codec.path(model, is_stream) if codec.is_model_in_path else url


async def _with_pictures(request: ChatRequest, exchange: Exchange, pictures: Pictures) -> ChatRequest:
    wanted = {part.url for turn in request.turns for part in _images(turn) if part.url and not part.data}
    if not wanted:
        return request
    missing = [url for url in wanted if url not in exchange.pictures]
    if missing:
        try:
            exchange.pictures.update(await pictures.fetch_all(missing, within_s=PICTURES_S))
        except PictureUnavailable as error:
            raise Unsupported(str(error), "image_url") from error
    turns = tuple(
        msgspec.structs.replace(turn, parts=tuple(_inlined(part, exchange.pictures) for part in turn.parts))
        for turn in request.turns
    )
    return msgspec.structs.replace(request, turns=turns)


def _images(turn: Turn) -> list[Image]:
    found = [part for part in turn.parts if isinstance(part, Image)]
    for part in turn.parts:
        if isinstance(part, ToolResult):
            found += [inner for inner in part.content if isinstance(inner, Image)]
    return found


def _inlined(part: Part, pictures: Mapping[str, tuple[str, str]]) -> Part:
    if isinstance(part, Image):
        return _with_bytes(part, pictures)
    if isinstance(part, ToolResult):
        content = tuple(_with_bytes(inner, pictures) if isinstance(inner, Image) else inner for inner in part.content)
        return msgspec.structs.replace(part, content=content)
    return part


def _with_bytes(image: Image, pictures: Mapping[str, tuple[str, str]]) -> Image:
    if image.data or image.url not in pictures:
        return image
    media_type, data = pictures[image.url]
    return msgspec.structs.replace(image, media_type=media_type, data=data, url="")
