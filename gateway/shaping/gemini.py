"""Gemini: where things stand. Names may be written in camel case or with underscores."""

from collections.abc import Iterator

from gateway.shaping.access import Json, Measures, Spot, Whose, last_user_chars, length, objects, strings_in, text_at

MOST_BUDGET = 24_576
"""What every model that takes a budget allows."""


class Gemini:
    parameters = {
        "temperature": ("temperature",), "top_p": ("topP", "top_p"), "top_k": ("topK", "top_k"), "seed": ("seed",),
        "max_tokens": ("maxOutputTokens", "max_output_tokens"), "stop": ("stopSequences", "stop_sequences"),
        "presence_penalty": ("presencePenalty", "presence_penalty"),
        "frequency_penalty": ("frequencyPenalty", "frequency_penalty"),
    }  # fmt: skip

    def spots(self, body: Json) -> Iterator[Spot]:
        """One content may stand without a list, as one part may; a system instruction may be a string."""
        name = _name(body, "systemInstruction", "system_instruction")
        system, contents = body.get(name), body.get("contents")
        yield from text_at("system", body, name)
        if isinstance(system, dict):
            yield from self._parts("system", system.get("parts"))
        for content in [contents] if isinstance(contents, dict) else objects(contents):
            yield from self._parts("assistant" if content.get("role") == "model" else "user", content.get("parts"))

    def answer_spots(self, answer: Json) -> Iterator[Spot]:
        for candidate in objects(answer.get("candidates")):
            if isinstance(candidate.get("content"), dict):
                yield from self._parts("assistant", candidate["content"].get("parts"))

    def _parts(self, whose: Whose, parts: object) -> Iterator[Spot]:
        for part in [parts] if isinstance(parts, dict) else objects(parts):
            yield from text_at("reasoning" if part.get("thought") is True else whose, part, "text")
            response = part.get(_name(part, "functionResponse", "function_response"))
            if isinstance(response, dict) and "response" in response:
                for spot in strings_in(response, "response"):
                    yield spot._replace(whose="tool")
            call = part.get(_name(part, "functionCall", "function_call"))
            if isinstance(call, dict) and "args" in call:
                yield from strings_in(call, "args")

    def prepend_system(self, body: Json, prompt: str) -> None:
        name = _name(body, "systemInstruction", "system_instruction")
        system = body.get(name)
        if isinstance(system, dict):
            parts = system.get("parts")
            others = parts if isinstance(parts, list) else [parts] if isinstance(parts, dict) else []
            system["parts"] = [{"text": prompt}, *others]
        else:
            others = [{"text": system}] if isinstance(system, str) else []
            body[name] = {"parts": [{"text": prompt}, *others]}

    def measures(self, body: Json) -> Measures:
        tools = sum(
            max(1, length(tool.get(_name(tool, "functionDeclarations", "function_declarations"))))
            for tool in objects(body.get("tools"))
        )
        return Measures(length(body.get("contents")), tools, last_user_chars(self.spots(body)))

    def parameter_holder(self, body: Json) -> Json | None:
        name = _name(body, "generationConfig", "generation_config")
        if body.get(name) is None:
            body[name] = {}
        config = body[name]
        return config if isinstance(config, dict) else None

    def has_thinking(self, body: Json) -> bool:
        config = body.get(_name(body, "generationConfig", "generation_config"))
        if not isinstance(config, dict):
            return False
        thinking = config.get(_name(config, "thinkingConfig", "thinking_config"))
        return isinstance(thinking, dict) and any(
            thinking.get(name) is not None
            for name in ("thinkingBudget", "thinking_budget", "thinkingLevel", "thinking_level")
        )

    def drop_thinking(self, body: Json) -> None:
        config = body.get(_name(body, "generationConfig", "generation_config"))
        if isinstance(config, dict):
            config.pop("thinkingConfig", None)
            config.pop("thinking_config", None)

    def set_thinking(self, body: Json, budget: int, most_output: int) -> None:
        config = self.parameter_holder(body)
        if config is None:
            return
        name = _name(config, "thinkingConfig", "thinking_config")
        thinking = config.get(name)
        kept = dict(thinking) if isinstance(thinking, dict) else {}
        for said in ("thinkingLevel", "thinking_level", "thinking_budget"):
            kept.pop(said, None)
        config[name] = {**kept, "thinkingBudget": min(budget, MOST_BUDGET)}


def _name(holder: Json, camel: str, snake: str) -> str:
    return snake if snake in holder and camel not in holder else camel
