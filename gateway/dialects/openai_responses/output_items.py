"""What a response object holds, as callers of this dialect read it: items, and the echo of what was asked."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from gateway.dialects.codec import Stamp
from gateway.dialects.openai_responses.tools import echoed_tools, tool_choice_object
from gateway.dialects.openai_responses.usage import usage_object
from gateway.domain.chat import ChatRequest, Finish, Image, Reasoning, Text
from gateway.domain.usage import Usage

ItemStatus = Literal["in_progress", "completed", "incomplete"]

_REASONS: Mapping[Finish, str] = {"length": "max_output_tokens", "content_filter": "content_filter"}
_SUFFIXES = {"image/jpeg": "jpeg", "image/webp": "webp"}


def stamped_id(prefix: str, stamp: Stamp, index: int | None = None) -> str:
    """One id of the answer; the same for the same request and place."""
    number = "" if index is None else f"{index:04x}"
    return f"{prefix}_{stamp.request_id.replace('-', '')}{number}"


def message_item(item_id: str, content: Sequence[dict[str, Any]], status: ItemStatus) -> dict[str, Any]:
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content}


def text_part(text: str, annotations: Sequence[dict[str, object]] = ()) -> dict[str, Any]:
    return {"type": "output_text", "annotations": annotations, "logprobs": [], "text": text}


def refusal_part(text: str) -> dict[str, Any]:
    return {"type": "refusal", "refusal": text}


def reasoning_item(item_id: str, text: str, encrypted_content: str) -> dict[str, Any]:
    """The thoughts' text stands in `summary`, which every client reads. OpenAI's own items have no status."""
    item: dict[str, Any] = {
        "id": item_id,
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": text}] if text else [],
    }
    if encrypted_content:
        item["encrypted_content"] = encrypted_content
    return item


def call_item(
    item_id: str, call_id: str, name: str, arguments: str, *, is_custom: bool, namespace: str, status: ItemStatus
) -> dict[str, Any]:
    item: dict[str, Any] = {
        "id": item_id,
        "type": "custom_tool_call" if is_custom else "function_call",
        "status": status,
        "call_id": call_id,
        "name": name,
        "input" if is_custom else "arguments": arguments,
    }
    if namespace:
        item["namespace"] = namespace
    return item


def image_item(item_id: str, image: Image, status: str) -> dict[str, Any]:
    item: dict[str, Any] = {"id": item_id, "type": "image_generation_call", "status": status}
    if image.data:
        item |= {"result": image.data, "output_format": _SUFFIXES.get(image.media_type, "png")}
    return item


def response_object(stamp: Stamp) -> dict[str, Any]:
    """A response in progress. `status`, `output`, `usage` and the details of its end change as it goes on."""
    return {
        "id": stamped_id("resp", stamp),
        "object": "response",
        "created_at": stamp.created_at,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": stamp.model,
        "output": [],
        "usage": None,
        **_echo(stamp.request),
    }


def _echo(request: ChatRequest | None) -> dict[str, Any]:
    """What was asked, with the documented defaults. Clients with strict types need every one of these."""
    asked = request or ChatRequest(model="", turns=())
    first = asked.turns[0] if asked.turns else None
    instructions = "\n\n".join(part.text for part in first.parts if isinstance(part, Text)) if first else ""
    settings: dict[str, Any] = {"format": _echoed_format(asked)}
    if asked.verbosity:
        settings["verbosity"] = asked.verbosity
    reasoning = asked.reasoning or Reasoning()
    choice = asked.tool_choice
    return {
        "instructions": instructions if first is not None and first.role == "system" else None,
        "max_output_tokens": asked.max_tokens,
        "max_tool_calls": None,
        "metadata": asked.metadata or {},
        "parallel_tool_calls": asked.is_parallel is not False,
        "previous_response_id": None,
        "prompt_cache_key": asked.cache_key or None,
        "reasoning": {"effort": reasoning.effort, "summary": reasoning.summary or None},
        "safety_identifier": None,
        "service_tier": asked.service_tier or "default",
        "store": False,
        "temperature": 1.0 if asked.temperature is None else asked.temperature,
        "text": settings,
        "tool_choice": "auto" if choice is None else tool_choice_object(choice, asked, None),
        "tools": echoed_tools(asked),
        "top_logprobs": asked.logprobs or 0,
        "top_p": 1.0 if asked.top_p is None else asked.top_p,
        "truncation": "disabled",
        "user": asked.user or None,
    }


def _echoed_format(asked: ChatRequest) -> dict[str, Any]:
    form = asked.output_format
    if form is None:
        return {"type": "text"}
    if form.schema is None:
        return {"type": "json_object"}
    return {
        "type": "json_schema",
        "name": form.name or "response",
        "description": form.description or None,
        "schema": form.schema,
        "strict": form.strict is True,
    }


def ended(response: dict[str, Any], finish: Finish, usage: Usage) -> dict[str, Any]:
    """The response as it stands at its end."""
    reason = _REASONS.get(finish)
    return response | {
        "status": "completed" if reason is None else "incomplete",
        "incomplete_details": None if reason is None else {"reason": reason},
        "usage": usage_object(usage),
    }
