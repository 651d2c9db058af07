"""Requests of callers: what routing must know of one, how it passes on, and the whole of it as the hub's.

Nothing is stored here, so whatever needs a stored conversation is refused with what to do instead. Input items are read
in `input_items.py`, tools in `tools.py`.
"""

from typing import Any

import msgspec
from msgspec import structs

from gateway.dialects.codec import UNREADABLE, Arrival, Head
from gateway.dialects.envelope import Envelopes
from gateway.dialects.fields import (
    boolean,
    integer,
    mapping,
    number,
    one_of,
    text,
    wrong_type,
)
from gateway.dialects.openai_responses.input_items import read_input
from gateway.dialects.openai_responses.tools import read_tool_choice, read_tools
from gateway.dialects.routing_fields import checked_model, decoded, is_zero, most_tokens, unreadable, wrong_stream
from gateway.dialects.splice import drop_members, replace_model
from gateway.domain.chat import ChatRequest, OutputFormat, Part, Reasoning, Text, Tool, ToolCall, Turn
from gateway.domain.errors import BadRequest

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_SILENT_EFFORTS = ("none", "minimal")

_READ = frozenset(
    {
        "model", "input", "instructions", "stream", "stream_options", "store", "include", "tools", "tool_choice",
        "parallel_tool_calls", "max_output_tokens", "temperature", "top_p", "top_logprobs", "text", "reasoning",
        "service_tier", "prompt_cache_key", "safety_identifier", "user", "metadata", "truncation", "background",
        "previous_response_id", "conversation", "prompt",
    }
)  # fmt: skip
"""Top-level fields that mean something here; every other one is noted."""

_STORED = {
    "previous_response_id": "send the items of the earlier response in `input` instead",
    "conversation": "send the items of the conversation in `input` instead",
    "prompt": "send the prompt's text in `instructions` or `input` instead",
}
"""What lives on the provider's side of another request, and what to do without it."""


class _Body(msgspec.Struct, frozen=True):
    """The routing fields only; msgspec skips the rest. They are read loosely so that an error names them."""

    model: Any = None
    stream: Any = None
    input: msgspec.Raw = msgspec.Raw()
    reasoning: Any = None
    temperature: Any = None
    max_output_tokens: Any = None


_decode_head = msgspec.json.Decoder(_Body).decode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def read_head(body: bytes, arrival: Arrival) -> Head:
    """The routing fields of a request, all in its body. Raises BadRequest, naming what is wrong."""
    del arrival
    try:
        fields = _decode_head(body)
    except UNREADABLE as error:
        raise unreadable(error) from error
    model = checked_model(fields.model)
    start = memoryview(fields.input)
    if not start or start[0] in b"n":
        raise BadRequest("you must provide an input parameter", code="missing_input", param="input")
    if start[0] not in b'"[':
        raise BadRequest("input must be a string or an array of items", code="invalid_input", param="input")
    if fields.stream is not None and not isinstance(fields.stream, bool):
        raise wrong_stream()
    reasoning = fields.reasoning
    is_reasoning = isinstance(reasoning, dict) and bool(reasoning) and reasoning.get("effort") not in _SILENT_EFFORTS
    is_cold = fields.temperature is not None and is_zero(fields.temperature)
    return Head(
        model=model,
        is_stream=fields.stream is True,
        is_reasoning=is_reasoning,
        is_cold=is_cold,
        max_output=most_tokens(fields.max_output_tokens),
    )


def pass_on(
    body: bytes, head: Head, model: str, *, asks_usage: bool = False, drop_fields: tuple[str, ...] = ()
) -> bytes:
    """The body for a provider of this dialect: the model's name changes. Usage always comes here, asked or not."""
    del asks_usage
    body = replace_model(body, head.model, model)
    return drop_members(body, drop_fields) if drop_fields else body


def decode_request(body: bytes, arrival: Arrival, envelopes: Envelopes) -> ChatRequest:
    """The whole request. Raises BadRequest with the place of what is wrong (`input[3].content[1].type`)."""
    fields = decoded(body, _decode)
    try:
        return _request(fields, arrival, envelopes)
    except RecursionError as error:
        raise BadRequest("the request body is nested too deeply", code="invalid_request_body") from error


def _request(fields: dict[str, Any], arrival: Arrival, envelopes: Envelopes) -> ChatRequest:
    notes = [name for name in fields if name not in _READ and fields[name] is not None]
    _refuse_stored(fields, notes)
    read = read_input(fields.get("input"), envelopes, notes)
    instructions = text(fields, "instructions")
    turns = ((Turn("system", (Text(text=instructions),)),) if instructions else ()) + read.turns
    if not turns:
        raise BadRequest("input must hold at least one item", code="invalid_input", param="input")
    tools, built_in_tools = read_tools(fields.get("tools"), read.tools, notes)
    turns = _with_declared_names(turns, tools)
    settings = mapping(fields, "text")
    return ChatRequest(
        model=checked_model(fields.get("model")),
        turns=turns,
        is_stream=boolean(fields, "stream") is True,
        tools=tools,
        built_in_tools=built_in_tools,
        tool_choice=read_tool_choice(fields.get("tool_choice"), notes),
        is_parallel=boolean(fields, "parallel_tool_calls"),
        max_tokens=integer(fields, "max_output_tokens", least=1),
        temperature=number(fields, "temperature"),
        top_p=number(fields, "top_p"),
        logprobs=_logprobs(fields, notes),
        output_format=_output_format(settings),
        reasoning=_reasoning(mapping(fields, "reasoning"), notes),
        verbosity=text(settings, "verbosity", "text."),
        service_tier=text(fields, "service_tier"),
        cache_key=text(fields, "prompt_cache_key"),
        session=arrival.session,
        user=text(fields, "safety_identifier") or text(fields, "user"),
        metadata=mapping(fields, "metadata") or None,
        notes=tuple(dict.fromkeys(notes)),
    )


def _with_declared_names(turns: tuple[Turn, ...], tools: tuple[Tool, ...]) -> tuple[Turn, ...]:
    """Calls of a tool that was loaded by a search have a namespace that its declaration has not."""
    declared = {(tool.namespace, tool.name) for tool in tools}

    def named(part: Part) -> Part:
        if not isinstance(part, ToolCall) or not part.namespace or (part.namespace, part.name) in declared:
            return part
        return structs.replace(part, namespace="") if ("", part.name) in declared else part

    if not any(isinstance(part, ToolCall) and part.namespace for turn in turns for part in turn.parts):
        return turns
    return tuple(Turn(turn.role, tuple(map(named, turn.parts))) for turn in turns)


def _refuse_stored(fields: dict[str, Any], notes: list[str]) -> None:
    for name, instead in _STORED.items():
        if fields.get(name) is not None:
            raise BadRequest(
                f"{name} needs a stored conversation, and nothing is stored here: {instead}",
                code="unsupported_parameter",
                param=name,
            )
    if boolean(fields, "background"):
        raise BadRequest(
            "background responses need storage, and nothing is stored here: send the request without `background`",
            code="unsupported_parameter",
            param="background",
        )
    if boolean(fields, "store"):
        notes.append("store (nothing is stored)")
    if one_of(fields, "truncation", ("auto", "disabled")) == "auto":
        notes.append("truncation")


def _logprobs(fields: dict[str, Any], notes: list[str]) -> int | None:
    include = fields.get("include")
    if include is not None and not isinstance(include, list):
        raise wrong_type("include", "an array of strings")
    wanted = [name for name in include or () if name != "reasoning.encrypted_content"]
    notes += [f"include {name}" for name in wanted if name != "message.output_text.logprobs"]
    alternatives = integer(fields, "top_logprobs")
    if "message.output_text.logprobs" in wanted:
        return alternatives or 0
    return alternatives or None


def _output_format(settings: dict[str, Any]) -> OutputFormat | None:
    form = mapping(settings, "format", "text.")
    kind = one_of(form, "type", ("text", "json_object", "json_schema"), "text.format.")
    if kind == "json_schema":
        schema = form.get("schema")
        if not isinstance(schema, dict):
            raise wrong_type("text.format.schema", "a JSON Schema object")
        return OutputFormat(
            schema=schema,
            name=text(form, "name", "text.format."),
            description=text(form, "description", "text.format."),
            strict=boolean(form, "strict", "text.format."),
        )
    return OutputFormat() if kind == "json_object" else None


def _reasoning(fields: dict[str, Any], notes: list[str]) -> Reasoning | None:
    effort: Any = one_of(fields, "effort", _EFFORTS, "reasoning.") or None
    summary = text(fields, "summary", "reasoning.") or text(fields, "generate_summary", "reasoning.")
    notes += [f"reasoning.{name}" for name in fields if name not in {"effort", "summary", "generate_summary"}]
    if effort is None and not summary:
        return None
    shows = summary != "none" if summary else None
    return Reasoning(effort=effort, shows=shows, summary="" if summary == "none" else summary)
