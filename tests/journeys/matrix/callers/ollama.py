"""Ollama's chat over plain HTTP. Its messages are objects of JSON, its stream is a line each."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.journeys.matrix.ask import Ask, Note, Results, Said, SaidCall, Tokens, Turn, Wrong


class OllamaError(Exception):
    def __init__(self, status: int | None, message: str, headers: httpx.Headers | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or httpx.Headers()


class Ollama:
    dialect = "ollama"

    def __init__(self, origin: str, key: str) -> None:
        self._http = httpx.Client(base_url=origin, headers={"authorization": f"Bearer {key}"}, timeout=60)

    def close(self) -> None:
        self._http.close()

    def say(self, ask: Ask, *, streams: bool, hear: Callable[[str], None] = lambda _: None) -> Said:
        with self._http.stream("POST", "/api/chat", json=_request(ask, streams), headers=ask.headers) as answer:
            if answer.status_code != 200:
                raise OllamaError(answer.status_code, json.loads(answer.read())["error"], answer.headers)
            expected = "application/x-ndjson" if streams else "application/json"
            assert answer.headers["content-type"].startswith(expected), answer.headers
            lines = []
            for line in answer.iter_lines():
                lines.append(json.loads(line))
                if "error" in lines[-1]:
                    raise OllamaError(None, lines[-1]["error"])
                if streams and (text := lines[-1]["message"]["content"]):
                    hear(text)
        assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True], "one line is the last"
        return _read(lines, {name.lower(): value for name, value in answer.headers.items()})

    @contextmanager
    def begin(self, ask: Ask) -> Iterator[str]:
        with self._http.stream("POST", "/api/chat", json=_request(ask, streams=True), headers=ask.headers) as answer:
            yield next(text for line in answer.iter_lines() if (text := json.loads(line)["message"]["content"]))

    def wrong(self, error: Exception) -> Wrong:
        assert isinstance(error, OllamaError), repr(error)
        return Wrong("OllamaError", error.status, str(error), error.headers.get("retry-after"))


def _request(ask: Ask, streams: bool) -> dict[str, Any]:
    options: dict[str, Any] = {"num_predict": ask.max_tokens}
    if ask.temperature is not None:
        options["temperature"] = ask.temperature
    request: dict[str, Any] = {"model": ask.model, "stream": streams, "options": options, **ask.more}
    request["messages"] = [{"role": "system", "content": ask.system}] if ask.system else []
    for turn in ask.turns:
        request["messages"] += _messages(turn)
    if ask.tools:
        request["tools"] = [{"type": "function", "function": tool} for tool in ask.tools]
    if ask.schema:
        request["format"] = ask.schema
    if ask.thinks:
        request["think"] = True
    return request


def _messages(turn: Turn) -> list[dict[str, Any]]:
    if isinstance(turn, Results):
        return [{"role": "tool", "tool_name": call.name, "content": text} for call, text in turn.of]
    if isinstance(turn, Said):
        return [turn.native]
    if isinstance(turn, Note):
        return [{"role": "system", "content": turn.text}]
    message: dict[str, Any] = {"role": "user", "content": turn.text}
    if turn.picture:
        message["images"] = [base64.b64encode(turn.picture).decode()]
    assert not turn.picture_url, "the dialect has no pictures by URL"
    return [message]


def _read(lines: list[dict[str, Any]], headers: dict[str, str]) -> Said:
    said = Said(headers=headers, finish=lines[-1]["done_reason"], model=lines[-1]["model"])
    made = []
    for line in lines:
        message = line["message"]
        assert message["role"] == "assistant"
        said.text += message["content"]
        said.thoughts += message.get("thinking", "")
        made += message.get("tool_calls", ())
    said.calls = [SaidCall(one.get("id", ""), one["function"]["name"], one["function"]["arguments"]) for one in made]
    said.native = {"role": "assistant", "content": said.text}
    if said.thoughts:
        said.native["thinking"] = said.thoughts
    if made:
        said.native["tool_calls"] = made
    said.tokens = Tokens(lines[-1]["prompt_eval_count"], lines[-1]["eval_count"])
    return said
