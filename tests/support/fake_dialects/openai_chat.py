"""Chat Completions as a strict provider of it reads and writes. Reasoning is told as `reasoning_content`."""

import itertools
import json
import re
from typing import Any

from tests.support.fake_dialects.script import (
    Answer,
    Asked,
    Call,
    Counts,
    Result,
    Streamed,
    Turn,
    check_all_required,
    check_strict,
    expect,
    list_in,
    names,
    only,
    picture_at,
    pieces_of,
    text_in,
)

NAME = "openai_chat"
STREAM_TYPE = "text/event-stream; charset=utf-8"
ID, CREATED = "chatcmpl-fakeDialect01", 1_700_000_000
_TOP = names(
    "model messages stream stream_options max_tokens max_completion_tokens temperature top_p n stop seed tools tool_choice"
    " parallel_tool_calls response_format reasoning_effort verbosity presence_penalty frequency_penalty logit_bias logprobs"
    " top_logprobs user safety_identifier prompt_cache_key metadata store service_tier modalities prediction"
)
_MESSAGE = {
    "system": frozenset({"role", "content", "name"}),
    "developer": frozenset({"role", "content", "name"}),
    "user": frozenset({"role", "content", "name"}),
    "assistant": names(
        "role content name refusal tool_calls audio reasoning_content reasoning reasoning_details annotations"
        " function_call"
    ),
    "tool": frozenset({"role", "content", "tool_call_id"}),
}
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def read(_: str, headers: dict[str, str], body: Any) -> Asked:
    expect(headers.get("authorization", "").startswith("Bearer "), "no API key was given", status=401)
    only(_TOP, body, "")
    asked = Asked(NAME, text_in(body.get("model"), "model"), is_stream=body.get("stream") is True)
    expect(asked.is_stream or "stream_options" not in body, "only allowed when stream is true", "stream_options")
    asked.includes_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    expect(body.get("n") in (None, 1), "this model gives one choice", "n")
    asked.temperature = body.get("temperature")
    expect(asked.temperature is None or 0 <= asked.temperature <= 2, "must be within 0 and 2", "temperature")
    asked.max_tokens = body.get("max_completion_tokens", body.get("max_tokens"))
    expect(asked.max_tokens is None or asked.max_tokens > 0, "must be above 0", "max_tokens")
    expect(len(body.get("stop") or ()) <= 4 or isinstance(body["stop"], str), "at most four", "stop")
    for name in ("user", "safety_identifier", "prompt_cache_key"):
        expect(len(body.get(name) or "") <= 64, "string too long, at most 64", name)
    efforts = (None, "none", "minimal", "low", "medium", "high", "xhigh", "max")
    expect(body.get("reasoning_effort") in efforts, "unknown effort", "reasoning_effort")
    asked.thinks = asked.shows_thoughts = body.get("reasoning_effort") not in (None, "none")
    _read_tools(body, asked)
    _read_format(body.get("response_format"), asked)
    asked.settings = {name: body[name] for name in sorted(_TOP & body.keys()) if name not in ("messages", "tools")}
    _read_messages(list_in(body.get("messages"), "messages"), asked)
    return asked


def _read_tools(body: dict[str, Any], asked: Asked) -> None:
    for i, tool in enumerate(body.get("tools") or ()):
        where = f"tools[{i}]"
        only(frozenset({"type", "function"}), tool, where)
        expect(tool.get("type") == "function", "unknown type", f"{where}.type")
        function = tool["function"]
        only(frozenset({"name", "description", "parameters", "strict"}), function, f"{where}.function")
        expect(_TOOL_NAME.fullmatch(function.get("name", "")), "does not match the pattern", f"{where}.function.name")
        schema = function.get("parameters", {"type": "object", "properties": {}})
        expect(schema.get("type") == "object", f"schema must be of type object, got {schema}", f"{where}.function")
        if function.get("strict"):
            check_strict(schema, where)
            check_all_required(schema, where)
        asked.tools[function["name"]] = schema
    choice = body.get("tool_choice")
    expect(choice is None or asked.tools, "only allowed when tools are given", "tool_choice")
    expect("parallel_tool_calls" not in body or asked.tools, "only allowed with tools", "parallel_tool_calls")
    if isinstance(choice, dict):
        choice = text_in(choice.get("function", {}).get("name"), "tool_choice.function.name")
        expect(choice in asked.tools, "names no tool", "tool_choice")
    else:
        expect(choice in (None, "auto", "none", "required"), "unknown", "tool_choice")
    asked.tool_choice = choice or ""


def _read_format(wanted: Any, asked: Asked) -> None:
    if wanted is None:
        return
    kind = wanted.get("type")
    expect(kind in ("text", "json_object", "json_schema"), "unknown type", "response_format.type")
    if kind == "json_schema":
        inner = wanted.get("json_schema")
        only(frozenset({"name", "schema", "strict", "description"}), inner, "response_format.json_schema")
        expect(_TOOL_NAME.fullmatch(inner.get("name", "")), "missing or illegal", "response_format.json_schema.name")
        asked.schema = inner["schema"]
        if inner.get("strict"):
            check_strict(inner["schema"], "response_format.json_schema.schema")


def _read_messages(messages: list[Any], asked: Asked) -> None:
    expect(messages, "must not be empty", "messages")
    open_calls: dict[str, str] = {}
    for i, message in enumerate(messages):
        where = f"messages[{i}]"
        role = message.get("role")
        expect(role in _MESSAGE, f"unknown role {role!r}", f"{where}.role")
        only(_MESSAGE[role], message, where)
        if role == "tool":
            call_id = text_in(message.get("tool_call_id"), f"{where}.tool_call_id")
            expect(call_id in open_calls, "answers no call of the message before", where)
            content = "".join(_texts(message.get("content"), where, asked.turns[-1]))
            asked.turns[-1].results.append(Result(call_id, open_calls.pop(call_id), content))
            continue
        expect(not open_calls, f"these calls have no result before it: {sorted(open_calls)}", where)
        if role in ("system", "developer"):
            asked.system += _texts(message.get("content"), where, Turn(role))
            continue
        turn = Turn(role)
        asked.turns.append(turn)
        if role == "user":
            turn.texts += _texts(message.get("content"), where, turn)
        else:
            open_calls = _read_assistant(message, where, turn)
            if open_calls:
                asked.turns.append(Turn("tool"))
    expect(not open_calls, f"these calls have no result: {sorted(open_calls)}", "messages")
    expect(asked.turns, "a user message is needed", "messages")


def _read_assistant(message: dict[str, Any], where: str, turn: Turn) -> dict[str, str]:
    calls = message.get("tool_calls")
    expect(calls is None or calls, "must not be empty", f"{where}.tool_calls")
    if message.get("content") is None:
        expect(calls or message.get("refusal"), "null only with tool_calls", f"{where}.content")
    else:
        turn.texts += _texts(message["content"], where, Turn("assistant"))
    for j, call in enumerate(calls or ()):
        at = f"{where}.tool_calls[{j}]"
        only(frozenset({"id", "type", "function", "extra_content", "index"}), call, at)
        expect(call.get("type") == "function", "unknown type", f"{at}.type")
        arguments = json.loads(text_in(call["function"].get("arguments"), f"{at}.function.arguments"))
        expect(isinstance(arguments, dict), "must be an object", f"{at}.function.arguments")
        turn.calls.append(Call(text_in(call.get("id"), f"{at}.id"), call["function"]["name"], arguments))
    ids = {call.id: call.name for call in turn.calls}
    expect(len(ids) == len(turn.calls), "an id is there twice", f"{where}.tool_calls")
    if isinstance(message.get("reasoning_content"), str):
        turn.thoughts.append(message["reasoning_content"])
    return ids


def _texts(content: Any, where: str, turn: Turn) -> list[str]:
    if isinstance(content, str):
        return [content]
    texts = []
    for j, part in enumerate(list_in(content, f"{where}.content")):
        at = f"{where}.content[{j}]"
        kind = part.get("type")
        if kind == "image_url" and turn.role == "user":
            only(frozenset({"url", "detail"}), part["image_url"], at)
            turn.pictures.append(picture_at(text_in(part["image_url"].get("url"), at), at))
        else:
            expect(kind == "text", f"a part {kind!r} is not allowed here", at)
            texts.append(text_in(part.get("text"), at))
    expect(texts or turn.pictures, "must not be empty", f"{where}.content")
    return texts


# -- answers ---------------------------------------------------------------------------------------------------------


def whole(asked: Asked, answer: Answer) -> Any:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None, "refusal": None, "annotations": []}
    if answer.thoughts:
        message["reasoning_content"] = "".join(answer.thoughts)
    if answer.calls:
        message["tool_calls"] = [
            {"id": _call_id(i), "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            for i, (name, arguments) in enumerate(answer.calls)
        ]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish}
    return {
        "id": ID, "object": "chat.completion", "created": CREATED, "model": asked.model, "choices": [choice],
        "usage": _usage(answer.counts), "service_tier": "default", "system_fingerprint": "fp_fake",
    }  # fmt: skip


def stream(asked: Asked, answer: Answer) -> Streamed:
    def event(choices: list[Any], **more: Any) -> bytes:
        chunk = {
            "id": ID, "object": "chat.completion.chunk", "created": CREATED, "model": asked.model,
            "service_tier": "default", "system_fingerprint": "fp_fake", "choices": choices,
        }  # fmt: skip
        return b"data: " + json.dumps(chunk | more, ensure_ascii=False).encode() + b"\n\n"

    def delta(change: dict[str, Any], finish: str | None = None) -> bytes:
        return event([{"index": 0, "delta": change, "logprobs": None, "finish_reason": finish}])

    opening = [delta({"role": "assistant", "content": "", "refusal": None})]
    opening += [delta({"reasoning_content": piece}) for piece in answer.thoughts]
    texts = [delta({"content": piece}) for piece in answer.texts]
    closing = [delta({"tool_calls": [piece]}) for piece in _interleaved(answer)]
    closing.append(delta({}, answer.finish))
    if asked.includes_usage:
        closing.append(event([], usage=_usage(answer.counts)))
    return Streamed(opening, texts, [*closing, b"data: [DONE]\n\n"])


def _interleaved(answer: Answer) -> list[dict[str, Any]]:
    """The pieces of several calls take turns, as some providers send them."""
    calls: list[list[dict[str, Any]]] = []
    for i, (name, arguments) in enumerate(answer.calls):
        start = {"index": i, "id": _call_id(i), "type": "function", "function": {"name": name, "arguments": ""}}
        pieces = pieces_of(json.dumps(arguments))
        calls.append([start, *({"index": i, "function": {"arguments": piece}} for piece in pieces)])
    return [piece for round_ in itertools.zip_longest(*calls) for piece in round_ if piece is not None]


def error(status: int, message: str, code: str = "", param: str = "") -> Any:
    kinds = {400: "invalid_request_error", 401: "invalid_request_error", 429: "requests", 404: "invalid_request_error"}
    kind = kinds.get(status, "server_error")
    return {"error": {"message": message, "type": kind, "param": param or None, "code": code or None}}


def stream_error(status: int, message: str) -> list[bytes]:
    return [b"data: " + json.dumps(error(status, message, "overloaded")).encode() + b"\n\n"]


def _call_id(index: int) -> str:
    return f"call_fakeDialectCall0000000{index}"


def _usage(counts: Counts) -> dict[str, Any]:
    return {
        "prompt_tokens": counts.input,
        "completion_tokens": counts.output,
        "total_tokens": counts.input + counts.output,
        "prompt_tokens_details": {"cached_tokens": counts.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": counts.reasoning, "audio_tokens": 0},
    }
