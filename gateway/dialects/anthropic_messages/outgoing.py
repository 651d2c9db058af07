"""A request of the hub → the body for a provider of this dialect."""

from typing import Any

import msgspec

from gateway.dialects.anthropic_messages.caching import Marks
from gateway.dialects.anthropic_messages.messages import encode_messages, is_prefilled, sendable, without_last_thoughts
from gateway.dialects.anthropic_messages.schemas import strict_schema
from gateway.dialects.anthropic_messages.thinking import (
    ADAPTIVE,
    NO_SAMPLING,
    Limits,
    lacks_signed_thinking,
    limits_of,
    sampling,
    wants_thinking,
)
from gateway.dialects.anthropic_messages.tools import encode_choice, encode_tools, is_forced
from gateway.dialects.codec import Destination, Encoded, Unsupported
from gateway.dialects.tool_names import ANTHROPIC_NAMES, WireNames
from gateway.dialects.turns import split_leading_system, unique_calls
from gateway.domain.chat import ChatRequest, OutputFormat, Text, Turn

NO_STRUCTURED_OUTPUT = "no_structured_output"
_TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}

_encode = msgspec.json.Encoder().encode


def encode_request(request: ChatRequest, destination: Destination) -> Encoded:
    """The body, with notes of what it could not say. Raises Unsupported for what may not be left out in silence."""
    if request.n > 1:
        raise Unsupported("Anthropic Messages gives one answer a request", "n")
    notes: list[str] = []
    names = WireNames(request, ANTHROPIC_NAMES)
    marks = Marks()
    tools, tool_marks = encode_tools(request, names, notes)
    for tool, ttl in zip(tools, tool_marks, strict=True):
        marks.add("tools", tool, ttl)
    choice = encode_choice(request, names, has_tools=bool(tools), notes=notes)
    system_texts, rest = split_leading_system(request.turns)
    turns = sendable(unique_calls(rest), destination, notes)
    obstacle = _obstacle(request, turns, destination, is_forced=is_forced(choice))
    limits = limits_of(request.reasoning, request.max_tokens, destination, obstacle, notes)
    if not limits.thinks:
        turns = without_last_thoughts(turns, notes)
    system = _system(system_texts, request.output_format, destination, marks, notes)
    body: dict[str, Any] = {"model": destination.model, "max_tokens": limits.max_tokens}
    if request.is_stream:
        body["stream"] = True
    if system:
        body["system"] = system
    if tools:
        body["tools"] = tools
    body["messages"] = encode_messages(turns, names, marks, notes)
    if choice is not None:
        body["tool_choice"] = choice
    body |= sampling(
        request.temperature,
        request.top_p,
        request.top_k,
        thinks=limits.thinks,
        is_taken=NO_SAMPLING not in destination.quirks,
        notes=notes,
    )
    body |= _settings(request, limits, destination, notes)
    marks.write(notes)
    return Encoded(body=_encode(body), notes=tuple(dict.fromkeys(notes)), names=names.restore)


def _obstacle(request: ChatRequest, turns: tuple[Turn, ...], destination: Destination, *, is_forced: bool) -> str:
    """Why this request cannot think, though it is asked to."""
    if not wants_thinking(request.reasoning):
        return ""
    if is_forced:
        return "off, since a tool is forced"
    if is_prefilled(turns):
        return "off, since the answer is begun by the caller"
    if ADAPTIVE not in destination.quirks and lacks_signed_thinking(turns):
        return "off, since a call of the history has no signed thinking"
    return ""


def _system(
    texts: tuple[Text, ...], wanted: OutputFormat | None, destination: Destination, marks: Marks, notes: list[str]
) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    for text in texts:
        if text.text.strip():
            block = {"type": "text", "text": text.text}
            blocks.append(block)
            marks.add("system", block, text.cache)
    instruction = _instruction(wanted, destination)
    if instruction:
        notes.append("output_format: asked for in the system prompt, not guaranteed")
        blocks.append({"type": "text", "text": instruction})
    return blocks


def _instruction(wanted: OutputFormat | None, destination: Destination) -> str:
    """Where the wire has no field, words ask for the form.

    A forced tool would guarantee it, but its call would have to be turned into text in the answer, and it forbids both
    thinking and the caller's own tools.
    """
    if wanted is None:
        return ""
    if wanted.schema is None:
        return "Answer with one JSON object and nothing else: no words around it, no code fence."
    if NO_STRUCTURED_OUTPUT in destination.quirks:
        schema = _encode(wanted.schema).decode()
        return (
            "Answer with JSON that fits this JSON Schema and nothing else: no words around it, no code fence.\n"
            + schema
        )
    return ""


def _settings(request: ChatRequest, limits: Limits, destination: Destination, notes: list[str]) -> dict[str, Any]:
    written: dict[str, Any] = {}
    stop = [text for text in request.stop if text.strip()]
    if len(stop) != len(request.stop):
        notes.append("stop: texts of white space only")
    if stop:
        written["stop_sequences"] = stop
    if limits.thinking is not None:
        written["thinking"] = limits.thinking
    output_config = _output_config(request.output_format, limits, destination, notes)
    if output_config:
        written["output_config"] = output_config
    if request.user and "@" in request.user:
        notes.append("user: Anthropic wants no address there")
    elif request.user:
        written["metadata"] = {"user_id": request.user}
    if request.service_tier:
        tier = _TIERS.get(request.service_tier)
        if tier is None:
            notes.append("service_tier")
        else:
            written["service_tier"] = tier
    notes += _unsayable(request)
    return written


def _output_config(
    wanted: OutputFormat | None, limits: Limits, destination: Destination, notes: list[str]
) -> dict[str, Any]:
    written: dict[str, Any] = {}
    if limits.effort:
        written["effort"] = limits.effort
    if wanted is not None and wanted.schema is not None and NO_STRUCTURED_OUTPUT not in destination.quirks:
        schema = strict_schema(wanted.schema)
        if schema != wanted.schema:
            notes.append("output_format: keywords of the schema that Anthropic does not take")
        written["format"] = {"type": "json_schema", "schema": schema}
    return written


def _unsayable(request: ChatRequest) -> list[str]:
    absent = ("seed", "presence_penalty", "frequency_penalty", "logprobs", "verbosity", "cache_key", "metadata")
    return [name for name in absent if getattr(request, name) not in (None, "", {})]
