"""Requests of `POST /api/chat` → hub (source: Ollama's API documentation, `docs/api.md`).

What belongs to a machine that holds models (`keep_alive`, `num_gpu`, `num_ctx` …) means nothing here and is noted.
"""

import re
from typing import Any, Literal

import msgspec

from gateway.dialects.codec import Arrival, Head
from gateway.dialects.envelope import Envelopes
from gateway.dialects.ollama.messages import Message, turns_of
from gateway.dialects.routing_fields import ChatFields, is_zero, read_chat_fields
from gateway.dialects.turns import check_calls
from gateway.domain.chat import ChatRequest, Effort, OutputFormat, Reasoning, Tool
from gateway.domain.errors import BadRequest

_FIELDS = frozenset({"model", "messages", "tools", "format", "options", "stream", "keep_alive", "think"})
_PLACE = re.compile(r"(?s)(?P<what>.*) - at `\$\.?(?P<place>.*?)`$")

Think = bool | Effort


class _Routing(ChatFields, frozen=True):
    think: Any = None
    options: Any = None


class _Function(msgspec.Struct, frozen=True):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class _Tool(msgspec.Struct, frozen=True):
    function: _Function
    type: Literal["function"] = "function"


class _Options(msgspec.Struct, frozen=True):
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    num_predict: int | None = None
    stop: tuple[str, ...] | str | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None


class _Body(msgspec.Struct, frozen=True):
    model: str
    messages: tuple[Message, ...]
    stream: bool | None = None
    tools: tuple[_Tool, ...] | None = None
    format: dict[str, Any] | Literal["json", ""] | None = None
    options: _Options | None = None
    think: Think | None = None


class _Names(msgspec.Struct, frozen=True):
    """Which options a body names, to note those that are left out."""

    options: dict[str, msgspec.Raw] | None = None


_decode_routing = msgspec.json.Decoder(_Routing).decode
_decode_body = msgspec.json.Decoder(_Body).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_names = msgspec.json.Decoder(_Names).decode


def read_head(body: bytes, arrival: Arrival) -> Head:
    """Read the routing fields of a request. A stream is the default. Raises BadRequest, naming what is wrong."""
    del arrival
    fields = read_chat_fields(body, _decode_routing)
    return Head(
        model=fields.model,
        is_stream=fields.stream is not False,
        is_reasoning=fields.think not in (None, False, "none", "minimal"),
        is_cold=isinstance(fields.options, dict) and is_zero(fields.options.get("temperature")),
    )


def decode_request(body: bytes, arrival: Arrival, envelopes: Envelopes) -> ChatRequest:
    """A whole request. Raises BadRequest with the place in `param` (`messages[3].tool_calls[0].function.name`).

    The dialect has no place for signatures of thoughts, so there are no envelopes to open.
    """
    del envelopes
    try:
        fields = _decode_body(body)
    except msgspec.ValidationError as error:
        raise _misplaced(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"the request body is not valid JSON: {error}", code="invalid_json") from error
    except RecursionError as error:
        raise BadRequest("the request body is nested too deeply", code="invalid_json") from error
    if not fields.messages:
        raise BadRequest(
            "messages must hold a message: there is no model here to load or unload",
            code="invalid_messages",
            param="messages",
        )
    options = fields.options or _Options()
    request = ChatRequest(
        model=fields.model,
        turns=turns_of(fields.messages),
        is_stream=fields.stream is not False,
        tools=tuple(
            Tool(name=tool.function.name, description=tool.function.description or "", schema=tool.function.parameters)
            for tool in fields.tools or ()
        ),
        max_tokens=_positive(options.num_predict),
        temperature=options.temperature,
        top_p=options.top_p,
        top_k=_positive(options.top_k),
        stop=_stop(options.stop),
        seed=options.seed,
        presence_penalty=options.presence_penalty,
        frequency_penalty=options.frequency_penalty,
        output_format=_output_format(fields.format),
        reasoning=_reasoning(fields.think),
        session=arrival.session,
        notes=_left_out(body),
    )
    check_calls(request)
    return request


def _misplaced(error: msgspec.ValidationError) -> BadRequest:
    """The place stands at the end of the decoder's text: `Expected `str`, got `int` - at `$.messages[0].content``."""
    found = _PLACE.match(str(error))
    if found is None or not found["place"]:
        what = found["what"] if found else str(error)
        field = re.search(r"required field `(\w+)`", what)
        if field is not None:
            return BadRequest(f"you must provide a {field[1]} parameter", code=f"missing_{field[1]}", param=field[1])
        return BadRequest("the request body must be a JSON object", code="invalid_request_body")
    place = found["place"]
    top = re.split(r"[.\[]", place, maxsplit=1)[0]
    return BadRequest(f"{place}: {found['what']}", code=f"invalid_{top}", param=place)


def _positive(number: int | None) -> int | None:
    """Ollama's -1 (no limit), -2 (fill the context) and a `top_k` of 0 (off) all mean: not limited."""
    return number if number is not None and number > 0 else None


def _stop(stop: tuple[str, ...] | str | None) -> tuple[str, ...]:
    return (stop,) if isinstance(stop, str) else stop or ()


def _output_format(wanted: dict[str, Any] | str | None) -> OutputFormat | None:
    if isinstance(wanted, dict):
        return OutputFormat(schema=wanted)
    return OutputFormat() if wanted else None


def _reasoning(think: Think | None) -> Reasoning | None:
    """`true` asks for thoughts and does not say how many: the middle step."""
    if think is None:
        return None
    effort: Effort = think if isinstance(think, str) else "medium" if think else "none"
    return Reasoning(effort=effort, shows=effort != "none")


def _left_out(body: bytes) -> tuple[str, ...]:
    names = [name for name in _decode_fields(body) if name not in _FIELDS]
    options = _decode_names(body).options or {}
    known = _Options.__struct_fields__
    return (*names, *(f"options.{name}" for name in options if name not in known))
