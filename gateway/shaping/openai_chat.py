"""Chat Completions: where things stand."""

from collections.abc import Iterator

from gateway.shaping.access import (
    Json,
    Measures,
    Spot,
    Whose,
    content_at,
    effort_for,
    last_user_chars,
    length,
    objects,
    text_at,
)

ROLES: dict[object, Whose] = {
    "system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool",
    "function": "tool",
}  # fmt: skip


class OpenAiChat:
    parameters = {
        "temperature": ("temperature",), "top_p": ("top_p",), "top_k": ("top_k",), "stop": ("stop",), "seed": ("seed",),
        "max_tokens": ("max_tokens", "max_completion_tokens"),
        "presence_penalty": ("presence_penalty",), "frequency_penalty": ("frequency_penalty",),
    }  # fmt: skip

    def spots(self, body: Json) -> Iterator[Spot]:
        for message in objects(body.get("messages")):
            whose = ROLES.get(message.get("role"), "user")
            yield from content_at(whose, message, "content")
            yield from text_at("reasoning", message, "reasoning_content", "reasoning")
            for call in objects(message.get("tool_calls")):
                for kind, field in (("function", "arguments"), ("custom", "input")):
                    if isinstance(call.get(kind), dict):
                        yield from text_at("arguments", call[kind], field)

    def answer_spots(self, answer: Json) -> Iterator[Spot]:
        for choice in objects(answer.get("choices")):
            if isinstance(choice.get("message"), dict):
                yield from text_at("assistant", choice["message"], "refusal")
                yield from self.spots({"messages": [choice["message"]]})

    def prepend_system(self, body: Json, prompt: str) -> None:
        messages = body.get("messages")
        if not isinstance(messages, list):
            return
        for message in objects(messages):
            if message.get("role") in ("system", "developer"):
                content = message.get("content")
                if isinstance(content, list):
                    content.insert(0, {"type": "text", "text": prompt})
                else:
                    message["content"] = f"{prompt}\n\n{content}" if content else prompt
                return
        messages.insert(0, {"role": "system", "content": prompt})

    def measures(self, body: Json) -> Measures:
        return Measures(length(body.get("messages")), length(body.get("tools")), last_user_chars(self.spots(body)))

    def parameter_holder(self, body: Json) -> Json | None:
        return body

    def has_thinking(self, body: Json) -> bool:
        return any(body.get(name) is not None for name in ("reasoning_effort", "reasoning", "thinking"))

    def drop_thinking(self, body: Json) -> None:
        for name in ("reasoning_effort", "reasoning", "thinking"):
            body.pop(name, None)

    def set_thinking(self, body: Json, budget: int, most_output: int) -> None:
        self.drop_thinking(body)
        body["reasoning_effort"] = effort_for(budget)
