"""The hub's request for a provider of this dialect. Nothing is ever stored there: what must survive travels in it.

Reasoning goes back only to who signed it, before what it led to; item ids are left out but for reasoning, whose
encrypted content is made for its id. Quirks: `namespaces` and `custom_tools` are written where the provider has them,
a schema of the answer is left out with a note for `no_structured_output`.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.dialects.codec import Destination, Encoded, Unsupported
from gateway.dialects.openai_responses.content import annotation_of, write_content
from gateway.dialects.openai_responses.tools import tool_choice_object, write_tools
from gateway.dialects.reasoning import effort_of
from gateway.dialects.tool_names import OPENAI_NAMES, WireNames, legal_id, wrapped
from gateway.dialects.turns import check_calls, unique_calls
from gateway.domain.chat import (
    ChatRequest,
    Image,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolKind,
    ToolResult,
    Turn,
)

LEAST_OUTPUT_TOKENS = 16
"""Fewer are refused (OpenAI's reference of `max_output_tokens`)."""

_MOST_KEY_CHARS = 64
"""Of `prompt_cache_key` and `safety_identifier`."""

_TIERS = {"standard_only": "default"}
_KNOWN_TIERS = frozenset({"auto", "default", "flex", "priority", "scale"})

_encode = msgspec.json.Encoder().encode


def encode_request(request: ChatRequest, destination: Destination) -> Encoded:
    """Raises Unsupported for what this dialect cannot say, BadRequest for calls and results that do not match."""
    _refuse(request)
    check_calls(request)
    notes: list[str] = []
    keeps_namespaces, keeps_custom = "namespaces" in destination.quirks, "custom_tools" in destination.quirks
    names = WireNames(request, OPENAI_NAMES, keeps_namespaces=keeps_namespaces, keeps_custom=keeps_custom)
    items = _Items(destination, names, notes)
    turns = unique_calls(request.turns)
    instructions = _leading_text(turns)
    for index, turn in enumerate(turns):
        if index or not instructions:
            items.add(turn, f"turns[{index}]")
    written = items.done()
    body: dict[str, Any] = {"model": destination.model}
    if instructions and written:
        body["instructions"] = instructions
    elif not written:  # the input may not be empty
        written = [_message("developer" if instructions else "user", instructions or " ")]
    body["input"] = written
    body["stream"] = request.is_stream
    body["store"] = False
    is_reasoning = items.has_reasoning or _wants_reasoning(request.reasoning)
    _put_include(body, request, is_reasoning=is_reasoning)
    _put_tools(body, request, names, destination, notes)
    _put_settings(body, request, destination, notes)
    _note_rest(request, notes)
    return Encoded(body=_encode(body), notes=tuple(dict.fromkeys(notes)), names=names.restore)


def _refuse(request: ChatRequest) -> None:
    if request.n > 1:
        raise Unsupported("this model's wire format gives one answer a request: ask with n = 1", "n")
    if request.stop:
        raise Unsupported(
            "this model's wire format knows no stop sequences: send the request without `stop`, or to another model",
            "stop",
        )


def _leading_text(turns: tuple[Turn, ...]) -> str:
    """What stands above all input: the first system turn. Later ones keep their place among the items."""
    if not turns or turns[0].role != "system" or not all(isinstance(part, Text) for part in turns[0].parts):
        return ""
    return "\n\n".join(part.text for part in turns[0].parts if isinstance(part, Text) and part.text)


class _Items:
    """Turns → input items, in their order."""

    def __init__(self, destination: Destination, names: WireNames, notes: list[str]) -> None:
        self._provider = destination.provider
        self._names = names
        self._notes = notes
        self._keeps_namespaces = "namespaces" in destination.quirks
        self._keeps_custom = "custom_tools" in destination.quirks
        self._items: list[dict[str, Any]] = []
        self._kinds: dict[str, ToolKind] = {}
        self.has_reasoning = False

    def add(self, turn: Turn, at: str) -> None:
        if turn.role == "assistant":
            self._assistant(turn.parts)
        else:
            self._others(turn, at)

    def done(self) -> list[dict[str, Any]]:
        """Reasoning that nothing of the model's follows is refused: a conversation was cut there."""
        kept: list[dict[str, Any]] = []
        for item in reversed(self._items):
            leads = kept and (kept[-1]["type"] in _MADE or kept[-1].get("role") == "assistant")
            if item["type"] != "reasoning" or leads:
                kept.append(item)
            else:
                self._notes.append("reasoning without what it led to")
        kept.reverse()
        return kept

    def _others(self, turn: Turn, at: str) -> None:
        rest: list[Part] = []
        for part in turn.parts:
            if isinstance(part, ToolResult):
                self._items.append(self._result(part, at))
            else:
                rest.append(part)
        content = write_content(rest, at)
        if content:
            role = "developer" if turn.role == "system" else "user"
            self._items.append({"type": "message", "role": role, "content": content})

    def _result(self, part: ToolResult, at: str) -> dict[str, Any]:
        kind = self._kinds.get(part.call_id, "function")
        output: Any = write_content(part.content, at)
        if part.is_error:
            self._notes.append("is_error (as text)")
            output = [{"type": "input_text", "text": "Error: "}, *output]
        if all(piece["type"] == "input_text" for piece in output) and (len(output) < 2 or part.is_error):
            output = "".join(piece["text"] for piece in output)
        return {
            "type": "custom_tool_call_output" if kind == "custom" and self._keeps_custom else "function_call_output",
            "call_id": legal_id(part.call_id),
            "output": output,
        }

    def _assistant(self, parts: Iterable[Part]) -> None:
        content: list[dict[str, Any]] = []
        for part in parts:
            if isinstance(part, Text):
                if part.text:
                    content.append(_said(part))
            elif isinstance(part, Refusal):
                content.append({"type": "refusal", "refusal": part.text})
            else:
                self._say(content)
                content = []
                self._made(part)
        self._say(content)

    def _say(self, content: list[dict[str, Any]]) -> None:
        if content:
            self._items.append({"type": "message", "role": "assistant", "content": content})

    def _made(self, part: Part) -> None:
        if isinstance(part, ToolCall):
            self._call(part)
        elif isinstance(part, Thinking):
            self._thinking(part)
        elif isinstance(part, Image):
            self._notes.append("a picture of the assistant's (as the user's)")
            self._items.append({"type": "message", "role": "user", "content": write_content([part], "")})
        else:
            self._notes.append("a file of the assistant's")

    def _call(self, part: ToolCall) -> None:
        self._kinds[part.id] = part.kind
        if part.signature is not None:
            self._notes.append("reasoning of another provider")
        name = self._names.of(part.name, part.namespace)
        item: dict[str, Any] = {"type": "function_call", "call_id": legal_id(part.id), "name": name}
        if part.kind == "function":
            item["arguments"] = part.arguments
        elif self._keeps_custom:
            item |= {"type": "custom_tool_call", "input": part.arguments}
        else:
            item["arguments"] = wrapped(part.arguments)
        if part.namespace and self._keeps_namespaces:
            item["namespace"] = part.namespace
        self._items.append(item)

    def _thinking(self, part: Thinking) -> None:
        signature = part.signature
        if signature is None or signature.dialect != "openai_responses" or not signature.data:
            self._notes.append("reasoning of another provider")
            return
        if signature.provider not in ("", self._provider):
            self._notes.append("reasoning of another provider")
            return
        self.has_reasoning = True
        summary = [{"type": "summary_text", "text": part.text}] if part.text else []
        item: dict[str, Any] = {"type": "reasoning"}
        if signature.id:
            item["id"] = signature.id
        self._items.append(item | {"summary": summary, "encrypted_content": signature.data})


_MADE = frozenset({"reasoning", "function_call", "custom_tool_call"})


def _said(part: Text) -> dict[str, Any]:
    annotations = [annotation_of(citation, len(part.text)) for citation in part.citations if citation.url]
    return {"type": "output_text", "text": part.text, "annotations": annotations}


def _message(role: str, text: str) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}


def _wants_reasoning(reasoning: Reasoning | None) -> bool:
    return reasoning is not None and reasoning.effort != "none" and reasoning.budget != 0


def _put_include(body: dict[str, Any], request: ChatRequest, *, is_reasoning: bool) -> None:
    include = ["reasoning.encrypted_content"] if is_reasoning else []
    if request.logprobs is not None:
        include.append("message.output_text.logprobs")
        if request.logprobs:
            body["top_logprobs"] = request.logprobs
    if include:
        body["include"] = include


def _put_tools(
    body: dict[str, Any], request: ChatRequest, names: WireNames, destination: Destination, notes: list[str]
) -> None:
    keeps_namespaces, keeps_custom = "namespaces" in destination.quirks, "custom_tools" in destination.quirks
    tools = write_tools(request, names, notes, keeps_namespaces=keeps_namespaces, keeps_custom=keeps_custom)
    if not tools:
        return
    body["tools"] = tools
    if request.tool_choice is not None:
        body["tool_choice"] = tool_choice_object(request.tool_choice, request, names, keeps_custom=keeps_custom)
    if request.is_parallel is not None:
        body["parallel_tool_calls"] = request.is_parallel


def _put_settings(body: dict[str, Any], request: ChatRequest, destination: Destination, notes: list[str]) -> None:
    if request.max_tokens is not None:
        body["max_output_tokens"] = _output_tokens(request.max_tokens, destination.max_output, notes)
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.top_p is not None:
        body["top_p"] = request.top_p
    settings: dict[str, Any] = {}
    if request.output_format is not None and "no_structured_output" in destination.quirks:
        notes.append("structured output")
    elif request.output_format is not None:
        settings["format"] = _format(request.output_format)
    if request.verbosity:
        settings["verbosity"] = request.verbosity
    if settings:
        body["text"] = settings
    if request.reasoning is not None and (reasoning := _reasoning(request.reasoning, notes)):
        body["reasoning"] = reasoning
    tier = _TIERS.get(request.service_tier, request.service_tier)
    if tier in _KNOWN_TIERS:
        body["service_tier"] = tier
    elif tier:
        notes.append("service_tier")
    if key := request.cache_key or request.session:
        body["prompt_cache_key"] = _short(key)
    if request.user:
        body["safety_identifier"] = _short(request.user)
    if request.metadata:
        kept = {name: value for name, value in request.metadata.items() if isinstance(value, str)}
        if len(kept) < len(request.metadata):
            notes.append("metadata")
        if kept:
            body["metadata"] = kept


def _output_tokens(asked: int, most: int, notes: list[str]) -> int:
    if asked < LEAST_OUTPUT_TOKENS:
        notes.append(f"max_output_tokens (raised to {LEAST_OUTPUT_TOKENS})")
        return LEAST_OUTPUT_TOKENS
    if 0 < most < asked:
        notes.append(f"max_output_tokens (lowered to {most})")
        return most
    return asked


def _format(form: OutputFormat) -> dict[str, Any]:
    if form.schema is None:
        return {"type": "json_object"}
    name = re.sub(r"[^a-zA-Z0-9_-]", "_", form.name)[:64] or "response"
    written: dict[str, Any] = {"type": "json_schema", "name": name, "schema": form.schema}
    if form.description:
        written["description"] = form.description
    if form.strict is not None:
        written["strict"] = form.strict
    return written


def _reasoning(reasoning: Reasoning, notes: list[str]) -> dict[str, Any]:
    written: dict[str, Any] = {}
    if reasoning.effort is not None:
        written["effort"] = reasoning.effort
    elif reasoning.budget is not None:
        notes.append("reasoning budget (as effort)")
        written["effort"] = effort_of(reasoning.budget)
    if reasoning.summary:
        written["summary"] = reasoning.summary
    elif reasoning.shows:
        written["summary"] = "auto"
    return written


def _short(text: str) -> str:
    """Longer ones are refused; a hash tells users and conversations apart as well."""
    return text if len(text) <= _MOST_KEY_CHARS else hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _note_rest(request: ChatRequest, notes: list[str]) -> None:
    notes += [name for name in ("top_k", "seed") if getattr(request, name) is not None]
    notes += [name for name in ("presence_penalty", "frequency_penalty") if getattr(request, name)]
    if request.logprobs is not None:
        notes.append("logprobs (not in the answer)")
    if _has_cache_marks(request):
        notes.append("cache_control")


def _has_cache_marks(request: ChatRequest) -> bool:
    return any(tool.cache for tool in request.tools) or any(part.cache for turn in request.turns for part in turn.parts)
