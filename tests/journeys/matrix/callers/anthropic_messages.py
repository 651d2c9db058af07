"""The Anthropic SDK."""

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anthropic
from anthropic.types import Message

from tests.journeys.matrix.ask import Ask, Note, Results, Said, SaidCall, Tokens, Turn, Wrong


class AnthropicMessages:
    dialect = "anthropic_messages"

    def __init__(self, origin: str, key: str) -> None:
        self._sdk = anthropic.Anthropic(base_url=origin, api_key=key, max_retries=0, timeout=60)

    def close(self) -> None:
        self._sdk.close()

    def say(self, ask: Ask, *, streams: bool, hear: Callable[[str], None] = lambda _: None) -> Said:
        if not streams:
            raw = self._sdk.messages.with_raw_response.create(**_request(ask), extra_headers=ask.headers)
            return _read(raw.parse(), dict(raw.headers))
        with self._sdk.messages.stream(**_request(ask), extra_headers=ask.headers) as stream:
            for text in stream.text_stream:
                hear(text)
            return _read(stream.get_final_message(), dict(stream.response.headers))

    @contextmanager
    def begin(self, ask: Ask) -> Iterator[str]:
        with self._sdk.messages.stream(**_request(ask), extra_headers=ask.headers) as stream:
            yield next(iter(stream.text_stream))

    def wrong(self, error: Exception) -> Wrong:
        assert isinstance(error, anthropic.APIStatusError), repr(error)
        kind = type(error).__name__
        return Wrong(kind, error.status_code, error.message, error.response.headers.get("retry-after"))

    def count(self, ask: Ask) -> int:
        request = _request(ask)
        del request["max_tokens"]
        return self._sdk.messages.count_tokens(**request, extra_headers=ask.headers).input_tokens


def _request(ask: Ask) -> dict[str, Any]:
    request: dict[str, Any] = {"model": ask.model, "max_tokens": ask.max_tokens, **ask.more}
    if ask.system:
        request["system"] = ask.system
    request["messages"] = [_message(turn, ask) for turn in ask.turns]
    if ask.temperature is not None:
        request["extra_body"] = {"temperature": ask.temperature}  # the SDK has no argument for it any more
    if ask.tools:
        request["tools"] = [
            {"name": tool["name"], "description": tool["description"], "input_schema": tool["parameters"]}
            for tool in ask.tools
        ]
    if ask.choice:
        request["tool_choice"] = {"type": "tool", "name": ask.choice}
    if ask.schema:
        request["output_config"] = {"format": {"type": "json_schema", "schema": ask.schema}}
    if ask.thinks:
        request["thinking"] = {"type": "enabled", "budget_tokens": 2048}
    return request


def _message(turn: Turn, ask: Ask) -> dict[str, Any]:
    if isinstance(turn, Results):
        failed = {"is_error": True} if turn.are_errors else {}
        blocks = [{"type": "tool_result", "tool_use_id": call.id, "content": text, **failed} for call, text in turn.of]
        return {"role": "user", "content": blocks}
    if isinstance(turn, Said):
        kept = [b for b in turn.native if ask.keeps_state or b["type"] not in ("thinking", "redacted_thinking")]
        return {"role": "assistant", "content": kept}
    if isinstance(turn, Note):
        return {"role": "system", "content": turn.text}
    if not turn.picture and not turn.picture_url:
        return {"role": "user", "content": turn.text}
    source = {"type": "url", "url": turn.picture_url}
    if turn.picture:
        data = base64.b64encode(turn.picture).decode()
        source = {"type": "base64", "media_type": "image/png", "data": data}
    return {"role": "user", "content": [{"type": "image", "source": source}, {"type": "text", "text": turn.text}]}


def _read(message: Message, headers: dict[str, str]) -> Said:
    said = Said(finish=message.stop_reason or "", model=message.model, headers=headers)
    for block in message.content:
        if block.type == "text":
            said.text += block.text
        elif block.type == "thinking":
            said.thoughts += block.thinking
        elif block.type == "tool_use":
            said.calls.append(SaidCall(block.id, block.name, dict(block.input)))
    said.native = [block.model_dump(exclude_none=True, exclude={"parsed_output"}) for block in message.content]
    usage = message.usage
    read, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    details = getattr(usage, "output_tokens_details", None)
    reasoning = details.thinking_tokens if details else None
    said.tokens = Tokens(usage.input_tokens + read + written, usage.output_tokens, read, reasoning)
    return said
