"""Responses as a strict provider of it reads and writes, without server state (`previous_response_id` is refused)."""

import json
import re
from typing import Any

from tests.support.fake_dialects.scenarios import signature_of
from tests.support.fake_dialects.script import (
    COUNTED,
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

NAME = "openai_responses"
STREAM_TYPE = "text/event-stream; charset=utf-8"
ID, CREATED = "resp_fake0123456789abcdef0123456789abcdef", 1_700_000_000
_ENCRYPTED = "reasoning.encrypted_content"
_TOP = names(
    "model input instructions stream stream_options max_output_tokens max_tool_calls temperature top_p top_logprobs tools"
    " tool_choice parallel_tool_calls text reasoning include store metadata user safety_identifier prompt_cache_key"
    " service_tier truncation background"
)
_ITEM = {
    "message": frozenset({"type", "role", "content", "id", "status", "phase"}),
    "function_call": frozenset({"type", "call_id", "name", "arguments", "id", "status", "namespace"}),
    "function_call_output": frozenset({"type", "call_id", "output", "id", "status"}),
    "reasoning": frozenset({"type", "id", "summary", "content", "encrypted_content", "status"}),
}
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def read(_: str, headers: dict[str, str], body: Any) -> Asked:
    expect(headers.get("authorization", "").startswith("Bearer "), "no API key was given", status=401)
    only(_TOP, body, "")
    asked = Asked(NAME, text_in(body.get("model"), "model"), is_stream=body.get("stream") is True)
    asked.temperature = body.get("temperature")
    expect(asked.temperature is None or 0 <= asked.temperature <= 2, "must be within 0 and 2", "temperature")
    asked.max_tokens = body.get("max_output_tokens")
    expect(asked.max_tokens is None or asked.max_tokens >= 16, "must be 16 at least", "max_output_tokens")
    for name in ("user", "safety_identifier", "prompt_cache_key"):
        expect(len(body.get(name) or "") <= 64, "string too long, at most 64", name)
    reasoning = body.get("reasoning") or {}
    only(frozenset({"effort", "summary", "generate_summary"}), reasoning, "reasoning")
    efforts = (None, "none", "minimal", "low", "medium", "high", "xhigh")
    expect(reasoning.get("effort") in efforts, "unknown effort", "reasoning.effort")
    expect(reasoning.get("summary") in (None, "auto", "concise", "detailed"), "unknown", "reasoning.summary")
    asked.thinks = reasoning.get("effort") not in (None, "none")
    asked.shows_thoughts = reasoning.get("summary") is not None
    include = body.get("include") or []
    known = (_ENCRYPTED, "message.output_text.logprobs", "web_search_call.action.sources")
    expect(all(one in known for one in include), f"unknown: {include}", "include")
    asked.gives_signature = _ENCRYPTED in include
    _read_tools(body, asked)
    _read_text(body.get("text") or {}, asked)
    asked.settings = {name: body[name] for name in sorted(_TOP & body.keys()) if name not in ("input", "tools")}
    if body.get("instructions") is not None:
        asked.system.append(text_in(body["instructions"], "instructions"))
    given = body.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else list_in(given, "input")
    _Input(asked, is_stored=body.get("store") is not False).read(items)
    return asked


def _read_tools(body: dict[str, Any], asked: Asked) -> None:
    for i, tool in enumerate(body.get("tools") or ()):
        where = f"tools[{i}]"
        only(frozenset({"type", "name", "description", "parameters", "strict"}), tool, where)
        expect(tool.get("type") == "function", "unknown type", f"{where}.type")
        expect(_TOOL_NAME.fullmatch(tool.get("name", "")), "does not match the pattern", f"{where}.name")
        schema = tool.get("parameters") or {"type": "object", "properties": {}}
        if tool.get("strict", True) is not False:  # strict is what it is when nothing is said
            check_strict(schema, f"{where}.parameters")
            check_all_required(schema, f"{where}.parameters")
        asked.tools[tool["name"]] = schema
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        only(frozenset({"type", "name"}), choice, "tool_choice")
        choice = text_in(choice.get("name"), "tool_choice.name")
        expect(choice in asked.tools, "names no tool", "tool_choice")
    else:
        expect(choice in (None, "auto", "none", "required"), "unknown", "tool_choice")
    asked.tool_choice = choice or ""


def _read_text(text: dict[str, Any], asked: Asked) -> None:
    only(frozenset({"format", "verbosity"}), text, "text")
    wanted = text.get("format") or {"type": "text"}
    only(frozenset({"type", "name", "schema", "strict", "description"}), wanted, "text.format")
    expect(wanted.get("type") in ("text", "json_object", "json_schema"), "unknown type", "text.format.type")
    if wanted["type"] == "json_schema":
        expect(_TOOL_NAME.fullmatch(wanted.get("name", "")), "missing or illegal", "text.format.name")
        asked.schema = wanted["schema"]
        if wanted.get("strict"):
            check_strict(wanted["schema"], "text.format.schema")


class _Input:
    """Reads the items in order; what leads to what is checked at the end."""

    def __init__(self, asked: Asked, *, is_stored: bool) -> None:
        self._asked = asked
        self._is_stored = is_stored
        self._calls: dict[str, str] = {}
        self._answered: set[str] = set()

    def read(self, items: list[Any]) -> None:
        kinds = []
        for i, item in enumerate(items):
            where = f"input[{i}]"
            kind = item.get("type", "message")
            expect(kind in _ITEM, f"unknown type {kind!r}", where)
            only(_ITEM[kind], item, where)
            getattr(self, f"_{kind}")(item, where)
            kinds.append("user" if kind == "message" and item["role"] != "assistant" else kind)
        for before, after in zip(kinds, [*kinds[1:], ""], strict=True):
            follows = before != "reasoning" or after in ("message", "function_call", "reasoning")
            expect(follows, "a 'reasoning' item was provided without its required following item", "input")
        missing = sorted(set(self._calls) - self._answered)
        expect(not missing, f"No tool output found for function call {missing}", "input")
        expect(self._asked.turns, "must not be empty", "input")

    def _turn(self, role: str) -> Turn:
        turns = self._asked.turns
        if not turns or turns[-1].role != role:
            turns.append(Turn(role))
        return turns[-1]

    def _message(self, item: dict[str, Any], where: str) -> None:
        role = item.get("role")
        expect(role in ("user", "assistant", "system", "developer"), f"unknown role {role!r}", f"{where}.role")
        self._check_id(item, "msg_", where)
        content = item.get("content")
        kind = "output_text" if role == "assistant" else "input_text"
        parts = [{"type": kind, "text": content}] if isinstance(content, str) else list_in(content, f"{where}.content")
        turn = Turn(str(role)) if role in ("system", "developer") else self._turn(str(role))
        for j, part in enumerate(parts):
            at = f"{where}.content[{j}]"
            allowed = ("output_text", "refusal") if role == "assistant" else ("input_text", "input_image", "input_file")
            expect(part.get("type") in allowed, f"Invalid value: {part.get('type')!r}. Supported: {allowed}", at)
            if part["type"] == "input_image":
                only(frozenset({"type", "image_url", "detail", "file_id"}), part, at)
                turn.pictures.append(picture_at(text_in(part.get("image_url"), f"{at}.image_url"), at))
            else:
                only(frozenset({"type", "text", "annotations", "logprobs"}), part, at)
                turn.texts.append(text_in(part.get("text"), f"{at}.text"))
        if turn.role in ("system", "developer"):
            self._asked.system += turn.texts

    def _function_call(self, item: dict[str, Any], where: str) -> None:
        call_id = text_in(item.get("call_id"), f"{where}.call_id")
        expect(0 < len(call_id) <= 64, "must have 1 to 64 characters", f"{where}.call_id")
        expect(call_id not in self._calls, "is there twice", f"{where}.call_id")
        self._check_id(item, "fc_", where)
        arguments = json.loads(text_in(item.get("arguments"), f"{where}.arguments"))
        self._calls[call_id] = item["name"]
        self._turn("assistant").calls.append(Call(call_id, text_in(item.get("name"), f"{where}.name"), arguments))

    def _function_call_output(self, item: dict[str, Any], where: str) -> None:
        call_id = text_in(item.get("call_id"), f"{where}.call_id")
        expect(call_id in self._calls, f"No tool call found for function call output with call_id {call_id}.", where)
        expect(call_id not in self._answered, "is answered twice", where)
        self._answered.add(call_id)
        output = item.get("output")
        if not isinstance(output, str):
            parts = list_in(output, f"{where}.output")
            output = "".join(text_in(part.get("text"), f"{where}.output") for part in parts)
        self._turn("tool").results.append(Result(call_id, self._calls[call_id], output))

    def _check_id(self, item: dict[str, Any], prefix: str, where: str) -> None:
        """What came of reasoning is known by its id, and must not stand without it."""
        item_id = str(item.get("id") or prefix)
        expect(item_id.startswith(prefix), f"expected an id {prefix}…", f"{where}.id")
        if item_id.startswith(f"{prefix}fakeR"):
            has_it = bool(self._asked.turns[-1].signatures)
            expect(has_it, f"'{item_id}' was provided without its required 'reasoning' item", where)

    def _reasoning(self, item: dict[str, Any], where: str) -> None:
        expect(str(item.get("id", "rs_")).startswith("rs_"), "expected an id rs_…", f"{where}.id")
        summary = list_in(item.get("summary"), f"{where}.summary")
        encrypted = item.get("encrypted_content")
        turn = self._turn("assistant")
        turn.thoughts += [text_in(part.get("text"), f"{where}.summary") for part in summary]
        if encrypted is None:
            expect(self._is_stored, "Item not found. Items are not persisted when `store` is false.", where, status=404)
            return
        expect(encrypted == signature_of(NAME), "The encrypted content could not be verified.", where)
        expect(item.get("id") in (None, "rs_fake00"), "is not the id of this encrypted content", f"{where}.id")
        turn.signatures.append(encrypted)


# -- answers ---------------------------------------------------------------------------------------------------------


def whole(asked: Asked, answer: Answer) -> Any:
    return _response(asked, answer, _items(asked, answer))


def stream(asked: Asked, answer: Answer) -> Streamed:
    number = 0

    def event(kind: str, **fields: Any) -> bytes:
        nonlocal number
        data = {"type": kind, "sequence_number": number, **fields}
        number += 1
        return f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()

    begun = _response(asked, answer, []) | {"status": "in_progress", "usage": None, "incomplete_details": None}
    opening = [event("response.created", response=begun), event("response.in_progress", response=begun)]
    texts: list[bytes] = []
    closing: list[bytes] = []
    items = _items(asked, answer)
    for index, item in enumerate(items):
        at = {"output_index": index}
        place = {"item_id": item["id"], **at}
        if item["type"] == "reasoning":
            opening.append(event("response.output_item.added", **at, item=item | {"summary": []}))
            if item["summary"]:
                part = {**place, "summary_index": 0}
                empty = {"type": "summary_text", "text": ""}
                opening.append(event("response.reasoning_summary_part.added", **part, part=empty))
                opening += [
                    event("response.reasoning_summary_text.delta", **part, delta=piece) for piece in answer.thoughts
                ]
                done = item["summary"][0]
                opening.append(event("response.reasoning_summary_text.done", **part, text=done["text"]))
                opening.append(event("response.reasoning_summary_part.done", **part, part=done))
            opening.append(event("response.output_item.done", **at, item=item))
        elif item["type"] == "message":
            part = {**place, "content_index": 0}
            begun_item = item | {"status": "in_progress", "content": []}
            opening.append(event("response.output_item.added", **at, item=begun_item))
            empty = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
            opening.append(event("response.content_part.added", **part, part=empty))
            texts = [
                event("response.output_text.delta", **part, delta=piece, logprobs=[], obfuscation="x" * (i % 5))
                for i, piece in enumerate(answer.texts)
            ]
            closing.append(event("response.output_text.done", **part, text=answer.text, logprobs=[]))
            closing.append(event("response.content_part.done", **part, part=item["content"][0]))
            closing.append(event("response.output_item.done", **at, item=item))
        else:
            begun_item = item | {"status": "in_progress", "arguments": ""}
            closing.append(event("response.output_item.added", **at, item=begun_item))
            closing += [
                event("response.function_call_arguments.delta", **place, delta=piece, obfuscation="xx")
                for piece in pieces_of(item["arguments"])
            ]
            closing.append(event("response.function_call_arguments.done", **place, arguments=item["arguments"]))
            closing.append(event("response.output_item.done", **at, item=item))
    kind = "response.incomplete" if answer.finish in _INCOMPLETE else "response.completed"
    closing.append(event(kind, response=_response(asked, answer, items)))
    return Streamed(opening, texts, closing)


def error(status: int, message: str, code: str = "", param: str = "") -> Any:
    kinds = {400: "invalid_request_error", 401: "invalid_request_error", 429: "requests", 404: "invalid_request_error"}
    kind = kinds.get(status, "server_error")
    return {"error": {"message": message, "type": kind, "param": param or None, "code": code or None}}


def stream_error(status: int, message: str) -> list[bytes]:
    """The event, and the response that failed of it: the API sends both."""
    told = {"type": "error", "sequence_number": 90, "code": "server_is_overloaded", "message": message, "param": None}
    response = {
        "id": ID, "object": "response", "created_at": CREATED, "status": "failed", "model": "error-stream", "output": [],
        "error": {"code": "server_is_overloaded", "message": message}, "incomplete_details": None, "usage": None,
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "metadata": {},
    }  # fmt: skip
    failed = {"type": "response.failed", "sequence_number": 91, "response": response}
    return [f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in (told, failed)]


def count(_: Asked) -> Any:
    return {"object": "response.input_tokens", "input_tokens": COUNTED}


def _items(asked: Asked, answer: Answer) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    mark = "fakeR" if answer.thoughts else "fake"
    if answer.thoughts:
        summary = [{"type": "summary_text", "text": "".join(answer.thoughts)}] if asked.shows_thoughts else []
        item = {"id": "rs_fake00", "type": "reasoning", "summary": summary}
        if asked.gives_signature and answer.is_signed:
            item["encrypted_content"] = signature_of(NAME)
        items.append(item)
    if answer.texts:
        part = {"type": "output_text", "annotations": [], "logprobs": [], "text": answer.text}
        status = "incomplete" if answer.finish in _INCOMPLETE else "completed"
        items.append(
            {"id": f"msg_{mark}00", "type": "message", "status": status, "role": "assistant", "content": [part]}
        )
    for i, (name, arguments) in enumerate(answer.calls):
        call = {"id": f"fc_{mark}0{i}", "type": "function_call", "status": "completed", "name": name}
        items.append(call | {"call_id": f"call_fakeResponses0000{i}", "arguments": json.dumps(arguments)})
    return items


def _response(asked: Asked, answer: Answer, output: list[dict[str, Any]]) -> dict[str, Any]:
    reason = _INCOMPLETE.get(answer.finish)
    return {
        "id": ID, "object": "response", "created_at": CREATED, "status": "incomplete" if reason else "completed",
        "background": False, "error": None, "incomplete_details": {"reason": reason} if reason else None,
        "instructions": None, "max_output_tokens": asked.max_tokens, "max_tool_calls": None, "model": asked.model,
        "output": output, "parallel_tool_calls": True, "previous_response_id": None, "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None}, "safety_identifier": None, "service_tier": "default",
        "store": False, "temperature": 1.0, "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto", "tools": [], "top_logprobs": 0, "top_p": 1.0, "truncation": "disabled",
        "usage": _usage(answer.counts), "user": None, "metadata": {},
    }  # fmt: skip


def _usage(counts: Counts) -> dict[str, Any]:
    return {
        "input_tokens": counts.input,
        "input_tokens_details": {"cached_tokens": counts.cached},
        "output_tokens": counts.output,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning},
        "total_tokens": counts.input + counts.output,
    }
