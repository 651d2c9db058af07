"""Google's SDK."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from google import genai
from google.genai import errors, types

from tests.journeys.matrix.ask import Ask, Note, Results, Said, SaidCall, Tokens, Turn, Wrong


class Gemini:
    dialect = "gemini"

    def __init__(self, origin: str, key: str) -> None:
        self._sdk = genai.Client(api_key=key, http_options=types.HttpOptions(base_url=origin, timeout=10_000))

    def close(self) -> None:
        self._sdk.close()

    def say(self, ask: Ask, *, streams: bool, hear: Callable[[str], None] = lambda _: None) -> Said:
        models = self._sdk.models
        if not streams:
            answer = models.generate_content(model=ask.model, contents=_contents(ask), config=_config(ask))
            return _read([answer])
        chunks = []
        for chunk in models.generate_content_stream(model=ask.model, contents=_contents(ask), config=_config(ask)):
            chunks.append(chunk)
            if text := "".join(part.text for part in _parts(chunk) if part.text and not part.thought):
                hear(text)
        return _read(chunks)

    @contextmanager
    def begin(self, ask: Ask) -> Iterator[str]:
        """The SDK's stream ends its connection when its generator is closed."""
        stream = self._sdk.models.generate_content_stream(model=ask.model, contents=_contents(ask), config=_config(ask))
        try:
            yield next(chunk.text for chunk in stream if chunk.text)
        finally:
            stream.close()  # type: ignore[attr-defined]  # a generator, typed as an iterator

    def wrong(self, error: Exception) -> Wrong:
        assert isinstance(error, errors.APIError), repr(error)
        headers = getattr(error.response, "headers", {})
        return Wrong(type(error).__name__, error.code, error.message or "", headers.get("retry-after"))

    def count(self, ask: Ask) -> int:
        config = types.CountTokensConfig(http_options=types.HttpOptions(headers=ask.headers))
        answer = self._sdk.models.count_tokens(model=ask.model, contents=_contents(ask), config=config)
        return answer.total_tokens or 0


def _config(ask: Ask) -> types.GenerateContentConfig:
    more: dict[str, Any] = dict(ask.more)
    if ask.system:
        more["system_instruction"] = ask.system
    if ask.temperature is not None:
        more["temperature"] = ask.temperature
    if ask.tools:
        declared = [
            types.FunctionDeclaration(
                name=tool["name"],
                description=tool["description"],
                parameters_json_schema=tool["parameters"],
            )
            for tool in ask.tools
        ]
        more["tools"] = [types.Tool(function_declarations=declared)]
        more["automatic_function_calling"] = types.AutomaticFunctionCallingConfig(disable=True)
    if ask.choice:
        calling = types.FunctionCallingConfig(
            mode=types.FunctionCallingConfigMode.ANY, allowed_function_names=[ask.choice]
        )
        more["tool_config"] = types.ToolConfig(function_calling_config=calling)
    if ask.schema:
        more |= {"response_mime_type": "application/json", "response_json_schema": ask.schema}
    if ask.thinks:
        more["thinking_config"] = types.ThinkingConfig(include_thoughts=True, thinking_budget=2048)
    options = types.HttpOptions(headers=ask.headers)
    return types.GenerateContentConfig(max_output_tokens=ask.max_tokens, http_options=options, **more)


def _contents(ask: Ask) -> list[types.ContentUnion]:
    return [_content(turn, ask) for turn in ask.turns]


def _content(turn: Turn, ask: Ask) -> types.Content:
    if isinstance(turn, Results):
        responses = [
            types.FunctionResponse(
                id=call.id or None, name=call.name, response={"error" if turn.are_errors else "result": text}
            )
            for call, text in turn.of
        ]
        return types.Content(role="user", parts=[types.Part(function_response=one) for one in responses])
    if isinstance(turn, Said):
        parts: list[types.Part] = turn.native
        if not ask.keeps_state:
            kept = [part for part in parts if not part.thought and (part.text or part.function_call)]
            parts = [part.model_copy(update={"thought_signature": None}) for part in kept]
        return types.Content(role="model", parts=parts)
    assert not isinstance(turn, Note), "the dialect has no words of the system's between turns"
    parts = [types.Part(text=turn.text)]
    if turn.picture:
        parts.insert(0, types.Part.from_bytes(data=turn.picture, mime_type="image/png"))
    elif turn.picture_url:
        parts.insert(0, types.Part.from_uri(file_uri=turn.picture_url, mime_type="image/png"))
    return types.Content(role="user", parts=parts)


def _parts(answer: types.GenerateContentResponse) -> list[types.Part]:
    candidate = answer.candidates[0] if answer.candidates else None
    return (candidate.content.parts or []) if candidate and candidate.content else []


def _read(chunks: list[types.GenerateContentResponse]) -> Said:
    said = Said(native=[])
    for chunk in chunks:
        said.model = chunk.model_version or said.model
        if chunk.sdk_http_response and chunk.sdk_http_response.headers:
            said.headers = {name.lower(): value for name, value in chunk.sdk_http_response.headers.items()}
        for part in _parts(chunk):
            said.native.append(part)
            if part.function_call:
                call = part.function_call
                said.calls.append(SaidCall(call.id or "", call.name or "", call.args or {}))
            elif part.thought:
                said.thoughts += part.text or ""
            else:
                said.text += part.text or ""
        if chunk.candidates and chunk.candidates[0].finish_reason:
            said.finish = chunk.candidates[0].finish_reason.value
        if usage := chunk.usage_metadata:
            thoughts = usage.thoughts_token_count or 0
            said.tokens = Tokens(
                usage.prompt_token_count or 0,
                (usage.candidates_token_count or 0) + thoughts,
                usage.cached_content_token_count or 0,
                thoughts,
            )
            assert usage.total_token_count == said.tokens.input + said.tokens.output or not said.finish
    return said
