"""Messages of a request → turns of the hub.

Calls may come without ids, and results may name only the tool: then ids are counted up (`call_0`, `call_1` …, the same
for the same history, so prompt caches stay warm) and a result is the next unanswered call's of that name.
"""

from typing import Literal

import msgspec

from gateway.dialects.media import from_data_url, sniff_image, standard_base64
from gateway.domain.chat import Image, Part, Text, Thinking, ToolCall, ToolResult, Turn
from gateway.domain.errors import BadRequest

_decode = msgspec.json.decode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class CalledFunction(msgspec.Struct, frozen=True):
    """`arguments` is an object; JSON text of one is taken too."""

    name: str
    arguments: msgspec.Raw = msgspec.Raw(b"{}")


class Called(msgspec.Struct, frozen=True):
    """Newer servers give calls an `id`."""

    function: CalledFunction
    id: str | None = None


class Message(msgspec.Struct, frozen=True):
    """`images` are base64 (a `data:` URL is taken too)."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    thinking: str | None = None
    images: tuple[str, ...] | None = None
    tool_calls: tuple[Called, ...] | None = None
    tool_name: str | None = None
    name: str | None = None
    tool_call_id: str | None = None


def turns_of(messages: tuple[Message, ...]) -> tuple[Turn, ...]:
    """One turn a message, tool messages that follow each other in one user turn. Raises BadRequest, naming the place."""
    calls = _Calls(messages)
    turns: list[Turn] = []
    results: list[Part] = []
    for index, message in enumerate(messages):
        place = f"messages[{index}]"
        if message.role == "tool":
            results.append(_result(message, calls, place))
            continue
        if results:
            turns.append(Turn("user", tuple(results)))
            results = []
        turns.append(Turn(message.role, _parts(message, calls, place)))
    if results:
        turns.append(Turn("user", tuple(results)))
    return tuple(turns)


class _Calls:
    """Gives calls their ids and finds the call that a result answers."""

    def __init__(self, messages: tuple[Message, ...]) -> None:
        self._given = {call.id for message in messages for call in message.tool_calls or ()}
        self._count = 0
        self._open: list[ToolCall] = []

    def note(self, call: Called, arguments: str) -> ToolCall:
        noted = ToolCall(id=call.id or self._next_id(), name=call.function.name, arguments=arguments)
        self._open.append(noted)
        return noted

    def answer(self, message: Message) -> ToolCall | None:
        """The unanswered call with the result's id, else the first of its name, else, if it has neither, the first."""
        name = message.tool_name or message.name
        for call in self._open:
            if call.id == message.tool_call_id if message.tool_call_id else name in (None, call.name):
                self._open.remove(call)
                return call
        return None

    def _next_id(self) -> str:
        while (made := f"call_{self._count}") in self._given:
            self._count += 1
        self._count += 1
        return made


def _parts(message: Message, calls: _Calls, place: str) -> tuple[Part, ...]:
    """Pictures come before the text, as Ollama puts them in the prompt."""
    parts: list[Part] = [Thinking(text=message.thinking)] if message.thinking else []
    parts += _images(message, place)
    if message.content:
        parts.append(Text(text=message.content))
    for index, call in enumerate(message.tool_calls or ()):
        where = f"{place}.tool_calls[{index}].function.arguments"
        parts.append(calls.note(call, _arguments(call.function.arguments, where)))
    return tuple(parts) or (Text(text=""),)


def _result(message: Message, calls: _Calls, place: str) -> ToolResult:
    call = calls.answer(message)
    if call is None:
        asked = message.tool_call_id or message.tool_name or message.name or ""
        raise BadRequest(
            f"{place}: the tool result for `{asked[:128]}` answers no tool call before it",
            code="tool_result_without_call",
            param=place,
        )
    content: tuple[Text | Image, ...] = (Text(text=message.content or ""), *_images(message, place))
    return ToolResult(call_id=call.id, content=content, name=call.name)


def _images(message: Message, place: str) -> list[Image]:
    return [_image(text, f"{place}.images[{index}]") for index, text in enumerate(message.images or ())]


def _image(text: str, place: str) -> Image:
    try:
        inline = from_data_url(text)
        data = inline[1] if inline is not None else standard_base64(text)
    except ValueError as error:
        raise BadRequest(f"{place} is not base64", code="invalid_image", param=place) from error
    media_type = sniff_image(data)
    if not media_type:
        raise BadRequest(f"{place} is not a picture of a known format", code="invalid_image", param=place)
    return Image(media_type=media_type, data=data)


def _arguments(raw: msgspec.Raw, place: str) -> str:
    """The text as it came: numbers keep their spelling."""
    text = bytes(raw).decode("utf-8", "replace")
    if text.startswith('"'):
        text = str(_decode(text)).strip()
    if text in ("", "null"):
        return "{}"
    try:
        _decode_object(text)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
        raise BadRequest(f"{place} must be an object", code="invalid_messages", param=place) from error
    return text
