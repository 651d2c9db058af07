"""`contents` and `systemInstruction` of a Gemini caller → turns. The way back is `contents_out.py`.

Gemini often has no call ids: calls get ids by their place in the conversation, which stay the same from turn to turn,
and responses without one are paired by name and order.
"""

from typing import Any

import msgspec

from gateway.dialects.envelope import Envelopes
from gateway.dialects.fields import wrong_type
from gateway.dialects.gemini.fields import Place
from gateway.dialects.gemini.signatures import Carried, read_signature
from gateway.dialects.gemini.wire import fenced
from gateway.dialects.media import normal_media_type, sniff_image, standard_base64
from gateway.domain.chat import File, Image, Part, Role, Signature, Text, Thinking, ToolCall, ToolResult, Turn
from gateway.domain.errors import BadRequest

_ROLES: dict[str, Role] = {"": "user", "user": "user", "model": "assistant", "function": "user", "system": "system"}

_MISPLACED: dict[Role, tuple[type[Part], ...]] = {
    "user": (ToolCall,),
    "assistant": (ToolResult,),
    "system": (ToolCall, ToolResult),
}

_ONLY_NOTED = ("videoMetadata", "mediaResolution", "mediaProcessing", "partMetadata")
_SERVER_TOOLS = ("toolCall", "toolResponse")
_BESIDE = frozenset({"thought", "thoughtSignature", *_ONLY_NOTED})
_TEXT_KEYS = ("result", "output")
_ARGUMENTS = msgspec.json.Encoder()


class ContentsReader:
    """Reads the contents of one request, in order. `notes` are what was left out."""

    def __init__(self, envelopes: Envelopes) -> None:
        self._envelopes = envelopes
        self.notes: list[str] = []
        self._open: list[ToolCall] = []
        self._count = 0

    def turn(self, content: Place) -> Turn:
        role = content.get("role")
        if role is not None and (not isinstance(role, str) or role not in _ROLES):
            raise BadRequest(
                f"{content.at}.role must be `user` or `model`", code="invalid_role", param=content.path("role")
            )
        parts: list[Part] = []
        for part in content.objects("parts"):
            self._take(part, parts)
        is_call = any(isinstance(part, ToolCall) for part in parts)
        turn_role: Role = "assistant" if role is None and is_call else _ROLES[role or ""]
        misplaced = next((part for part in parts if isinstance(part, _MISPLACED[turn_role])), None)
        if misplaced is not None:
            kind = "functionCall" if isinstance(misplaced, ToolCall) else "functionResponse"
            raise BadRequest(
                f"a {kind} cannot stand in a content of the role `{role}`",
                code="misplaced_part",
                param=content.path("role"),
            )
        if turn_role == "user":
            parts.sort(key=lambda part: not isinstance(part, ToolResult))
        return Turn(turn_role, tuple(parts))

    def system(self, request: Place) -> Turn | None:
        """`systemInstruction`: a string, a Part, or a Content; its role means nothing."""
        found = request.get("systemInstruction")
        if found is None:
            return None
        at = request.path("systemInstruction")
        parts: list[Part] = []
        for number, value in enumerate(found if isinstance(found, list) else [found]):
            place = f"{at}[{number}]" if isinstance(found, list) else at
            if isinstance(value, str):
                parts.append(Text(value))
            elif not isinstance(value, dict):
                raise wrong_type(place, "a string, a Part or a Content")
            elif "parts" in value:
                for part in Place(value, place).objects("parts"):
                    self._take(part, parts)
            else:
                self._take(Place(value, place), parts)
        if not all(isinstance(part, Text) for part in parts):
            self._note("system instructions that are no text")
        texts = tuple(part for part in parts if isinstance(part, Text))
        return Turn("system", texts) if texts else None

    def _take(self, part: Place, parts: list[Part]) -> None:
        value = part.value
        text = value.get("text")
        if text is not None and len(value) == 1:
            if not isinstance(text, str):
                raise wrong_type(f"{part.at}.text", "a string")
            parts.append(Text(text))
            return
        carried = self._signature(part)
        if part.get("thought") is True:
            self._take_thought(part, carried, parts)
            return
        if carried.signature is not None and carried.use != "part":
            self._sign_thought(carried, parts)
            carried = Carried()
        self._take_kind(part, carried.signature, parts)
        for name in _ONLY_NOTED:
            if part.get(name) is not None:
                self._note(name)

    def _take_kind(self, part: Place, signature: Signature | None, parts: list[Part]) -> None:
        if (call := part.object("functionCall")) is not None:
            parts.append(self._call(call, signature))
        elif (response := part.object("functionResponse")) is not None:
            self._take_result(response, parts)
        elif part.get("text") is not None:
            text = part.text("text")
            if text or signature is not None:
                parts.append(Text(text, signature=signature))
        elif (blob := part.object("inlineData")) is not None:
            parts.append(_inline(blob))
        elif (file := part.object("fileData")) is not None:
            parts.append(_by_address(file))
        elif (code := part.object("executableCode")) is not None:
            self._take_code(fenced(code.text("code"), code.text("language")), parts)
        elif (outcome := part.object("codeExecutionResult")) is not None:
            self._take_code(fenced(outcome.text("output"), ""), parts)
        elif any(part.get(name) is not None for name in _SERVER_TOOLS):
            self._note("calls of built-in tools in the history")
        elif unknown := next((name for name in part.names() if name not in _BESIDE), None):
            raise BadRequest(
                f"{part.at} holds `{unknown[:64]}`, which is no kind of part known here",
                code="unknown_part", param=part.path(unknown),
            )  # fmt: skip

    def _take_code(self, text: str, parts: list[Part]) -> None:
        if text:
            parts.append(Text(text))
            self._note("code execution in the history is sent as text")

    def _take_thought(self, part: Place, carried: Carried, parts: list[Part]) -> None:
        """Thoughts that came in pieces are one block, up to its signature."""
        text = part.text("text")
        last = parts[-1] if parts else None
        if isinstance(last, Thinking) and last.signature is None and not last.is_redacted:
            parts[-1] = Thinking(last.text + text, carried.signature, is_redacted=carried.use == "redacted")
        elif text or carried.signature is not None:
            parts.append(Thinking(text, carried.signature, is_redacted=carried.use == "redacted"))

    def _sign_thought(self, carried: Carried, parts: list[Part]) -> None:
        """The signature of reasoning that rode on the part after it."""
        last = parts[-1] if parts else None
        if isinstance(last, Thinking) and last.signature is None and carried.use == "thinking":
            parts[-1] = Thinking(last.text, carried.signature)
        else:
            parts.append(Thinking("", carried.signature, is_redacted=carried.use == "redacted"))

    def _signature(self, part: Place) -> Carried:
        text = part.get("thoughtSignature")
        if text is None:
            return Carried()
        if not isinstance(text, str):
            raise wrong_type(part.path("thoughtSignature"), "a string")
        carried = read_signature(text, self._envelopes)
        if carried.note:
            self._note(carried.note)
        return carried

    def _call(self, call: Place, signature: Signature | None) -> ToolCall:
        name = call.text("name")
        if not name:
            raise BadRequest(f"{call.at} has no name", code="missing_name", param=call.path("name"))
        arguments = call.object("args")
        wire_id = call.text("id")
        call_id = wire_id or self._made_up()
        text = _ARGUMENTS.encode(arguments.value).decode() if arguments is not None else "{}"
        made = ToolCall(id=call_id, name=name, arguments=text, signature=signature)
        self._open.append(made)
        return made

    def _take_result(self, response: Place, parts: list[Part]) -> None:
        """Gemini CLI, when it takes up an old session, sends each response twice: the second says nothing new."""
        result = self._result(response)
        if response.get("id") and result in parts:
            self._note("a function response that is there twice")
        else:
            parts.append(result)

    def _result(self, response: Place) -> ToolResult:
        name = response.text("name")
        wire_id = response.text("id")
        call = self._answered(wire_id, name)
        content, is_error = _outcome(response)
        return ToolResult(
            call_id=call.id if call is not None else wire_id or name or self._made_up(),
            content=(*content, *(self._media(part) for part in response.objects("parts"))),
            name=name or (call.name if call is not None else ""),
            is_error=is_error,
        )

    def _answered(self, wire_id: str, name: str) -> ToolCall | None:
        """The call that a response is for: by its id, else the first open one of that name, else the first open one.

        A response may have an id though its call had none; an id that another call should have fits no other.
        """
        found = next((call for call in self._open if call.id == wire_id), None)
        if found is None:
            free = [call for call in self._open if not wire_id or call.id.startswith(MADE_UP)]
            found = next((call for call in free if call.name == name), None)
            if found is None and not name:
                found = free[0] if free else None
        if found is not None:
            self._open.remove(found)
        return found

    def _media(self, part: Place) -> Image | File:
        if (blob := part.object("inlineData")) is not None:
            return _inline(blob)
        if (file := part.object("fileData")) is not None:
            return _by_address(file)
        raise BadRequest(f"{part.at} holds neither inlineData nor fileData", code="unknown_part", param=part.at)

    def _made_up(self) -> str:
        self._count += 1
        return f"{MADE_UP}{self._count}"

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


_SNIFFED = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})

MADE_UP = "call_at_"
"""Begins ids made of a call's place in the conversation; a provider of this dialect is not told them."""


def _inline(blob: Place) -> Image | File:
    kind = normal_media_type(blob.text("mimeType"))
    try:
        data = standard_base64(blob.text("data"))
    except ValueError as error:
        raise BadRequest(
            f"{blob.path('data')} is not base64", code="invalid_base64", param=blob.path("data")
        ) from error
    if not kind.startswith("image/"):
        return File(media_type=kind, data=data, name=blob.text("displayName"))
    found = sniff_image(data)
    if not found and kind in _SNIFFED:
        raise BadRequest(f"{blob.path('data')} is no picture", code="invalid_image", param=blob.path("data"))
    return Image(media_type=found or kind, data=data)


def _by_address(file: Place) -> Image | File:
    kind, url = normal_media_type(file.text("mimeType")), file.text("fileUri")
    if not url:
        raise BadRequest(f"{file.at} has no fileUri", code="missing_file_uri", param=file.path("fileUri"))
    if kind.startswith("image/"):
        return Image(media_type=kind, url=url)
    return File(media_type=kind, url=url, name=file.text("displayName"))


def _outcome(response: Place) -> tuple[tuple[Text, ...], bool]:
    """`{"result": text}` and `{"output": text}` are that text, `{"error": …}` is an error, all else its JSON."""
    found: Any = response.get("response")
    if found is None:
        return (), False
    if not isinstance(found, dict):
        raise wrong_type(response.path("response"), "an object")
    if len(found) == 1:
        key, value = next(iter(found.items()))
        if key in _TEXT_KEYS or key == "error":
            text = value if isinstance(value, str) else _ARGUMENTS.encode(value).decode()
            return (Text(text),), key == "error"
    return (Text(_ARGUMENTS.encode(found).decode()),) if found else (), False
