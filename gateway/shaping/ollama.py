"""Ollama: messages as in Chat Completions, parameters in `options`, `think`."""

from collections.abc import Iterator

from gateway.shaping.access import Json, Spot, effort_for, objects, strings_in, text_at
from gateway.shaping.openai_chat import ROLES, OpenAiChat


class Ollama(OpenAiChat):
    parameters = {
        "temperature": ("temperature",), "top_p": ("top_p",), "top_k": ("top_k",), "stop": ("stop",), "seed": ("seed",),
        "max_tokens": ("num_predict",),
        "presence_penalty": ("presence_penalty",), "frequency_penalty": ("frequency_penalty",),
    }  # fmt: skip

    def spots(self, body: Json) -> Iterator[Spot]:
        for message in objects(body.get("messages")):
            yield from self._message(message)

    def answer_spots(self, answer: Json) -> Iterator[Spot]:
        if isinstance(answer.get("message"), dict):
            yield from self._message(answer["message"])

    def _message(self, message: Json) -> Iterator[Spot]:
        yield from text_at(ROLES.get(message.get("role"), "user"), message, "content")
        yield from text_at("reasoning", message, "thinking")
        for call in objects(message.get("tool_calls")):
            function = call.get("function")
            if isinstance(function, dict) and "arguments" in function:
                yield from strings_in(function, "arguments")

    def parameter_holder(self, body: Json) -> Json | None:
        if body.get("options") is None:
            body["options"] = {}
        options = body["options"]
        return options if isinstance(options, dict) else None

    def has_thinking(self, body: Json) -> bool:
        return body.get("think") is not None

    def drop_thinking(self, body: Json) -> None:
        body.pop("think", None)

    def set_thinking(self, body: Json, budget: int, most_output: int) -> None:
        body["think"] = effort_for(budget) if budget else False
