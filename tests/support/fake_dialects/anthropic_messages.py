"""Anthropic Messages as a strict provider of it reads and writes."""

import json
import re
from typing import Any

from tests.support.fake_dialects.scenarios import THOUGHTS, signature_of
from tests.support.fake_dialects.script import (
    COUNTED,
    Answer,
    Asked,
    Call,
    Counts,
    Picture,
    Result,
    Streamed,
    Turn,
    check_strict,
    expect,
    list_in,
    names,
    only,
    picture_of,
    pieces_of,
    text_in,
)

NAME = "anthropic_messages"
VERSIONS = ("2023-06-01", "2026-10-21")
STREAM_TYPE = "text/event-stream; charset=utf-8"
ID = "msg_01FakeDialectAnthropic1"
_TOP = names(
    "model messages max_tokens system stream temperature top_p top_k stop_sequences tools tool_choice thinking output_config"
    " metadata service_tier cache_control container context_management"
)
_BLOCK = {
    "text": frozenset({"type", "text", "cache_control", "citations"}),
    "image": frozenset({"type", "source", "cache_control"}),
    "tool_use": frozenset({"type", "id", "name", "input", "cache_control", "caller"}),
    "tool_result": frozenset({"type", "tool_use_id", "content", "is_error", "cache_control"}),
    "thinking": frozenset({"type", "thinking", "signature"}),
    "redacted_thinking": frozenset({"type", "data"}),
}
_OF_ROLE = {
    "user": {"text", "image", "tool_result"},
    "assistant": {"text", "tool_use", "thinking", "redacted_thinking"},
}
_ID = re.compile(r"[a-zA-Z0-9_-]+")
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_FINISH = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens", "content_filter": "refusal"}


def read(path: str, headers: dict[str, str], body: Any) -> Asked:
    expect("x-api-key" in headers or "authorization" in headers, "x-api-key header is required", status=401)
    expect(headers.get("anthropic-version") in VERSIONS, "anthropic-version: header is required")
    only(_TOP, body, "")
    is_counting = path.endswith("/count_tokens")
    asked = Asked(NAME, text_in(body.get("model"), "model"), is_stream=body.get("stream") is True)
    asked.max_tokens = body.get("max_tokens")
    if is_counting:
        expect("max_tokens" not in body and "stream" not in body, "Extra inputs are not permitted")
    else:
        expect(isinstance(asked.max_tokens, int) and asked.max_tokens >= 1, "Field required", "max_tokens")
    asked.temperature = body.get("temperature")
    expect(asked.temperature is None or 0 <= asked.temperature <= 1, "range: 0..1", "temperature")
    expect(all(one.strip() for one in body.get("stop_sequences") or ()), "each must have text", "stop_sequences")
    only(frozenset({"user_id"}), body.get("metadata") or {}, "metadata")
    _read_system(body.get("system"), asked)
    _read_tools(body, asked)
    _read_thinking(body, asked)
    _read_format(body.get("output_config") or {}, asked)
    asked.settings = {name: body[name] for name in sorted(_TOP & body.keys()) if name not in ("messages", "tools")}
    _read_messages(list_in(body.get("messages"), "messages"), asked)
    return asked


def _read_system(system: Any, asked: Asked) -> None:
    if isinstance(system, str):
        asked.system.append(system)
    elif system is not None:
        for i, block in enumerate(list_in(system, "system")):
            only(_BLOCK["text"], block, f"system.{i}")
            expect(block.get("text"), "text content blocks must be non-empty", f"system.{i}")
            asked.system.append(block["text"])


def _read_tools(body: dict[str, Any], asked: Asked) -> None:
    for i, tool in enumerate(body.get("tools") or ()):
        where = f"tools.{i}"
        only(frozenset({"type", "name", "description", "input_schema", "cache_control", "strict"}), tool, where)
        expect(_TOOL_NAME.fullmatch(tool.get("name", "")), "does not match the pattern", f"{where}.name")
        schema = tool.get("input_schema")
        expect(isinstance(schema, dict) and schema.get("type") == "object", "Field required", f"{where}.input_schema")
        asked.tools[tool["name"]] = schema
    choice = body.get("tool_choice")
    if choice is None:
        return
    expect(asked.tools, "may only be given with tools", "tool_choice")
    only(frozenset({"type", "name", "disable_parallel_tool_use"}), choice, "tool_choice")
    kind = choice.get("type")
    expect(kind in ("auto", "any", "none", "tool"), "unknown type", "tool_choice.type")
    expect(kind != "tool" or choice.get("name") in asked.tools, "names no tool", "tool_choice.name")
    expect(kind != "none" or "disable_parallel_tool_use" not in choice, "Extra inputs are not permitted", "tool_choice")
    asked.tool_choice = choice["name"] if kind == "tool" else kind


def _read_thinking(body: dict[str, Any], asked: Asked) -> None:
    thinking = body.get("thinking") or {"type": "disabled"}
    only(frozenset({"type", "budget_tokens", "display"}), thinking, "thinking")
    kind = thinking.get("type")
    expect(kind in ("enabled", "adaptive", "disabled"), "unknown type", "thinking.type")
    asked.thinks = kind != "disabled"
    asked.shows_thoughts = thinking.get("display", "summarized") == "summarized"
    if kind == "enabled":
        budget = thinking.get("budget_tokens")
        expect(isinstance(budget, int) and budget >= 1024, "must be 1024 at least", "thinking.budget_tokens")
        expect(asked.max_tokens is None or budget < asked.max_tokens, "must be below max_tokens", "thinking")
    else:
        expect("budget_tokens" not in thinking, "Extra inputs are not permitted", "thinking.budget_tokens")
    if asked.thinks:
        expect(asked.temperature in (None, 1), "may only be 1 when thinking is on", "temperature")
        expect("top_k" not in body, "must be unset when thinking is on", "top_k")
        forced = asked.tool_choice not in ("", "auto", "none")
        expect(not forced, "Thinking may not be enabled when tool_choice forces tool use.", "tool_choice")


def _read_format(config: dict[str, Any], asked: Asked) -> None:
    only(frozenset({"effort", "format"}), config, "output_config")
    expect(config.get("effort") in (None, "low", "medium", "high", "xhigh", "max"), "unknown", "output_config.effort")
    if config.get("format"):
        only(frozenset({"type", "schema"}), config["format"], "output_config.format")
        expect(config["format"]["type"] == "json_schema", "unknown type", "output_config.format.type")
        asked.schema = config["format"]["schema"]
        check_strict(asked.schema, "output_config.format.schema")


def _read_messages(messages: list[Any], asked: Asked) -> None:
    expect(messages, "at least one message is required", "messages")
    expect(messages[0].get("role") == "user", "first message must use the user role", "messages.0")
    merged: list[tuple[str, str, list[Any]]] = []
    for i, message in enumerate(messages):
        where = f"messages.{i}"
        only(frozenset({"role", "content"}), message, where)
        role = message.get("role")
        expect(role in _OF_ROLE, f"Unexpected role {role!r}", where)
        blocks = _blocks(message.get("content"), f"{where}.content")
        expect(blocks or (role == "assistant" and i == len(messages) - 1), "must have non-empty content", where)
        if merged and merged[-1][1] == role:
            merged[-1][2].extend(blocks)
        else:
            merged.append((where, role, blocks))
    awaited: list[Call] = []
    begun_with: dict[str, str] = {}
    for where, role, blocks in merged:
        turn = Turn(role)
        kinds = [block["type"] for block in blocks]
        results = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
        missing = sorted({call.id for call in awaited} - results)
        expect(
            not missing, f"`tool_use` ids were found without `tool_result` blocks immediately after: {missing}", where
        )
        first = kinds[: len(results)]
        expect(set(first) <= {"tool_result"}, "tool_result blocks must come first in a message", where)
        for j, block in enumerate(blocks):
            _read_block(block, f"{where}.content.{j}", role, turn, awaited)
        if role == "user" and not turn.results:
            begun_with.clear()  # loops that are over may have lost their thoughts
        elif turn.calls:
            begun_with[f"{where}.content.0"] = kinds[0]
        awaited = turn.calls
        asked.turns.append(turn)
    expect(not awaited, "`tool_use` ids were found without `tool_result` blocks immediately after", "messages")
    for where, kind in begun_with.items():
        has_thought = kind in ("thinking", "redacted_thinking") or not asked.thinks
        expect(has_thought, f"Expected `thinking` or `redacted_thinking`, but found `{kind}`", where)


def _blocks(content: Any, where: str) -> list[Any]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return list_in(content, where)


def _read_block(block: Any, where: str, role: str, turn: Turn, awaited: list[Call]) -> None:
    kind = block.get("type")
    expect(kind in _OF_ROLE[role], f"Input tag {kind!r} is not allowed for the role {role}", where)
    only(_BLOCK[kind], block, where)
    if kind == "text":
        expect(block.get("text"), "text content blocks must be non-empty", where)
        expect(role == "user" or block["text"].strip(), "text content blocks must contain non-whitespace text", where)
        turn.texts.append(text_in(block["text"], where))
    elif kind == "image":
        turn.pictures.append(_read_picture(block["source"], f"{where}.source"))
    elif kind == "tool_use":
        expect(_ID.fullmatch(text_in(block.get("id"), f"{where}.id")), "should match '^[a-zA-Z0-9_-]+$'", f"{where}.id")
        expect(block["id"] not in {call.id for call in turn.calls}, "`tool_use` ids must be unique", where)
        expect(_TOOL_NAME.fullmatch(block.get("name", "")), "does not match the pattern", f"{where}.name")
        expect(isinstance(block.get("input"), dict), "Input should be a valid dictionary", f"{where}.input")
        turn.calls.append(Call(block["id"], block["name"], block["input"]))
    elif kind == "tool_result":
        call = next((call for call in awaited if call.id == block.get("tool_use_id")), None)
        expect(call, f"unexpected `tool_use_id` found in `tool_result` blocks: {block.get('tool_use_id')}", where)
        expect(block["tool_use_id"] not in {result.call_id for result in turn.results}, "is answered twice", where)
        texts = [text_in(one.get("text"), where) for one in _blocks(block.get("content", ""), where)]
        expect(all(texts), "text content blocks must be non-empty", where)
        assert call
        is_error = block.get("is_error", False) is True
        turn.results.append(Result(call.id, call.name, "".join(texts), is_error=is_error))
    elif kind == "thinking":
        expect(block.get("signature") == signature_of(NAME), "Invalid `signature` in `thinking` block", where)
        expect(block.get("thinking") in ("", "".join(THOUGHTS)), "`thinking` blocks cannot be modified", where)
        turn.signatures.append(block["signature"])
        turn.thoughts.append(block["thinking"])
    else:
        raise AssertionError(f"this fake gives no {kind}")


def _read_picture(source: Any, where: str) -> Picture:
    if source.get("type") == "url":
        only(frozenset({"type", "url"}), source, where)
        return Picture(url=text_in(source.get("url"), where))
    only(frozenset({"type", "media_type", "data"}), source, where)
    kinds = ("image/jpeg", "image/png", "image/gif", "image/webp")
    expect(source.get("media_type") in kinds, f"Input should be one of {kinds}", f"{where}.media_type")
    picture = picture_of(source["media_type"], text_in(source.get("data"), where), f"{where}.data")
    expect(picture.media_type == picture.real_type, "the media type is not what the picture is", where)
    return picture


# -- answers ---------------------------------------------------------------------------------------------------------


def whole(asked: Asked, answer: Answer) -> Any:
    return {
        "model": asked.model, "id": ID, "type": "message", "role": "assistant", "content": _content(asked, answer),
        "stop_reason": _FINISH[answer.finish], "stop_sequence": None, "usage": _usage(answer.counts),
    }  # fmt: skip


def stream(asked: Asked, answer: Answer) -> Streamed:
    def event(kind: str, **fields: Any) -> bytes:
        data = json.dumps({"type": kind, **fields}, ensure_ascii=False)
        return f"event: {kind}\ndata: {data[:-1]}{' ' * (len(data) % 4)}}}\n\n".encode()

    def delta(index: int, kind: str, **fields: Any) -> bytes:
        return event("content_block_delta", index=index, delta={"type": kind, **fields})

    started = _usage(answer.counts) | {"output_tokens": 1}
    message = whole(asked, answer) | {"content": [], "stop_reason": None, "usage": started}
    opening = [event("message_start", message=message)]
    texts: list[bytes] = []
    closing: list[bytes] = []
    for index, block in enumerate(_content(asked, answer)):
        stop = event("content_block_stop", index=index)
        if block["type"] == "thinking":
            opening.append(
                event("content_block_start", index=index, content_block=block | {"thinking": "", "signature": ""})
            )
            opening += [
                delta(index, "thinking_delta", thinking=piece) for piece in answer.thoughts if block["thinking"]
            ]
            opening += [delta(index, "signature_delta", signature=block["signature"]), stop]
        elif block["type"] == "text":
            opening.append(event("content_block_start", index=index, content_block=block | {"text": ""}))
            texts = [delta(index, "text_delta", text=piece) for piece in answer.texts]
            closing.append(stop)
        else:
            closing.append(event("content_block_start", index=index, content_block=block | {"input": {}}))
            closing.append(delta(index, "input_json_delta", partial_json=""))
            if block["input"]:
                pieces = pieces_of(json.dumps(block["input"]))
                closing += [delta(index, "input_json_delta", partial_json=piece) for piece in pieces]
            closing.append(stop)
    opening.insert(min(2, len(opening)), event("ping"))
    ended = {"stop_reason": _FINISH[answer.finish], "stop_sequence": None}
    closing += [event("message_delta", delta=ended, usage=_usage(answer.counts)), event("message_stop")]
    return Streamed(opening, texts, closing)


def error(status: int, message: str, code: str = "", param: str = "") -> Any:
    kinds = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
    kind = kinds.get(status, "overloaded_error" if status == 529 else "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_011fake"}


def stream_error(status: int, message: str) -> list[bytes]:
    return [b"event: error\ndata: " + json.dumps(error(529, message)).encode() + b"\n\n"]


def count(_: Asked) -> Any:
    return {"input_tokens": COUNTED}


def _content(asked: Asked, answer: Answer) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    if answer.thoughts:
        shown = "".join(answer.thoughts) if asked.shows_thoughts else ""
        content.append({"type": "thinking", "thinking": shown, "signature": signature_of(NAME)})
    if answer.texts:
        content.append({"type": "text", "text": answer.text})
    for i, (name, arguments) in enumerate(answer.calls):
        content.append({"type": "tool_use", "id": f"toolu_01FakeDialect00000{i}", "name": name, "input": arguments})
    return content


def _usage(counts: Counts) -> dict[str, Any]:
    """`input_tokens` holds neither what was read from the cache nor what was written to it."""
    usage = {
        "input_tokens": counts.input - counts.cached - counts.written,
        "cache_creation_input_tokens": counts.written,
        "cache_read_input_tokens": counts.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": counts.written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": counts.output,
        "service_tier": "standard",
    }
    return usage | ({"output_tokens_details": {"thinking_tokens": counts.reasoning}} if counts.reasoning else {})
