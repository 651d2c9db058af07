"""Which dialect a text is in: a request or an answer, whole or streamed. By what only that dialect writes."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from gateway.dialects.codec import UNREADABLE
from gateway.domain.dialect import CallerDialect

Kind = Literal["request", "answer"]


class Detected(msgspec.Struct, frozen=True):
    kind: Kind
    dialect: CallerDialect


def detect(text: str) -> Detected | None:
    """None when it is in none that is known."""
    found = _object(text)
    if found is not None:
        return _of_object(found)
    for line in text.splitlines():
        found = _object(line.removeprefix("data:"))
        if found is not None and (told := _of_event(found)):
            return Detected("answer", told)
    return None


def _of_object(found: Mapping[str, Any]) -> Detected | None:
    answer = _of_answer(found) or _of_event(found)
    if answer:
        return Detected("answer", answer)
    asked = _of_request(found)
    return Detected("request", asked) if asked else None


def _of_answer(found: Mapping[str, Any]) -> CallerDialect | None:
    if "choices" in found:
        return "openai_chat"
    if "candidates" in found:
        return "gemini"
    if found.get("object") == "response" or "output" in found:
        return "openai_responses"
    if found.get("type") == "message" and "content" in found:
        return "anthropic_messages"
    return None


def _of_event(found: Mapping[str, Any]) -> CallerDialect | None:
    kind = found.get("type")
    if "choices" in found:
        return "openai_chat"
    if "candidates" in found:
        return "gemini"
    if isinstance(kind, str) and kind.startswith("response."):
        return "openai_responses"
    if kind in ("message_start", "content_block_start", "content_block_delta", "message_delta", "ping"):
        return "anthropic_messages"
    return "ollama" if isinstance(found.get("done"), bool) and "message" in found else None


def _of_request(found: Mapping[str, Any]) -> CallerDialect | None:
    if "contents" in found:
        return "gemini"
    if "input" in found:
        return "openai_responses"
    if not isinstance(found.get("messages"), list):
        return None
    if {"system", "stop_sequences", "thinking", "anthropic_version"} & set(found) or _speaks_anthropic(found):
        return "anthropic_messages"
    return "ollama" if {"options", "keep_alive", "think"} & set(found) else "openai_chat"


def _speaks_anthropic(found: Mapping[str, Any]) -> bool:
    """By the parts of its turns, or by the shape of its tools."""
    parts = [
        part.get("type")
        for turn in found["messages"]
        if isinstance(turn, dict) and isinstance(turn.get("content"), list)
        for part in turn["content"]
        if isinstance(part, dict)
    ]
    tools = found.get("tools")
    shapes = [tool for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    return any("input_schema" in tool for tool in shapes) or bool(
        {"tool_use", "tool_result", "thinking", "image"} & {part for part in parts if isinstance(part, str)}
    )


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(text.encode("utf-8", "replace"))
    except UNREADABLE:
        return None
    if isinstance(found, list) and found and isinstance(found[0], dict):
        found = found[0]  # Gemini's stream as one array
    return found if isinstance(found, dict) else None
