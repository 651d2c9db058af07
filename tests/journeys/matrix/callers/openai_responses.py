"""The OpenAI SDK on Responses, without state on the server."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import openai
from openai.types.responses import Response

from tests.journeys.matrix.ask import Ask, Note, Results, Said, SaidCall, Tokens, Turn, Wrong
from tests.journeys.matrix.callers.openai_chat import openai_wrong


class OpenAIResponses:
    dialect = "openai_responses"

    def __init__(self, origin: str, key: str) -> None:
        self._sdk = openai.OpenAI(base_url=f"{origin}/v1", api_key=key, max_retries=0, timeout=60)

    def close(self) -> None:
        self._sdk.close()

    def say(self, ask: Ask, *, streams: bool, hear: Callable[[str], None] = lambda _: None) -> Said:
        if not streams:
            raw = self._sdk.responses.with_raw_response.create(**_request(ask), extra_headers=ask.headers)
            return _read(raw.parse(), dict(raw.headers))
        # The helper checks the order of events, ids and indexes as it puts the answer together.
        with self._sdk.responses.stream(**_request(ask), extra_headers=ask.headers) as stream:
            headers = dict(stream._raw_stream.response.headers)
            for event in stream:
                if event.type == "response.output_text.delta":
                    hear(event.delta)
                elif event.type == "error":
                    raise openai.APIError(event.message, request=None, body=None)  # type: ignore[arg-type]
                elif event.type == "response.failed":
                    message = event.response.error.message if event.response.error else ""
                    raise openai.APIError(message, request=None, body=None)  # type: ignore[arg-type]
                elif event.type in ("response.completed", "response.incomplete"):
                    said = _read(event.response, headers)
            return said

    @contextmanager
    def begin(self, ask: Ask) -> Iterator[str]:
        with self._sdk.responses.create(**_request(ask), stream=True, extra_headers=ask.headers) as stream:
            yield next(event.delta for event in stream if event.type == "response.output_text.delta")

    def count(self, ask: Ask) -> int:
        request = {name: value for name, value in _request(ask).items() if name in ("model", "input", "tools")}
        return self._sdk.responses.input_tokens.count(**request, extra_headers=ask.headers).input_tokens

    def wrong(self, error: Exception) -> Wrong:
        return openai_wrong(error)


def _request(ask: Ask) -> dict[str, Any]:
    request: dict[str, Any] = {"model": ask.model, "max_output_tokens": ask.max_tokens, "store": False, **ask.more}
    if ask.system:
        request["instructions"] = ask.system
    request["input"] = [item for turn in ask.turns for item in _items(turn, ask)]
    if ask.temperature is not None:
        request["temperature"] = ask.temperature
    if ask.tools:
        request["tools"] = [{"type": "function", "strict": False, **tool} for tool in ask.tools]
    if ask.choice:
        request["tool_choice"] = {"type": "function", "name": ask.choice}
    if ask.schema:
        form = {"type": "json_schema", "name": "weather", "schema": ask.schema, "strict": True}
        request["text"] = {"format": form}
    if ask.thinks:
        request["reasoning"] = {"effort": "medium", "summary": "auto"}
        request["include"] = ["reasoning.encrypted_content"]
    return request


def _items(turn: Turn, ask: Ask) -> list[dict[str, Any]]:
    if isinstance(turn, Results):
        return [{"type": "function_call_output", "call_id": call.id, "output": text} for call, text in turn.of]
    if isinstance(turn, Said):
        if ask.keeps_state:
            return list(turn.native)
        kept = [item for item in turn.native if item["type"] != "reasoning"]
        return [{name: value for name, value in item.items() if name != "id"} for item in kept]
    if isinstance(turn, Note):
        return [{"type": "message", "role": "developer", "content": [{"type": "input_text", "text": turn.text}]}]
    url = turn.picture_url
    if turn.picture:
        url = f"data:image/png;base64,{base64.b64encode(turn.picture).decode()}"
    if not url:
        return [{"role": "user", "content": turn.text}]
    picture = {"type": "input_image", "image_url": url, "detail": "auto"}
    return [{"role": "user", "content": [picture, {"type": "input_text", "text": turn.text}]}]


def _read(response: Response, headers: dict[str, str]) -> Said:
    said = Said(text=response.output_text, model=response.model, headers=headers)
    said.finish = response.status or ""
    if response.incomplete_details:
        said.finish += f"/{response.incomplete_details.reason}"
    for item in response.output:
        if item.type == "reasoning":
            said.thoughts += "".join(part.text for part in item.summary)
        elif item.type == "function_call":
            said.calls.append(SaidCall(item.call_id, item.name, json.loads(item.arguments)))
    said.native = [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in response.output]
    for item in said.native:
        for part in item.get("content") or ():
            part.pop("parsed", None)
    if response.usage:
        usage = response.usage
        assert usage.total_tokens == usage.input_tokens + usage.output_tokens
        said.tokens = Tokens(
            usage.input_tokens,
            usage.output_tokens,
            usage.input_tokens_details.cached_tokens,
            usage.output_tokens_details.reasoning_tokens,
        )
    return said
