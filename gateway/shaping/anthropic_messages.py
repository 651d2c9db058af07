"""Messages: where things stand, and what thinking is not taken with."""

from collections.abc import Iterator

from gateway.shaping.access import (
    Json,
    Measures,
    Spot,
    Whose,
    content_at,
    last_user_chars,
    length,
    objects,
    strings_in,
    text_at,
)
from gateway.shaping.openai_chat import ROLES

LEAST_BUDGET = 1024
ROOM = 8192
"""Tokens for the answer itself, beside those for thinking."""


class AnthropicMessages:
    parameters = {
        "temperature": ("temperature",), "top_p": ("top_p",), "top_k": ("top_k",), "max_tokens": ("max_tokens",),
        "stop": ("stop_sequences",),
    }  # fmt: skip

    def spots(self, body: Json) -> Iterator[Spot]:
        yield from content_at("system", body, "system")
        for message in objects(body.get("messages")):
            whose = ROLES.get(message.get("role"), "user")
            yield from text_at(whose, message, "content")
            yield from self._blocks(whose, message.get("content"))

    def answer_spots(self, answer: Json) -> Iterator[Spot]:
        yield from self._blocks("assistant", answer.get("content"))

    def _blocks(self, whose: Whose, content: object) -> Iterator[Spot]:
        for block in objects(content):
            kind = block.get("type")
            if kind == "tool_result":
                yield from text_at("tool", block, "content")
                yield from self._blocks("tool", block.get("content"))
            elif kind == "thinking":
                yield from text_at("reasoning", block, "thinking")
            elif kind == "tool_use":
                if "input" in block:
                    yield from strings_in(block, "input")
            elif kind == "document" and isinstance(block.get("source"), dict):
                if block["source"].get("type") == "text":
                    yield from text_at(whose, block["source"], "data")
                yield from self._blocks(whose, block["source"].get("content"))
            else:
                yield from text_at(whose, block, "text")

    def prepend_system(self, body: Json, prompt: str) -> None:
        system = body.get("system")
        if isinstance(system, list):
            system.insert(0, {"type": "text", "text": prompt})
        else:
            body["system"] = f"{prompt}\n\n{system}" if isinstance(system, str) and system else prompt

    def measures(self, body: Json) -> Measures:
        return Measures(length(body.get("messages")), length(body.get("tools")), last_user_chars(self.spots(body)))

    def parameter_holder(self, body: Json) -> Json | None:
        return body

    def has_thinking(self, body: Json) -> bool:
        return body.get("thinking") is not None

    def drop_thinking(self, body: Json) -> None:
        body.pop("thinking", None)
        output = body.get("output_config")
        if isinstance(output, dict):
            output.pop("effort", None)

    def set_thinking(self, body: Json, budget: int, most_output: int) -> None:
        """Where thinking cannot be had (a forced tool, a tool turn without signed thoughts) nothing is changed."""
        if not budget:
            body["thinking"] = {"type": "disabled"}
            return
        if not self.has_thinking(body) and _is_refused(body):
            return
        if most_output:
            budget = min(budget, most_output - ROOM)
        budget = max(budget, LEAST_BUDGET)
        body["thinking"] = {"type": "enabled", "budget_tokens": budget}
        most = body.get("max_tokens")
        if not isinstance(most, int) or most <= budget:
            body["max_tokens"] = budget + ROOM
        if body.get("temperature") not in (None, 1):
            del body["temperature"]
        body.pop("top_k", None)


def _is_refused(body: Json) -> bool:
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") in ("any", "tool"):
        return True
    messages = list(objects(body.get("messages")))
    if messages and messages[-1].get("role") == "assistant":
        return True
    last = next((one for one in reversed(messages) if one.get("role") == "assistant"), {})
    kinds = [block.get("type") for block in objects(last.get("content"))]
    return "tool_use" in kinds and kinds[0] not in ("thinking", "redacted_thinking")
