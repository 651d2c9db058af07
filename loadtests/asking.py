"""What users of a scenario ask, in each dialect, and how they know the first token and the end of an answer. Pure.

Of the standard library alone (see scenario.py). The stand-in of a provider is told what to answer by words in the user's text.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from loadtests.scenario import Answer, Part

_FILLER = "Tell me something about routing, in a few sentences. "
_RESULT = "def route(request):\n    return plan(request.model)\n"
Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """One request: a path and a JSON body. The key goes into `Authorization` in every dialect."""

    path: str
    body: bytes


def mock_words(answer: Answer) -> str:
    """As `native/mockup.c` reads them anywhere in a body."""
    gap, first = int(answer.gap_ms * 1000), int(answer.first_ms * 1000)
    tool = ",k=1" if answer.is_tool_call else ""
    return f"mock:n={answer.events},d={gap},s={answer.bytes},l={first},b={answer.whole_bytes}{tool}"


def ask(part: Part, model: str, turn: int = 0) -> Question:
    """The request of a user at a turn of their conversation, counted from 0."""
    words = mock_words(part.answer) + " "
    text = words + (_FILLER * (part.prompt_bytes // len(_FILLER) + 1))[: max(0, part.prompt_bytes - len(words))]
    result = (_RESULT * (part.tool_result_bytes // len(_RESULT) + 1))[: part.tool_result_bytes]
    body = _BODIES[part.dialect](part, model, text, [result] * turn)
    path = _PATHS[part.dialect]
    if part.dialect == "gemini":
        verb = "streamGenerateContent?alt=sse" if part.is_streamed else "generateContent"
        path = f"{path}{model}:{verb}"
    return Question(path, json.dumps(body, separators=(",", ":")).encode())


def has_token(dialect: str, data: str) -> bool:
    """Whether the data of an event brings something of the answer: text, thinking, or a piece of a tool call."""
    if data == "[DONE]":
        return False
    event = json.loads(data)
    match dialect:
        case "openai_chat":
            delta = (event.get("choices") or [{}])[0].get("delta") or {}
            return any(delta.get(name) for name in ("content", "reasoning_content", "tool_calls"))
        case "anthropic_messages":
            return event.get("type") == "content_block_delta"
        case "openai_responses":
            return str(event.get("type", "")).endswith(".delta")
    candidates = event.get("candidates") or [{}]
    return bool((candidates[0].get("content") or {}).get("parts"))


def is_end(dialect: str, data: str) -> bool:
    """Whether this event says that the answer is whole."""
    return _ENDS[dialect] in data


def is_answer(dialect: str, text: str) -> bool:
    """Whether a body that was not streamed holds an answer."""
    return _WHOLE[dialect] in text


def _tools(count: int) -> list[tuple[str, str, Body]]:
    properties = {
        "path": {"type": "string", "description": "The file, from the root of the project."},
        "first_line": {"type": "integer", "description": "Where to begin, counted from 1."},
        "lines": {"type": "integer", "description": "How many lines; all that follow by default."},
    }
    schema = {"type": "object", "properties": properties, "required": ["path"]}
    names = ["read_file", *(f"tool_{number:02}" for number in range(1, count))][:count]
    return [(name, f"What {name} does, when to use it and when another one serves better.", schema) for name in names]


def _chat(part: Part, model: str, text: str, results: list[str]) -> Body:
    messages: list[Body] = [{"role": "system", "content": "You are a helpful assistant."}, {"role": "user", "content": text}]  # fmt: skip
    for number, result in enumerate(results):
        call = {"id": f"call_{number:04}", "type": "function", "function": {"name": "read_file", "arguments": '{"path":"a.py"}'}}  # fmt: skip
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
    tools = [
        {"type": "function", "function": {"name": name, "description": says, "parameters": schema}}
        for name, says, schema in _tools(part.tools)
    ]
    return _without_empty({"model": model, "stream": part.is_streamed, "messages": messages, "tools": tools})


def _messages(part: Part, model: str, text: str, results: list[str]) -> Body:
    messages: list[Body] = [{"role": "user", "content": text}]
    for number, result in enumerate(results):
        call_id = f"toolu_{number:04}"
        call = {"type": "tool_use", "id": call_id, "name": "read_file", "input": {"path": "a.py"}}
        messages.append({"role": "assistant", "content": [call]})
        messages.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": call_id, "content": result}]})  # fmt: skip
    tools = [{"name": name, "description": says, "input_schema": schema} for name, says, schema in _tools(part.tools)]
    head = {"model": model, "stream": part.is_streamed, "max_tokens": 4096, "system": "You are a helpful assistant."}
    return _without_empty({**head, "messages": messages, "tools": tools})


def _responses(part: Part, model: str, text: str, results: list[str]) -> Body:
    items: list[Body] = [{"role": "user", "content": text}]
    for number, result in enumerate(results):
        call_id = f"call_{number:04}"
        items.append({"type": "function_call", "call_id": call_id, "name": "read_file", "arguments": '{"path":"a.py"}'})
        items.append({"type": "function_call_output", "call_id": call_id, "output": result})
    tools = [
        {"type": "function", "name": name, "description": says, "parameters": schema}
        for name, says, schema in _tools(part.tools)
    ]
    head = {"model": model, "stream": part.is_streamed, "instructions": "You are a helpful assistant.", "store": False}
    return _without_empty({**head, "input": items, "tools": tools})


def _gemini(part: Part, _model: str, text: str, results: list[str]) -> Body:
    contents: list[Body] = [{"role": "user", "parts": [{"text": text}]}]
    for result in results:
        call, answer = {"name": "read_file", "args": {"path": "a.py"}}, {"name": "read_file", "response": {"output": result}}  # fmt: skip
        contents.append({"role": "model", "parts": [{"functionCall": call}]})
        contents.append({"role": "user", "parts": [{"functionResponse": answer}]})
    declared = [{"name": name, "description": says, "parameters": schema} for name, says, schema in _tools(part.tools)]
    tools = [{"functionDeclarations": declared}] if declared else []
    return _without_empty({"contents": contents, "tools": tools})


def _without_empty(body: Body) -> Body:
    return {name: value for name, value in body.items() if value not in ([], False)}


_BODIES: Mapping[str, Callable[[Part, str, str, list[str]], Body]] = {
    "openai_chat": _chat, "anthropic_messages": _messages, "openai_responses": _responses, "gemini": _gemini,
}  # fmt: skip
_PATHS = {
    "openai_chat": "/v1/chat/completions", "anthropic_messages": "/v1/messages", "openai_responses": "/v1/responses",
    "gemini": "/v1beta/models/",
}  # fmt: skip
_ENDS = {
    "openai_chat": "[DONE]", "anthropic_messages": '"message_stop"', "openai_responses": '"response.completed"',
    "gemini": '"finishReason"',
}  # fmt: skip
_WHOLE = {
    "openai_chat": '"choices"', "anthropic_messages": '"stop_reason"', "openai_responses": '"output"', "gemini": '"candidates"',
}  # fmt: skip
