"""One plain request in a caller's dialect, and what came back, read as strictly as the standard of events says.

Bytes, not SDKs: what is asked here is whether a terminator came, and no SDK shows that. `test_dialect_matrix.py` has the SDKs.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

CALLERS = ("openai_chat", "openai_responses", "anthropic_messages", "gemini")
FINISHED = {
    "openai_chat": "stop",
    "openai_responses": "completed",
    "anthropic_messages": "end_turn",
    "gemini": "STOP",
}
"""The word of each dialect for an answer that ended by itself."""

FILTERED = {
    "openai_chat": "content_filter",
    "openai_responses": "incomplete",
    "anthropic_messages": "refusal",
    "gemini": "SAFETY",
}
"""The word for an answer that a filter ended."""


@dataclass(slots=True)
class Heard:
    """What a caller saw. `code` is of the error, empty if there was none; `after_error` counts what followed it
    and was no error (Responses tells an error twice)."""

    status: int
    headers: httpx.Headers
    body: bytes
    text: str = ""
    finish: str = ""
    code: str = ""
    message: str = ""
    is_terminated: bool = False
    is_garbled: bool = False
    after_error: int = 0
    outcomes: tuple[str, ...] = field(default=())
    """Of the attempts that the error tells of."""


def request_of(dialect: str, model: str, *, streams: bool, is_prefilled: bool) -> tuple[str, dict[str, Any]]:
    """Path and body. `is_prefilled`: the conversation ends with words of the assistant's."""
    asked, begun = "Hello", "I begin"
    if dialect == "gemini":
        turns = [{"role": "user", "parts": [{"text": asked}]}]
        turns += [{"role": "model", "parts": [{"text": begun}]}] * is_prefilled
        operation = "streamGenerateContent?alt=sse" if streams else "generateContent"
        return f"/v1beta/models/{model}:{operation}", {"contents": turns}
    turns = [{"role": "user", "content": asked}]
    turns += [{"role": "assistant", "content": begun}] * is_prefilled
    body: dict[str, Any] = {"model": model, "stream": streams}
    if dialect == "openai_responses":
        return "/v1/responses", body | {"input": turns}
    if dialect == "anthropic_messages":
        return "/v1/messages", body | {"messages": turns, "max_tokens": 64}
    return "/v1/chat/completions", body | {"messages": turns}


def ask(
    client: httpx.Client, dialect: str, model: str, request_id: str, *, streams: bool, is_prefilled: bool = False
) -> Heard:
    path, body = request_of(dialect, model, streams=streams, is_prefilled=is_prefilled)
    headers = {"x-request-id": request_id}
    if dialect == "anthropic_messages":
        headers["anthropic-version"] = "2023-06-01"
    answer = client.post(path, json=body, headers=headers)
    heard = Heard(answer.status_code, answer.headers, answer.content)
    if answer.headers["content-type"].startswith("text/event-stream"):
        _hear_events(heard, dialect)
    else:
        whole = json.loads(answer.content)
        if answer.status_code == 200:
            _WHOLE[dialect](heard, whole)
        else:
            _hear_error(heard, whole["error"])
    return heard


def events_in(body: bytes) -> list[str]:
    """The data of each event: ended by a blank line, its `data` lines joined."""
    text = body.decode().replace("\r\n", "\n").replace("\r", "\n")
    *events, rest = text.split("\n\n")
    assert not rest.strip(), f"a last event without its blank line: {rest[:200]!r}"
    found = []
    for event in events:
        lines = [line[5:].removeprefix(" ") for line in event.split("\n") if line.startswith("data:")]
        if lines:
            found.append("\n".join(lines))
    return found


def _hear_events(heard: Heard, dialect: str) -> None:
    for data in events_in(heard.body):
        if data == "[DONE]":
            heard.is_terminated = True
            continue
        try:
            event = json.loads(data)
        except ValueError:
            heard.is_garbled = True
            continue
        if error := _error_in(event):
            _hear_error(heard, error)
        else:
            heard.after_error += bool(heard.code)
            _EVENT[dialect](heard, event)


def _error_in(event: dict[str, Any]) -> dict[str, Any] | None:
    if event.get("type") == "error":
        return event.get("error") or event
    if event.get("type") == "response.failed":
        return dict(event["response"]["error"])
    return event.get("error")


def _hear_error(heard: Heard, error: dict[str, Any]) -> None:
    """Our own code where it is there, else the provider's word."""
    details = error.get("details") or ()
    info = next((one["reason"] for one in details if str(one.get("@type")).endswith("ErrorInfo")), None)
    code = info or error.get("code")
    heard.code = str(code if isinstance(code, str) else error.get("status") or error.get("type"))
    heard.message = error["message"]
    told = error.get("omniroute") or next((one["value"] for one in details if str(one["@type"]).endswith("Struct")), {})
    heard.outcomes = tuple(attempt["outcome"] for attempt in told.get("attempts", ()))


def _chat_event(heard: Heard, event: dict[str, Any]) -> None:
    for choice in event["choices"]:
        heard.text += choice["delta"].get("content") or ""
        heard.finish = choice["finish_reason"] or heard.finish


def _responses_event(heard: Heard, event: dict[str, Any]) -> None:
    if event["type"] == "response.output_text.delta":
        heard.text += event["delta"]
    elif event["type"] in ("response.completed", "response.incomplete"):
        heard.is_terminated = True
        heard.finish = event["response"]["status"]


def _messages_event(heard: Heard, event: dict[str, Any]) -> None:
    match event["type"]:
        case "content_block_delta":
            heard.text += event["delta"].get("text", "")
        case "message_delta":
            heard.finish = event["delta"]["stop_reason"] or heard.finish
        case "message_stop":
            heard.is_terminated = True


def _gemini_event(heard: Heard, event: dict[str, Any]) -> None:
    """It has no terminator but the reason to finish."""
    candidate = event["candidates"][0]
    heard.text += "".join(part.get("text", "") for part in candidate.get("content", {}).get("parts", ()))
    heard.finish = candidate.get("finishReason") or heard.finish
    heard.is_terminated = bool(heard.finish)


def _chat_whole(heard: Heard, whole: dict[str, Any]) -> None:
    choice = whole["choices"][0]
    heard.text, heard.finish = choice["message"]["content"] or "", choice["finish_reason"]


def _responses_whole(heard: Heard, whole: dict[str, Any]) -> None:
    parts = [part for item in whole["output"] if item["type"] == "message" for part in item["content"]]
    heard.text, heard.finish = "".join(part["text"] for part in parts), whole["status"]


def _messages_whole(heard: Heard, whole: dict[str, Any]) -> None:
    heard.text = "".join(block.get("text", "") for block in whole["content"])
    heard.finish = whole["stop_reason"]


_Reader = Callable[[Heard, dict[str, Any]], None]
_EVENT: dict[str, _Reader] = {
    "openai_chat": _chat_event,
    "openai_responses": _responses_event,
    "anthropic_messages": _messages_event,
    "gemini": _gemini_event,
}
_WHOLE: dict[str, _Reader] = {
    "openai_chat": _chat_whole,
    "openai_responses": _responses_whole,
    "anthropic_messages": _messages_whole,
    "gemini": _gemini_event,
}
