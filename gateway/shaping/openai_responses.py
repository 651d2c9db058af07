"""Responses: where things stand."""

from collections.abc import Iterator

from gateway.shaping.access import (
    Json,
    Measures,
    Spot,
    content_at,
    effort_for,
    last_user_chars,
    length,
    objects,
    text_at,
)
from gateway.shaping.openai_chat import ROLES


class OpenAiResponses:
    parameters = {"temperature": ("temperature",), "top_p": ("top_p",), "max_tokens": ("max_output_tokens",)}

    def spots(self, body: Json) -> Iterator[Spot]:
        yield from text_at("system", body, "instructions")
        yield from text_at("user", body, "input")
        for item in objects(body.get("input")):
            yield from self._item(item)

    def answer_spots(self, answer: Json) -> Iterator[Spot]:
        yield from text_at("assistant", answer, "output_text")
        for item in objects(answer.get("output")):
            yield from self._item(item)

    def _item(self, item: Json) -> Iterator[Spot]:
        kind = item.get("type", "message")
        if kind == "message":
            yield from content_at(ROLES.get(item.get("role"), "user"), item, "content")
        elif kind == "reasoning":
            yield from content_at("reasoning", item, "summary")
            yield from content_at("reasoning", item, "content")
        elif isinstance(kind, str) and kind.endswith("_output"):
            yield from content_at("tool", item, "output")
        else:
            yield from text_at("arguments", item, "arguments", "input")

    def prepend_system(self, body: Json, prompt: str) -> None:
        instructions = body.get("instructions")
        body["instructions"] = (
            f"{prompt}\n\n{instructions}" if isinstance(instructions, str) and instructions else prompt
        )

    def measures(self, body: Json) -> Measures:
        messages = 1 if isinstance(body.get("input"), str) else length(body.get("input"))
        return Measures(messages, length(body.get("tools")), last_user_chars(self.spots(body)))

    def parameter_holder(self, body: Json) -> Json | None:
        return body

    def has_thinking(self, body: Json) -> bool:
        reasoning = body.get("reasoning")
        return isinstance(reasoning, dict) and reasoning.get("effort") is not None

    def drop_thinking(self, body: Json) -> None:
        body.pop("reasoning", None)

    def set_thinking(self, body: Json, budget: int, most_output: int) -> None:
        reasoning = body.get("reasoning")
        body["reasoning"] = {**(reasoning if isinstance(reasoning, dict) else {}), "effort": effort_for(budget)}
