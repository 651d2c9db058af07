"""A request of the hub as the body for a provider of this dialect.

Only what nearly every provider of the dialect takes is written as it is; the rest needs a quirk of the provider's data
file by name, or is left out with a note. Quirks: `max_completion_tokens`, `custom_tools`, `cache_control`,
`replays_reasoning`, `no_structured_output`, `refuse_stream_options`, `openai_fields` (`verbosity`, `prompt_cache_key`,
`allowed_tools`), `every_effort` (else low, medium and high are all it knows, and `none` is not said) and `nine_char_ids` (Mistral's call ids).
"""

import hashlib
from typing import Any

from gateway.dialects.codec import Destination, Encoded, Unsupported
from gateway.dialects.openai_chat.asked_tools import LEGACY_NOTE
from gateway.dialects.openai_chat.sent_tools import output_format, write_tools
from gateway.dialects.openai_chat.sent_turns import write_messages
from gateway.dialects.reasoning import effort_of
from gateway.dialects.surrogates import json_text
from gateway.dialects.tool_names import OPENAI_NAMES, WireNames
from gateway.dialects.turns import unique_calls
from gateway.domain.chat import ChatRequest, Effort, Reasoning

MAX_STOPS = 4
_MAX_USER_CHARS = 64
"""OpenAI refuses more; others take 128. Claude Code's id of a user has 150."""
_TIERS = {"standard_only": "default"}
_TO_THREE: dict[Effort, Effort] = {"minimal": "low", "xhigh": "high", "max": "high"}

Json = dict[str, Any]


def encode_request(request: ChatRequest, destination: Destination) -> Encoded:
    """The body. Raises Unsupported for several answers, and for tools and files that this dialect cannot name."""
    if request.n > 1:
        raise Unsupported("several answers (n) cannot be translated", "n")
    notes = [note for note in request.notes if note != LEGACY_NOTE]
    quirks = destination.quirks
    names = WireNames(request, OPENAI_NAMES, keeps_custom="custom_tools" in quirks)
    messages = write_messages(unique_calls(request.turns), names, destination, notes)
    body: Json = {"model": destination.model, "messages": messages}
    write_tools(body, request, names, quirks, notes)
    _write_limits(body, request, destination, notes)
    _write_reasoning(body, request.reasoning, quirks, notes)
    _write_format(body, request, quirks, notes)
    _write_rest(body, request, quirks, notes)
    if request.is_stream:
        body["stream"] = True
        if "refuse_stream_options" not in quirks:
            body["stream_options"] = {"include_usage": True}
    return Encoded(json_text(body), tuple(dict.fromkeys(notes)), names.restore)


def _write_limits(body: Json, request: ChatRequest, destination: Destination, notes: list[str]) -> None:
    limit = request.max_tokens
    if limit is not None:
        if 0 < destination.max_output < limit:
            limit = destination.max_output
            notes.append("max_tokens")
        name = "max_completion_tokens" if "max_completion_tokens" in destination.quirks else "max_tokens"
        body[name] = limit
    for field in ("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty"):
        value = getattr(request, field)
        if value is not None:
            body[field] = value
    if request.stop:
        body["stop"] = list(request.stop[:MAX_STOPS])
        if len(request.stop) > MAX_STOPS:
            notes.append("stop")
    if request.top_k is not None:
        notes.append("top_k")
    if request.logprobs is not None:
        notes.append("logprobs")


def _write_reasoning(body: Json, reasoning: Reasoning | None, quirks: frozenset[str], notes: list[str]) -> None:
    """An effort as it is, a budget as the step below it. Adaptive thinking is what such models do unasked."""
    if reasoning is None:
        return
    effort = reasoning.effort
    if effort is None and reasoning.budget is not None and reasoning.budget >= 0:
        effort = effort_of(reasoning.budget)
    if effort is None:
        return
    if "every_effort" not in quirks:
        known = _TO_THREE.get(effort, effort)
        if known != effort or known == "none":
            notes.append("reasoning effort")
        if known == "none":
            return
        effort = known
    body["reasoning_effort"] = effort


def _write_format(body: Json, request: ChatRequest, quirks: frozenset[str], notes: list[str]) -> None:
    if request.output_format is None:
        return
    if "no_structured_output" in quirks:
        notes.append("structured output")
        return
    body["response_format"] = output_format(request.output_format)


def _write_rest(body: Json, request: ChatRequest, quirks: frozenset[str], notes: list[str]) -> None:
    if request.user:
        body["user"] = _short(request.user)
    if request.service_tier:
        body["service_tier"] = _TIERS.get(request.service_tier, request.service_tier)
    if request.metadata:
        notes.append("metadata")
    for name, value in (("verbosity", request.verbosity), ("prompt_cache_key", request.cache_key)):
        if value and "openai_fields" in quirks:
            body[name] = value
        elif value:
            notes.append(name)


def _short(user: str) -> str:
    """The same for the same user, and in no way readable, when it is too long."""
    return user if len(user) <= _MAX_USER_CHARS else hashlib.sha256(user.encode("utf-8", "replace")).hexdigest()
