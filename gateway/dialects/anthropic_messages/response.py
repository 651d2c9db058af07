"""Messages answers that are not streamed: judged, read into the hub, and written for callers."""

from typing import Any

import msgspec
from msgspec import structs

from gateway.dialects.anthropic_messages import carried
from gateway.dialects.anthropic_messages.wire import (
    ERROR_STATUSES,
    STOP_REASONS,
    Block,
    citations_of,
    finish_of,
    json_object,
    usage_fields,
    usage_of,
)
from gateway.dialects.calls import made_up_id
from gateway.dialects.codec import UNREADABLE, BrokenAnswer, Origin, Reading, Stamp
from gateway.dialects.envelope import Envelopes
from gateway.dialects.provider_errors import error_text
from gateway.dialects.surrogates import cleaned_text
from gateway.dialects.tool_names import legal_id, wrapped
from gateway.domain.chat import (
    Answer,
    ChatRequest,
    Citation,
    Finish,
    Part,
    Refusal,
    Signature,
    Text,
    Thinking,
    ToolCall,
)
from gateway.domain.usage import Usage

_CHARS_A_TOKEN = 4


class _Body(msgspec.Struct, frozen=True):
    type: Any = None
    content: Any = None
    error: Any = None
    usage: Any = None
    stop_reason: Any = None


class _Message(msgspec.Struct, frozen=True):
    content: list[Block]
    id: str = ""
    model: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: Any = None


_decode_body = msgspec.json.Decoder(_Body).decode
_decode_message = msgspec.json.Decoder(_Message).decode
_encode = msgspec.json.Encoder().encode


# -- from a provider -----------------------------------------------------------------------------------------------------


def read_answer(body: bytes) -> Reading:
    """Judge a body that came with a status of 200. No content is an answer as long as it says why it stopped."""
    if not body.strip():
        return Reading(kind="empty", message="the provider sent an empty answer")
    try:
        answer = _decode_body(body)
    except UNREADABLE:
        return Reading(kind="not_json", message="the provider's answer is not a message")
    if answer.error or answer.type == "error":
        return Reading(kind="error", message=error_text(body), error_status=_status_in(answer.error))
    if not isinstance(answer.content, list) or not (answer.content or answer.stop_reason):
        return Reading(kind="empty", message="the provider's answer has no content")
    return Reading(kind="answer", usage=usage_of(answer.usage))


def decode_response(body: bytes, origin: Origin) -> Answer:
    """A whole answer. Blocks that only this dialect has are left out; raises BrokenAnswer for what is no message."""
    try:
        message = _decode_message(body)
    except UNREADABLE as error:
        raise BrokenAnswer("the provider's answer is not a message") from error
    parts: list[Part] = []
    taken: set[str] = set()
    for block in message.content:
        part = _part_of(block, origin, taken)
        if part is not None:
            parts.append(part)
    has_calls = any(isinstance(part, ToolCall) for part in parts)
    tier = message.usage.get("service_tier") if isinstance(message.usage, dict) else None
    return Answer(
        parts=tuple(parts),
        finish=finish_of(message.stop_reason, has_calls=has_calls),
        id=message.id,
        model=message.model,
        stop_sequence=message.stop_sequence or "",
        native_finish=message.stop_reason or "",
        usage=usage_of(message.usage),
        service_tier=tier if isinstance(tier, str) else "",
    )


def _part_of(block: Block, origin: Origin, taken: set[str]) -> Part | None:
    match block.type:
        case "text" if block.text:
            return Text(text=block.text, citations=citations_of(block.citations, block.text))
        case "thinking":
            signature = Signature(carried.DIALECT, block.signature, origin.provider) if block.signature else None
            return Thinking(text=block.thinking or "", signature=signature)
        case "redacted_thinking":
            signature = Signature(carried.DIALECT, block.data or "", origin.provider)
            return Thinking(signature=signature, is_redacted=True)
        case "tool_use" if block.name:  # nobody could serve a call without a name
            call_id = block.id or ""
            if not call_id or call_id in taken:
                call_id = made_up_id(origin.request_id, len(taken))
            taken.add(call_id)
            arguments = bytes(block.input).decode("utf-8", "replace")
            return ToolCall(id=call_id, name=block.name, arguments=arguments if arguments.startswith("{") else "{}")
        case _:
            return None


def _status_in(error: object) -> int:
    kind = error.get("type") if isinstance(error, dict) else None
    return ERROR_STATUSES.get(kind, 0) if isinstance(kind, str) else 0


# -- for a caller --------------------------------------------------------------------------------------------------------


def encode_response(answer: Answer, stamp: Stamp) -> bytes:
    """A whole answer. Pictures have no place; of thoughts that the caller did not ask for the signature stays."""
    shows = shows_thinking(stamp.request)
    parts = _without_last_mark(answer.parts)
    content = [block for part in parts for block in _blocks_of(part, stamp.envelopes, shows=shows)]
    has_calls = any(isinstance(part, ToolCall) for part in answer.parts)
    is_refused = any(isinstance(part, Refusal) for part in answer.parts)
    reason = stop_reason_of(answer.finish, answer.native_finish, has_calls=has_calls, is_refused=is_refused)
    usage = usage_or_estimate(answer.usage, stamp, sum(map(_chars_of, answer.parts)))
    return _encode(
        {
            "id": answer_id(stamp),
            "type": "message",
            "role": "assistant",
            "model": stamp.model,
            "content": content,
            "stop_reason": reason,
            "stop_sequence": answer.stop_sequence if reason == "stop_sequence" else None,
            "usage": usage_fields(usage),
        }
    )


def answer_id(stamp: Stamp) -> str:
    return f"msg_{stamp.request_id.replace('-', '')}"


def shows_thinking(request: ChatRequest | None) -> bool:
    """Whether the text of thoughts goes to the caller: only when thinking was asked for, and not `omitted`."""
    if request is None:
        return True
    reasoning = request.reasoning
    if reasoning is None or reasoning.budget == 0 or reasoning.effort == "none":
        return False
    return reasoning.shows is not False


def stop_reason_of(finish: Finish, native: str, *, has_calls: bool, is_refused: bool) -> str:
    """Anthropic's own finer word is kept. Words of refusal stop the answer as `refusal`, calls as `tool_use`."""
    if native == "model_context_window_exceeded":
        return native
    if finish == "stop" and has_calls:
        return "tool_use"
    if finish == "stop" and is_refused:
        return "refusal"
    return "end_turn" if finish == "tool_calls" and not has_calls else STOP_REASONS[finish]


def usage_or_estimate(usage: Usage | None, stamp: Stamp, chars: int) -> Usage:
    """What the provider told; an estimate where it told nothing at all."""
    if usage is not None:
        return usage
    return Usage(input=stamp.input_tokens, output=max(chars // _CHARS_A_TOKEN, 1), estimated=True)


def written_citation(citation: Citation, envelopes: Envelopes) -> dict[str, Any]:
    """A citation as the SDKs can read it, marked by an envelope.

    Anthropic would refuse an index of our making, so a body that brings it back must not pass on to Anthropic unread.
    """
    if citation.url:
        return {
            "type": "web_search_result_location",
            "url": citation.url,
            "title": citation.title or None,
            "cited_text": citation.quote,
            "encrypted_index": carried.sealed(None, envelopes),
        }
    return {
        "type": "char_location",
        "cited_text": citation.quote,
        "document_index": 0,
        "document_title": citation.title or None,
        "start_char_index": 0,
        "end_char_index": len(citation.quote),
        "file_id": carried.sealed(None, envelopes),
    }


def input_of(arguments: str) -> msgspec.Raw:
    """A call's arguments as a JSON object, the text as it came. Text in a string is taken out; what is no object is wrapped."""
    text = arguments.strip()
    if not text:
        return msgspec.Raw(b"{}")
    found = json_object(text)
    if found is None and text.startswith('"'):
        found = json_object(_inner_text(text))
    return msgspec.Raw(_encode({"input": cleaned_text(arguments)}) if found is None else found)


def _inner_text(text: str) -> str:
    """Some models write their arguments as JSON within JSON."""
    try:
        value = msgspec.json.decode(text)
    except UNREADABLE:
        return ""
    return value if isinstance(value, str) else ""


def _blocks_of(part: Part, envelopes: Envelopes, *, shows: bool) -> list[dict[str, Any]]:
    if isinstance(part, Text):
        return _text_blocks(part, envelopes)
    if isinstance(part, Thinking):
        block = carried.thinking_block(part.text, part.signature, envelopes, is_redacted=part.is_redacted, shows=shows)
        return [] if block is None else [block]
    if isinstance(part, ToolCall):
        call_id = legal_id(part.id)
        arguments = wrapped(part.arguments) if part.kind == "custom" else part.arguments
        block = {"type": "tool_use", "id": call_id, "name": part.name, "input": input_of(arguments)}
        return [block] if part.signature is None else [carried.call_block(call_id, part.signature, envelopes), block]
    if isinstance(part, Refusal) and part.text:
        return [{"type": "text", "text": part.text}]
    return []


def _without_last_mark(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Nothing stands after the last text, see `carried`."""
    last = parts[-1] if parts else None
    if not isinstance(last, Text) or last.signature is None:
        return parts
    return (*parts[:-1], structs.replace(last, signature=None))


def _text_blocks(part: Text, envelopes: Envelopes) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if part.text:
        block: dict[str, Any] = {"type": "text", "text": part.text}
        if part.citations:
            block["citations"] = [written_citation(citation, envelopes) for citation in part.citations]
        blocks.append(block)
    if part.signature is not None:
        blocks.append(carried.text_block(part.signature, envelopes))
    return blocks


def _chars_of(part: Part) -> int:
    if isinstance(part, ToolCall):
        return len(part.arguments)
    return len(part.text) if isinstance(part, Text | Thinking | Refusal) else 0
