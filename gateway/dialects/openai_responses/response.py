"""Whole answers: judged as they pass, read into the hub's, and written for callers of this dialect."""

from typing import Any

import msgspec

from gateway.dialects.calls import BROKEN_ARGUMENTS
from gateway.dialects.codec import UNREADABLE, BrokenAnswer, Origin, Reading, Stamp
from gateway.dialects.estimate import estimated_tokens, text_tokens
from gateway.dialects.openai_responses.answer_items import (
    CallIds,
    answered,
    call_id_of,
    error_of,
    image_of,
    is_object,
    ordinary_arguments,
    reasoning_text,
    signature_of,
)
from gateway.dialects.openai_responses.carried import encrypted, sealed_for_call, sealed_for_text
from gateway.dialects.openai_responses.content import annotation_of, read_annotations
from gateway.dialects.openai_responses.output_items import (
    ItemStatus,
    call_item,
    ended,
    image_item,
    message_item,
    reasoning_item,
    refusal_part,
    response_object,
    stamped_id,
    text_part,
)
from gateway.dialects.openai_responses.usage import usage_of
from gateway.dialects.provider_errors import error_text
from gateway.domain.chat import Answer, File, Image, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from gateway.domain.usage import Usage

_UNFINISHED = ("queued", "in_progress")


class _Answer(msgspec.Struct, frozen=True):
    status: Any = None
    error: Any = None
    output: Any = None
    usage: Any = None


_decode_head = msgspec.json.Decoder(_Answer).decode
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


def read_answer(body: bytes) -> Reading:
    """Judge a body that came with a status of 200. A failed response, a page or nothing is a failure, not an answer."""
    if not body.strip():
        return Reading(kind="empty", message="the provider sent an empty answer")
    try:
        answer = _decode_head(body)
    except UNREADABLE:
        return Reading(kind="not_json", message="the provider's answer is not a response")
    if answer.error or answer.status in ("failed", "cancelled"):
        message, status, _ = error_of(answer.error)
        return Reading(kind="error", message=message if answer.error else error_text(body), error_status=status)
    if answer.status in _UNFINISHED:
        return Reading(kind="error", message="the provider went on with its answer in the background")
    if not isinstance(answer.output, list) or not (answer.output or answer.status == "incomplete"):
        return Reading(kind="empty", message="the provider's answer has no output")
    return Reading(kind="answer", usage=usage_of(answer.usage))


def decode_response(body: bytes, origin: Origin) -> Answer:
    """Raises BrokenAnswer for what is no answer: not JSON, a failed response, none that is finished."""
    try:
        response = _decode(body)
    except UNREADABLE as error:
        raise BrokenAnswer("the provider's answer is not a response") from error
    status = response.get("status")
    if response.get("error") or status in ("failed", "cancelled"):
        raise BrokenAnswer(error_of(response.get("error"))[0])
    if status in _UNFINISHED:
        raise BrokenAnswer("the provider went on with its answer in the background")
    output = response.get("output")
    if not isinstance(output, list):
        raise BrokenAnswer("the provider's answer has no output")
    reader = _Output(origin)
    for item in output:
        if isinstance(item, dict):
            reader.read(item)
    finish, native = answered(response, is_incomplete=status == "incomplete", has_calls=len(reader.call_ids) > 0)
    if reader.has_broken_call and finish == "tool_calls":
        raise BrokenAnswer(BROKEN_ARGUMENTS)
    return Answer(
        parts=tuple(reader.parts),
        finish=finish,
        id=str(response.get("id") or ""),
        model=str(response.get("model") or ""),
        native_finish=native,
        usage=usage_of(response.get("usage")),
        service_tier=str(response.get("service_tier") or ""),
    )


class _Output:
    """Output items → parts. Items of tools that the provider ran itself have none."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self.parts: list[Part] = []
        self.call_ids = CallIds(origin)
        self.has_broken_call = False

    def read(self, item: dict[str, Any]) -> None:
        kind = item.get("type") or "message"
        if kind == "message":
            self._message(item)
        elif kind == "reasoning":
            text, signature = reasoning_text(item), signature_of(item, self._origin)
            if text or signature is not None:
                self.parts.append(Thinking(text=text, signature=signature, is_redacted=not text))
        elif kind in ("function_call", "custom_tool_call"):
            self._call(item, is_custom=kind == "custom_tool_call")
        elif kind == "image_generation_call":
            image = image_of(item)
            if image is not None:
                self.parts.append(image)

    def _message(self, item: dict[str, Any]) -> None:
        content = item.get("content")
        if isinstance(content, str) and content:
            self.parts.append(Text(text=content))
        for part in content if isinstance(content, list) else ():
            if not isinstance(part, dict):
                continue
            if isinstance(part.get("refusal"), str):
                self.parts.append(Refusal(text=part["refusal"]))
            elif isinstance(part.get("text"), str):
                self.parts.append(Text(text=part["text"], citations=read_annotations(part.get("annotations"))))

    def _call(self, item: dict[str, Any], *, is_custom: bool) -> None:
        name = str(item.get("name") or "").strip()
        if not name:
            return
        raw = item.get("input" if is_custom else "arguments")
        text = _encode(raw).decode() if isinstance(raw, dict) else raw if isinstance(raw, str) else ""
        arguments = text if is_custom else ordinary_arguments(text)
        self.has_broken_call = self.has_broken_call or not (is_custom or is_object(arguments))
        self.parts.append(
            ToolCall(
                id=self.call_ids.take(call_id_of(item)),
                name=name,
                arguments=arguments,
                kind="custom" if is_custom else "function",
                namespace=str(item.get("namespace") or ""),
            )
        )


def encode_response(answer: Answer, stamp: Stamp) -> bytes:
    """The whole response. Usage is always there: clients loop without it, so it is estimated when nobody told."""
    status: ItemStatus = "incomplete" if answer.finish in ("length", "content_filter") else "completed"
    output = _Written(stamp)
    for part in answer.parts:
        output.write(part)
    items = output.done(status)
    response = response_object(stamp) | {"output": items}
    if answer.service_tier:
        response["service_tier"] = answer.service_tier
    usage = answer.usage or Usage(
        input=stamp.input_tokens or (estimated_tokens(stamp.request) if stamp.request else 0),
        output=sum(text_tokens(part.text) for part in answer.parts if isinstance(part, Text | Thinking | Refusal)),
        estimated=True,
    )
    return _encode(ended(response, answer.finish, usage))


class _Written:
    """Parts → output items. Texts and refusals in a row are one message."""

    def __init__(self, stamp: Stamp) -> None:
        self._stamp = stamp
        self._items: list[dict[str, Any]] = []
        self._content: list[dict[str, Any]] = []

    def done(self, status: ItemStatus) -> list[dict[str, Any]]:
        if not self._items and not self._content:  # an answer of nothing is one all the same
            self._content.append(text_part(""))
        self._end_message()
        if self._items and "status" in self._items[-1]:
            self._items[-1]["status"] = status
        return self._items

    def write(self, part: Part) -> None:
        if isinstance(part, Text):
            if part.text or part.citations:
                annotations = [annotation_of(citation, len(part.text)) for citation in part.citations]
                self._content.append(text_part(part.text, annotations))
            if part.signature is not None:
                self._end_message()
                self._carry(sealed_for_text(part.signature, self._stamp.envelopes))
        elif isinstance(part, Refusal):
            self._content.append(refusal_part(part.text))
        elif not isinstance(part, File | ToolResult):
            self._end_message()
            self._other(part)

    def _other(self, part: Image | Thinking | ToolCall) -> None:
        if isinstance(part, Thinking):
            native = part.signature.id if part.signature and part.signature.dialect == "openai_responses" else ""
            item_id = native or self._id("rs")
            kept = encrypted(part.signature, item_id, self._stamp)
            self._items.append(reasoning_item(item_id, part.text, kept))
        elif isinstance(part, ToolCall):
            self._items.append(
                call_item(
                    self._id("ctc" if part.kind == "custom" else "fc"),
                    part.id,
                    part.name,
                    part.arguments,
                    is_custom=part.kind == "custom",
                    namespace=part.namespace,
                    status="completed",
                )
            )
            if part.signature is not None:
                self._carry(sealed_for_call(part.signature, part.id, self._stamp.envelopes))
        elif part.data:
            self._items.append(image_item(self._id("ig"), part, "completed"))
        else:
            self._content.append(text_part(f"![]({part.url})"))

    def _carry(self, sealed: str) -> None:
        self._items.append(reasoning_item(self._id("rs"), "", sealed))

    def _end_message(self) -> None:
        if self._content:
            self._items.append(message_item(self._id("msg"), self._content, "completed"))
            self._content = []

    def _id(self, prefix: str) -> str:
        return stamped_id(prefix, self._stamp, len(self._items))
