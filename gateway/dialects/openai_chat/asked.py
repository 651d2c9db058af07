"""A caller's request as the hub has it: everything but turns and tools, which have files of their own."""

from typing import Any

import msgspec

from gateway.dialects.codec import Arrival
from gateway.dialects.envelope import Envelopes
from gateway.dialects.fields import boolean, number, wrong_type
from gateway.dialects.openai_chat.asked_tools import is_parallel, read_choice, read_tools
from gateway.dialects.openai_chat.asked_turns import read_turns
from gateway.dialects.openai_chat.fields import (
    Json,
    a_list,
    an_object,
    optional_int,
    optional_text,
    text_in,
    wrong,
)
from gateway.dialects.openai_chat.request import read_head
from gateway.dialects.routing_fields import MAX_MODEL_CHARS
from gateway.dialects.turns import check_calls
from gateway.domain.chat import ChatRequest, Effort, OutputFormat, Reasoning
from gateway.domain.errors import BadRequest

_EFFORTS: dict[str, Effort] = {word: word for word in ("none", "minimal", "low", "medium", "high", "xhigh", "max")}
_decode = msgspec.json.Decoder().decode
_NO_EFFORT = {"default", "auto"}
"""Groq's and others' words for "the model decides"."""

_READ = frozenset({
    "model", "messages", "stream", "stream_options", "tools", "functions", "tool_choice", "function_call",
    "parallel_tool_calls", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "stop", "n", "seed",
    "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "response_format", "reasoning_effort",
    "reasoning", "thinking", "enable_thinking", "thinking_budget", "verbosity", "service_tier", "prompt_cache_key",
    "user", "safety_identifier", "metadata", "modalities", "audio", "web_search_options",
})  # fmt: skip
_FEW = frozenset({
    "model", "messages", "stream", "stream_options", "temperature", "top_p", "max_tokens", "max_completion_tokens", "seed",
    "user",
})  # fmt: skip


def decode_request(body: bytes, arrival: Arrival, envelopes: Envelopes) -> ChatRequest:
    """The whole request. Raises BadRequest that names the place; what the hub cannot hold is noted by its name."""
    try:
        fields = _decode(body)
        return _request(fields, _model(fields) or read_head(body, arrival).model, arrival, envelopes)
    except RecursionError as error:
        raise BadRequest("the request body is nested too deeply", code="invalid_json") from error
    except (ValueError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise BadRequest(f"the request body is not valid JSON: {error}", code="invalid_json") from error


def _model(fields: object) -> str:
    """The model of a request that has what `read_head` looks for; empty where it has something to say."""
    if not isinstance(fields, dict) or not isinstance(fields.get("messages"), list):
        return ""
    model, stream = fields.get("model"), fields.get("stream")
    if not isinstance(model, str) or len(model) > MAX_MODEL_CHARS or not model.isprintable():
        return ""
    return model if stream is None or isinstance(stream, bool) else ""


def _request(fields: Json, model: str, arrival: Arrival, envelopes: Envelopes) -> ChatRequest:
    notes: list[str] = []
    if fields.keys() <= _FEW:
        return _request_of_few(fields, model, arrival, envelopes, notes)
    _refuse_audio(fields, notes)
    options = fields.get("stream_options")
    tools, built_in_tools = read_tools(fields, notes)
    messages = a_list(fields.get("messages"), "messages")
    if not messages:
        raise wrong("messages", "must not be empty")
    request = ChatRequest(
        model=model,
        turns=read_turns(messages, envelopes, notes),
        is_stream=fields.get("stream") is True,
        tools=tools,
        built_in_tools=built_in_tools,
        tool_choice=read_choice(fields),
        is_parallel=is_parallel(fields, notes),
        max_tokens=optional_int(fields, "max_completion_tokens", least=1)
        or optional_int(fields, "max_tokens", least=1),
        temperature=number(fields, "temperature"),
        top_p=number(fields, "top_p"),
        top_k=optional_int(fields, "top_k"),
        stop=_stop(fields),
        n=optional_int(fields, "n", least=1) or 1,
        seed=optional_int(fields, "seed"),
        presence_penalty=number(fields, "presence_penalty"),
        frequency_penalty=number(fields, "frequency_penalty"),
        logprobs=(optional_int(fields, "top_logprobs", least=0) or 0) if boolean(fields, "logprobs") else None,
        output_format=_output_format(fields),
        reasoning=_reasoning(fields),
        verbosity=optional_text(fields, "verbosity"),
        service_tier=optional_text(fields, "service_tier"),
        cache_key=optional_text(fields, "prompt_cache_key"),
        session=arrival.session,
        user=optional_text(fields, "user") or optional_text(fields, "safety_identifier"),
        metadata=None if fields.get("metadata") is None else an_object(fields["metadata"], "metadata"),
        includes_usage=isinstance(options, dict) and options.get("include_usage") is True,
        notes=(*notes, *_unread(fields)),
    )
    check_calls(request)
    return request


def _request_of_few(fields: Json, model: str, arrival: Arrival, envelopes: Envelopes, notes: list[str]) -> ChatRequest:
    """The same for the many requests that say no more than this: a third of the work."""
    messages, options = a_list(fields.get("messages"), "messages"), fields.get("stream_options")
    if not messages:
        raise wrong("messages", "must not be empty")
    request = ChatRequest(
        model=model,
        turns=read_turns(messages, envelopes, notes),
        is_stream=fields.get("stream") is True,
        max_tokens=optional_int(fields, "max_completion_tokens", least=1)
        or optional_int(fields, "max_tokens", least=1),
        temperature=number(fields, "temperature"),
        top_p=number(fields, "top_p"),
        seed=optional_int(fields, "seed"),
        session=arrival.session,
        user=optional_text(fields, "user"),
        includes_usage=isinstance(options, dict) and options.get("include_usage") is True,
        notes=tuple(notes),
    )
    check_calls(request)
    return request


def _unread(fields: Json) -> list[str]:
    """Fields that say something and were not read; `logit_bias`, `prediction` and `store` are among them."""
    return [name for name, value in fields.items() if name not in _READ and value not in (None, False, [], {})]


def _refuse_audio(fields: Json, notes: list[str]) -> None:
    """An answer in sound cannot be had from another dialect."""
    modalities = a_list(fields.get("modalities") or [], "modalities")
    if "audio" in modalities:
        raise BadRequest("audio output is not possible here", code="unsupported_parameter", param="modalities")
    if set(modalities) - {"text"}:
        notes.append("modalities")


def _stop(fields: Json) -> tuple[str, ...]:
    stop = fields.get("stop")
    if stop is None:
        return ()
    words = [stop] if isinstance(stop, str) else a_list(stop, "stop")
    if not all(isinstance(word, str) for word in words):
        raise wrong_type("stop", "a string or an array of strings")
    return tuple(word for word in words if word)


def _output_format(fields: Json) -> OutputFormat | None:
    value = fields.get("response_format")
    if value is None:
        return None
    entry = an_object(value, "response_format")
    kind = text_in(entry, "type", "response_format")
    if kind == "text":
        return None
    if kind == "json_object":
        return OutputFormat()
    if kind != "json_schema":
        raise wrong("response_format.type", "must be text, json_object or json_schema")
    where = "response_format.json_schema"
    shape = an_object(entry.get("json_schema"), where)
    schema = shape.get("schema")
    strict = shape.get("strict")
    return OutputFormat(
        schema=None if schema is None else an_object(schema, f"{where}.schema"),
        name=optional_text(shape, "name", where),
        description=optional_text(shape, "description", where),
        strict=strict if isinstance(strict, bool) else None,
    )


def _reasoning(fields: Json) -> Reasoning | None:
    """OpenAI's word, OpenRouter's object, or the switches of Z.ai, DeepSeek and Alibaba; the first one found counts."""
    effort = fields.get("reasoning_effort")
    if effort is not None:
        return _of_effort(effort, "reasoning_effort")
    if fields.get("reasoning") is not None:
        return _of_object(an_object(fields["reasoning"], "reasoning"))
    if isinstance(fields.get("thinking"), dict):
        return _of_switch(fields["thinking"])
    switch = boolean(fields, "enable_thinking")
    if switch is None:
        return None
    return Reasoning(budget=(optional_int(fields, "thinking_budget", least=1) or -1) if switch else 0)


def _of_effort(value: object, param: str, shows: bool | None = None) -> Reasoning | None:
    word = value.lower() if isinstance(value, str) else ""
    if word in _NO_EFFORT:
        return None
    if word not in _EFFORTS:
        raise wrong(param, f"must be one of {', '.join(_EFFORTS)}")
    return Reasoning(effort=_EFFORTS[word], shows=shows)


def _of_object(entry: Json) -> Reasoning | None:
    exclude = entry.get("exclude")
    shows = None if exclude is None else exclude is not True
    if entry.get("effort") is not None:
        return _of_effort(entry["effort"], "reasoning.effort", shows)
    budget = optional_int(entry, "max_tokens", least=0)
    if budget is not None:
        return Reasoning(budget=budget, shows=shows)
    switch: Any = entry.get("enabled")
    if switch is False:
        return Reasoning(effort="none")
    return Reasoning(budget=-1, shows=shows) if switch or shows is not None else None


def _of_switch(entry: Json) -> Reasoning | None:
    kind = entry.get("type")
    if kind == "disabled":
        return Reasoning(budget=0)
    if kind == "adaptive":
        return Reasoning(is_adaptive=True)
    return Reasoning(budget=optional_int(entry, "budget_tokens", least=0) or -1) if kind == "enabled" else None
