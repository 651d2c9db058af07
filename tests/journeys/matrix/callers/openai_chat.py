"""The OpenAI SDK on Chat Completions."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import openai

from tests.journeys.matrix.ask import Ask, Note, Results, Said, SaidCall, Tokens, Turn, Wrong

CALL_FIELDS = ("id", "type", "function")


class OpenAIChat:
    dialect = "openai_chat"

    def __init__(self, origin: str, key: str) -> None:
        self._sdk = openai.OpenAI(base_url=f"{origin}/v1", api_key=key, max_retries=0, timeout=60)

    def close(self) -> None:
        self._sdk.close()

    def say(self, ask: Ask, *, streams: bool, hear: Callable[[str], None] = lambda _: None) -> Said:
        completions = self._sdk.chat.completions.with_raw_response
        if not streams:
            raw = completions.create(**_request(ask), extra_headers=ask.headers)
            answer = raw.parse()
            choice = answer.choices[0]
            said = Said(finish=choice.finish_reason, model=answer.model, headers=dict(raw.headers))
            said.native = choice.message.model_dump(exclude_none=True)
            return _read(said, answer.usage)
        options = {"stream": True, "stream_options": {"include_usage": True}}
        raw = completions.create(**_request(ask), **options, extra_headers=ask.headers)
        said, usage = Said(headers=dict(raw.headers)), None
        message: dict[str, Any] = {"role": "assistant", "content": ""}
        for chunk in raw.parse():
            usage = chunk.usage or usage
            said.model = chunk.model
            for choice in chunk.choices:
                _add(message, choice.delta.model_dump(exclude_none=True))
                if choice.delta.content:
                    hear(choice.delta.content)
                said.finish = choice.finish_reason or said.finish
        said.native = message
        return _read(said, usage)

    @contextmanager
    def begin(self, ask: Ask) -> Iterator[str]:
        with self._sdk.chat.completions.create(**_request(ask), stream=True, extra_headers=ask.headers) as stream:
            yield next(c.choices[0].delta.content for c in stream if c.choices and c.choices[0].delta.content)

    def wrong(self, error: Exception) -> Wrong:
        return openai_wrong(error)


def openai_wrong(error: Exception) -> Wrong:
    """What either API of the SDK raised."""
    assert isinstance(error, openai.APIError), repr(error)
    if not isinstance(error, openai.APIStatusError):
        return Wrong(type(error).__name__, None, str(error.message))
    return Wrong(type(error).__name__, error.status_code, error.message, error.response.headers.get("retry-after"))


def _request(ask: Ask) -> dict[str, Any]:
    request: dict[str, Any] = {"model": ask.model, "max_completion_tokens": ask.max_tokens, **ask.more}
    request["messages"] = [{"role": "system", "content": ask.system}] if ask.system else []
    for turn in ask.turns:
        request["messages"] += _messages(turn, ask)
    if ask.temperature is not None:
        request["temperature"] = ask.temperature
    if ask.tools:
        request["tools"] = [{"type": "function", "function": tool} for tool in ask.tools]
    if ask.choice:
        request["tool_choice"] = {"type": "function", "function": {"name": ask.choice}}
    if ask.schema:
        form = {"name": "weather", "schema": ask.schema, "strict": True}
        request["response_format"] = {"type": "json_schema", "json_schema": form}
    if ask.thinks:
        request["reasoning_effort"] = "medium"
    return request


def _messages(turn: Turn, ask: Ask) -> list[dict[str, Any]]:
    if isinstance(turn, Results):
        return [{"role": "tool", "tool_call_id": call.id, "content": text} for call, text in turn.of]
    if isinstance(turn, Said):
        if ask.keeps_state:
            return [turn.native]
        kept = {name: turn.native[name] for name in ("role", "content", "tool_calls") if turn.native.get(name)}
        if "tool_calls" in kept:
            kept["tool_calls"] = [{name: call[name] for name in CALL_FIELDS} for call in kept["tool_calls"]]
        return [kept]
    if isinstance(turn, Note):
        return [{"role": "system", "content": turn.text}]
    url = turn.picture_url
    if turn.picture:
        url = f"data:image/png;base64,{base64.b64encode(turn.picture).decode()}"
    if not url:
        return [{"role": "user", "content": turn.text}]
    parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": turn.text}]
    return [{"role": "user", "content": parts}]


def _add(message: dict[str, Any], delta: dict[str, Any]) -> None:
    """Put a stream's message together: text joins, lists grow, calls join by index."""
    for name, value in delta.items():
        if name == "tool_calls":
            calls = message.setdefault("tool_calls", [])
            for piece in value:
                index = piece.pop("index")
                if index == len(calls):
                    calls.append(piece)
                else:
                    calls[index]["function"]["arguments"] += piece.pop("function", {}).get("arguments", "")
                    calls[index] |= piece
        elif name == "role":
            continue
        elif isinstance(value, str):
            message[name] = message.get(name, "") + value
        elif isinstance(value, list):
            message[name] = message.get(name, []) + value
        else:
            message[name] = value


def _read(said: Said, usage: Any) -> Said:
    message = said.native
    said.text = message.get("content") or ""
    said.thoughts = message.get("reasoning_content") or ""
    said.calls = [
        SaidCall(call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in message.get("tool_calls") or ()
    ]
    if message.get("tool_calls") and not message.get("content"):
        message["content"] = None
    if usage:
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
        prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
        said.tokens = Tokens(
            usage.prompt_tokens,
            usage.completion_tokens,
            (prompt.cached_tokens if prompt else 0) or 0,
            (completion.reasoning_tokens if completion else 0) or 0,
        )
    return said
