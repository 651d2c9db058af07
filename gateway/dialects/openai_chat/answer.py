"""Whole answers: a provider's completion as the hub has it, and an answer of the hub as a completion."""

from typing import Any

import msgspec

from gateway.dialects.calls import BROKEN_ARGUMENTS, MAY_CUT_CALLS, made_up_id
from gateway.dialects.codec import BrokenAnswer, Origin, Stamp
from gateway.dialects.openai_chat.asked_tools import LEGACY_NOTE
from gateway.dialects.openai_chat.finish import FAILURES, finish_of, native, word_of
from gateway.dialects.openai_chat.parts import (
    annotation,
    citations_in,
    content_parts,
    first_text,
    image_parts,
    images_in,
    is_whole_object,
    sources_in,
    whole_arguments,
)
from gateway.dialects.openai_chat.signatures import (
    details_text,
    extra_content,
    merged_details,
    native_thinking,
    sealed_details,
    state_of,
)
from gateway.dialects.openai_chat.usage import usage_in, usage_object
from gateway.dialects.surrogates import json_text, read_json
from gateway.domain.chat import Answer, Image, Part, Refusal, Signature, Text, Thinking, ToolCall

Json = dict[str, Any]


# -- from a provider -------------------------------------------------------------------------------------------------


def decode_response(body: bytes, origin: Origin) -> Answer:
    """The first choice. Raises BrokenAnswer for what is no completion or says that it is not whole."""
    try:
        answer = read_json(body)
    except (ValueError, RecursionError, msgspec.DecodeError) as error:
        raise BrokenAnswer("the provider's answer is not JSON") from error
    choices = answer.get("choices") if isinstance(answer, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        raise BrokenAnswer("the provider's answer has no choices")
    word = native(choice.get("finish_reason"))
    if answer.get("error") or word in FAILURES:
        raise BrokenAnswer("the provider's answer says that it failed")
    message = choice.get("message") or choice.get("delta") or {"content": choice.get("text")}
    if not isinstance(message, dict):
        raise BrokenAnswer("the provider's answer has no message")
    parts = _parts(message, answer, origin)
    calls = [part for part in parts if isinstance(part, ToolCall)]
    finish = finish_of(word, has_calls=bool(calls))
    are_whole = all(call.kind == "custom" or is_whole_object(call.arguments) for call in calls)
    if not are_whole and finish not in MAY_CUT_CALLS:
        raise BrokenAnswer(BROKEN_ARGUMENTS)
    return Answer(
        parts=tuple(parts),
        finish=finish,
        id=native(answer.get("id")),
        model=native(answer.get("model")),
        native_finish=word,
        usage=usage_in(answer.get("usage"), answer.get("x_groq")),
        service_tier=native(answer.get("service_tier")),
    )


def _parts(message: Json, answer: Json, origin: Origin) -> list[Part]:
    parts: list[Part] = []
    shown = first_text(message.get("reasoning_content"), message.get("reasoning"), message.get("reasoning_text"))
    given = message.get("reasoning_details")
    details = merged_details(given) if isinstance(given, list) else []
    if shown or details:
        thought = native_thinking(shown or details_text(details), details, origin.provider)
        if thought.text or thought.signature:
            parts.append(thought)
    content = message.get("content")
    parts += [Text(content)] if isinstance(content, str) and content else content_parts(content)
    _add_citations(parts, message, answer)
    state = state_of(message.get("extra_content"))
    if state:
        _sign_text(parts, Signature("openai_chat", state, origin.provider))
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        parts.append(Refusal(refusal))
    parts += images_in(message.get("images"))
    parts += _calls(message, origin)
    return parts


def _add_citations(parts: list[Part], message: Json, answer: Json) -> None:
    cited = tuple(citations_in(message.get("annotations")))
    cited = cited or tuple(sources_in(answer.get("citations"), answer.get("search_results")))
    for at in range(len(parts) - 1, -1, -1):
        part = parts[at]
        if cited and isinstance(part, Text):
            parts[at] = Text(part.text, citations=cited)
            return


def _sign_text(parts: list[Part], signature: Signature) -> None:
    for at in range(len(parts) - 1, -1, -1):
        part = parts[at]
        if isinstance(part, Text):
            parts[at] = Text(part.text, citations=part.citations, signature=signature)
            return
    parts.append(Text("", signature=signature))


def _calls(message: Json, origin: Origin) -> list[ToolCall]:
    entries = message.get("tool_calls")
    calls = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    legacy = message.get("function_call")
    if not calls and isinstance(legacy, dict):
        calls = [{"function": legacy}]
    found: list[ToolCall] = []
    taken: set[str] = set()
    for entry in calls:
        call = _call(entry, origin, len(found), taken)
        if call is not None:
            taken.add(call.id)
            found.append(call)
    return found


def _call(entry: Json, origin: Origin, index: int, taken: set[str]) -> ToolCall | None:
    """None for a call without a name: nobody could serve it."""
    is_custom = entry.get("type") == "custom" and isinstance(entry.get("custom"), dict)
    function = entry.get("custom") if is_custom else entry.get("function")
    name = native(function.get("name")) if isinstance(function, dict) else ""
    if not name.strip() or not isinstance(function, dict):
        return None
    given = native(entry.get("id"))
    state = state_of(entry.get("extra_content"))
    return ToolCall(
        id=given if given and given not in taken else made_up_id(origin.request_id, index),
        name=name,
        arguments=native(function.get("input")) if is_custom else whole_arguments(function.get("arguments")),
        kind="custom" if is_custom else "function",
        signature=Signature("openai_chat", state, origin.provider) if state else None,
    )


# -- to a caller -----------------------------------------------------------------------------------------------------


def encode_response(answer: Answer, stamp: Stamp) -> bytes:
    """A `chat.completion` with one choice."""
    is_legacy = is_legacy_caller(stamp)
    body: Json = {
        "id": completion_id(stamp),
        "object": "chat.completion",
        "created": stamp.created_at,
        "model": stamp.model,
        "choices": [
            {
                "index": 0,
                "message": _message(answer, stamp, is_legacy=is_legacy),
                "logprobs": None,
                "finish_reason": word_of(answer.finish, is_legacy=is_legacy),
            }
        ],
    }
    if answer.usage is not None:
        body["usage"] = usage_object(answer.usage)
    if answer.service_tier:
        body["service_tier"] = answer.service_tier
    return json_text(body)


def completion_id(stamp: Stamp) -> str:
    return f"chatcmpl-{stamp.request_id.replace('-', '')}"


def is_legacy_caller(stamp: Stamp) -> bool:
    return stamp.request is not None and LEGACY_NOTE in stamp.request.notes


def shows_thoughts(stamp: Stamp) -> bool:
    """A caller may say that it wants no reasoning (`reasoning.exclude`)."""
    asked = stamp.request.reasoning if stamp.request is not None else None
    return asked is None or asked.shows is not False


def _message(answer: Answer, stamp: Stamp, *, is_legacy: bool) -> Json:
    texts = [part for part in answer.parts if isinstance(part, Text)]
    calls = [part for part in answer.parts if isinstance(part, ToolCall)]
    refusal = "".join(part.text for part in answer.parts if isinstance(part, Refusal))
    content = "".join(part.text for part in texts)
    message: Json = {
        "role": "assistant",
        "content": None if not content and (calls or refusal) else content,
        "refusal": refusal or None,
    }
    _add_thoughts(message, [part for part in answer.parts if isinstance(part, Thinking)], stamp)
    if calls and is_legacy:
        message["function_call"] = {"name": calls[0].name, "arguments": calls[0].arguments}
    elif calls:
        message["tool_calls"] = [_wire_call(call, stamp) for call in calls]
    annotations = _annotations(texts)
    if annotations:
        message["annotations"] = annotations
    images = [part for part in answer.parts if isinstance(part, Image)]
    if images:
        message["images"] = image_parts(images)
    signed = next((text.signature for text in reversed(texts) if text.signature is not None), None)
    if signed is not None:
        message["extra_content"] = extra_content(signed, stamp.envelopes)
    return message


def _add_thoughts(message: Json, thoughts: list[Thinking], stamp: Stamp) -> None:
    text = "\n\n".join(thought.text for thought in thoughts if thought.text)
    if text and shows_thoughts(stamp):
        message["reasoning_content"] = text
    details = [
        detail for index, thought in enumerate(thoughts) for detail in sealed_details(thought, index, stamp.envelopes)
    ]
    if details:
        message["reasoning_details"] = details


def _wire_call(call: ToolCall, stamp: Stamp) -> Json:
    wire: Json
    if call.kind == "custom":
        wire = {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    else:
        arguments = call.arguments or "{}"
        wire = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}
    if call.signature is not None:
        wire["extra_content"] = extra_content(call.signature, stamp.envelopes)
    return wire


def _annotations(texts: list[Text]) -> list[Json]:
    """Places within a part become places within the content. Without a place the whole part is meant."""
    found: list[Json] = []
    offset = 0
    for text in texts:
        for citation in text.citations:
            if citation.url:
                start = max(citation.start, 0)
                end = citation.end if citation.end >= 0 else len(text.text)
                found.append(annotation(citation, offset + start, offset + end))
        offset += len(text.text)
    return found
