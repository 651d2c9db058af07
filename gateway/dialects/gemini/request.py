"""Gemini requests: what routing must know, the way to a provider of this dialect, and the way in and out of the hub.

Model and streamed-or-not stand in the path (`Arrival`); the body goes on to a provider of this dialect as it came.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.dialects.codec import UNREADABLE, Arrival, Destination, Encoded, Head, Unsupported
from gateway.dialects.envelope import Envelopes
from gateway.dialects.fields import wrong_type
from gateway.dialects.gemini.config import read_config, write_config
from gateway.dialects.gemini.contents_in import ContentsReader
from gateway.dialects.gemini.contents_out import ContentsWriter
from gateway.dialects.gemini.fields import Place, camel
from gateway.dialects.gemini.tools import read_tools, write_choice, write_tools
from gateway.dialects.routing_fields import checked_model, decoded, is_zero, unreadable
from gateway.dialects.splice import drop_members
from gateway.dialects.tool_names import GEMINI_NAMES, WireNames
from gateway.dialects.turns import check_calls
from gateway.domain.chat import ChatRequest, Turn
from gateway.domain.errors import BadRequest

_KNOWN = frozenset({
    "contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "model", "serviceTier",
})  # fmt: skip
_MOST_NOTES = 50


class _Body(msgspec.Struct, frozen=True):
    """The routing fields only, in both spellings; msgspec skips the rest."""

    contents: msgspec.Raw = msgspec.Raw()
    generationConfig: Any = None  # noqa: N815 - beside its other spelling
    generation_config: Any = None


_decode_head = msgspec.json.Decoder(_Body).decode
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


def read_head(body: bytes, arrival: Arrival) -> Head:
    """The routing fields. Raises BadRequest, naming what is wrong."""
    model = arrival.model.removeprefix("models/")
    if not model:
        raise BadRequest(
            "the path must name a model: /models/{model}:generateContent", code="missing_model", param="model"
        )
    checked_model(model)
    try:
        fields = _decode_head(body)
    except UNREADABLE as error:
        raise unreadable(error) from error
    start = memoryview(fields.contents)
    if not start or start[0] in b"n":
        raise BadRequest("you must provide contents", code="missing_contents", param="contents")
    if start[0] not in b"[{":
        raise BadRequest("contents must be an array", code="invalid_contents", param="contents")
    config = fields.generationConfig or fields.generation_config
    return Head(
        model=model,
        is_stream=arrival.is_stream is True,
        is_reasoning=_is_reasoning(config),
        is_cold=isinstance(config, dict) and is_zero(config.get("temperature")),
    )


def pass_on(  # what all dialects are given
    body: bytes,
    head: Head,  # noqa: ARG001
    model: str,  # noqa: ARG001
    *,
    asks_usage: bool,  # noqa: ARG001
    drop_fields: tuple[str, ...] = (),
) -> bytes:
    """The body for a provider of this dialect: as it came, for the model stands in the path."""
    return drop_members(body, drop_fields) if drop_fields else body


def decode_request(body: bytes, arrival: Arrival, envelopes: Envelopes) -> ChatRequest:
    """Raises BadRequest with the place (`contents[3].parts[1].inlineData.data`)."""
    request = chat_request(read_object(body), arrival, envelopes)
    check_calls(request)
    return request


def read_object(body: bytes) -> Place:
    return Place(decoded(body, _decode), "")


def chat_request(place: Place, arrival: Arrival, envelopes: Envelopes) -> ChatRequest:
    """A request whose JSON is read. Calls and responses are paired, but not checked to be complete."""
    reader = ContentsReader(envelopes)
    try:
        turns = tuple(_turns(place, reader))
        box = read_tools(place)
        notes = [*box.notes]
        config = read_config(place, notes)
    except RecursionError as error:
        raise BadRequest("the request is nested too deeply", code="invalid_json") from error
    if not any(turn.role != "system" for turn in turns):
        raise BadRequest("you must provide contents", code="missing_contents", param="contents")
    unknown = [name[:64] for name, value in place.value.items() if value is not None and camel(name) not in _KNOWN]
    return ChatRequest(
        model=arrival.model.removeprefix("models/"),
        turns=turns,
        is_stream=arrival.is_stream is True,
        tools=tuple(box.tools),
        built_in_tools=tuple(box.built_in),
        tool_choice=box.choice,
        service_tier=place.text("serviceTier"),
        session=arrival.session,
        notes=tuple([*unknown, *notes, *reader.notes][:_MOST_NOTES]),
        **config,
    )


def encode_request(request: ChatRequest, destination: Destination) -> Encoded:
    """A body for a Gemini provider; its model goes into the path. Raises Unsupported."""
    if request.n > 1:
        raise Unsupported("this provider gives one answer at a time", param="n")
    names = WireNames(request, GEMINI_NAMES)
    writer = ContentsWriter(names, destination)
    contents, system = writer.write(request)
    tools, notes = write_tools(request, names, destination)
    config = write_config(request, destination, notes)
    body: dict[str, Any] = {}
    if system is not None:
        body["systemInstruction"] = system
    body["contents"] = contents
    if tools:
        body["tools"] = tools
    if (choice := write_choice(request, names)) is not None:
        body["toolConfig"] = choice
    if config:
        body["generationConfig"] = config
    notes = [*writer.notes, *notes, *_unsaid(request)]
    return Encoded(body=_encode(body), notes=tuple(notes[:_MOST_NOTES]), names=names.restore)


def _turns(place: Place, reader: ContentsReader) -> Iterator[Turn]:
    if (system := reader.system(place)) is not None:
        yield system
    for number, content in enumerate(place.listed("contents")):
        at = f"{place.path('contents')}[{number}]"
        if not isinstance(content, dict):
            raise wrong_type(at, "an object")
        yield reader.turn(Place(content, at))


def _is_reasoning(config: object) -> bool:
    """Whether thinking was asked for. Off are a budget of 0 and the least level."""
    if not isinstance(config, dict):
        return False
    thinking = config.get("thinkingConfig", config.get("thinking_config"))
    if not isinstance(thinking, dict):
        return False
    budget = thinking.get("thinkingBudget", thinking.get("thinking_budget"))
    level = thinking.get("thinkingLevel", thinking.get("thinking_level"))
    if level is not None:
        return str(level).upper() not in ("MINIMAL", "THINKING_LEVEL_UNSPECIFIED")
    if budget is not None:
        return bool(budget != 0)
    return thinking.get("includeThoughts", thinking.get("include_thoughts")) is True


def _unsaid(request: ChatRequest) -> Iterator[str]:
    """Fields that this dialect has no word for."""
    if request.logprobs is not None:
        yield "logprobs"
    if request.is_parallel is False:
        yield "parallel_tool_calls"
    for name in ("verbosity", "service_tier", "user", "metadata"):
        if getattr(request, name):
            yield name
