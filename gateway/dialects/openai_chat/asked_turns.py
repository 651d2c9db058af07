"""The messages of a request as turns: roles, content in every form, calls and their results.

Calls without an id get one from their place in the conversation, the same every time, and results without an id answer
the calls in their order. So do the legacy `function_call` and the role `function`, which never had any.
"""

from typing import Any

from msgspec import structs

from gateway.dialects.envelope import Envelopes
from gateway.dialects.fields import wrong_type
from gateway.dialects.media import from_data_url, normal_media_type, sniff_image, standard_base64
from gateway.dialects.openai_chat.asked_tools import cache_of
from gateway.dialects.openai_chat.fields import Json, a_list, an_object, optional_text, text_in, wrong
from gateway.dialects.openai_chat.signatures import opened, state_of, thoughts_of
from gateway.dialects.surrogates import json_text
from gateway.domain.chat import (
    File,
    Image,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)

_AUDIO = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_TYPES_BY_ENDING = {"pdf": "application/pdf", "txt": "text/plain", "md": "text/markdown", "csv": "text/csv"}
_KNOWN_FIELDS = frozenset({
    "role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "reasoning_content", "reasoning",
    "reasoning_text", "reasoning_details", "extra_content", "thought_signature", "cache_control", "annotations", "audio",
    "images", "id",
})  # fmt: skip


_PLAIN_ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}


def read_turns(messages: list[Any], envelopes: Envelopes, notes: list[str]) -> tuple[Turn, ...]:
    """All turns. Raises BadRequest that names the place."""
    reader = _Reader(envelopes, notes)
    for index, message in enumerate(messages):
        if not reader.read_plain(message):
            reader.read(message, f"messages[{index}]", index)
    return tuple(Turn(role, tuple(parts)) for role, parts in reader.turns)


class _Reader:
    """Goes through the messages once; remembers the calls that wait for their results."""

    def __init__(self, envelopes: Envelopes, notes: list[str]) -> None:
        self.turns: list[tuple[Any, list[Part]]] = []
        self._envelopes = envelopes
        self._notes = notes
        self._open: list[ToolCall] = []
        self._dropped: set[str] = set()
        self._is_answering = False

    def read_plain(self, message: object) -> bool:
        """A message of a role and one text, as most are. False for any other: nothing of it is read."""
        if not isinstance(message, dict) or len(message) != 2:
            return False
        role, content = message.get("role"), message.get("content")
        if not isinstance(role, str) or role not in _PLAIN_ROLES or not isinstance(content, str) or not content:
            return False
        self._is_answering = False
        self.turns.append((_PLAIN_ROLES[role], [Text(content)]))
        return True

    def read(self, value: object, where: str, index: int) -> None:
        message = an_object(value, where)
        role = text_in(message, "role", where)
        if not _KNOWN_FIELDS.issuperset(message):
            self._notes += [f"{where}.{name}" for name in message if name not in _KNOWN_FIELDS and message[name]]
        if role == "tool":
            self._add_result(self._result(message, where))
            return
        if role == "function":
            self._add_result(self._legacy_result(message, where))
            return
        self._is_answering = False
        if message.get("name"):
            self._notes.append(f"{where}.name")
        if role == "assistant":
            parts = self._assistant(message, where, index)
            if parts:
                self.turns.append(("assistant", parts))
        elif role == "user":
            self.turns.append(("user", self._content(message, where)))
        elif role in {"system", "developer"}:
            parts = self._content(message, where)
            if not all(isinstance(part, Text) for part in parts):
                raise wrong(f"{where}.content", "may hold text only in this role")
            self.turns.append(("system", parts))
        else:
            raise wrong(f"{where}.role", "must be system, developer, user, assistant, tool or function")

    # -- results ------------------------------------------------------------------------------------------------------

    def _add_result(self, result: ToolResult | None) -> None:
        if result is None:
            return
        self._open = [call for call in self._open if call.id != result.call_id]
        if self._is_answering:
            self.turns[-1][1].append(result)
        else:
            self.turns.append(("user", [result]))
            self._is_answering = True

    def _result(self, message: Json, where: str) -> ToolResult | None:
        call_id = text_in(message, "tool_call_id", where)
        if call_id in self._dropped:
            self._notes.append(f"{where}: the result of a call without a name")
            return None
        if not call_id.strip():
            if not self._open:
                raise wrong(
                    f"{where}.tool_call_id", "must name the call that this answers", code="missing_tool_call_id"
                )
            call_id = self._open[0].id
        return self._filled(call_id, message, where)

    def _legacy_result(self, message: Json, where: str) -> ToolResult:
        name = text_in(message, "name", where)
        call = next((call for call in self._open if call.name == name), None)
        return self._filled(f"call_{name}" if call is None else call.id, message, where)

    def _filled(self, call_id: str, message: Json, where: str) -> ToolResult:
        content = [] if message.get("content") is None else self._content(message, where, marks=False)
        kept = tuple(part for part in content if isinstance(part, Text | Image | File))
        if len(kept) != len(content):
            raise wrong(f"{where}.content", "may hold text, images and files only in this role")
        if kept == (Text(""),):
            kept = ()
        return ToolResult(
            call_id=call_id, content=kept, name=optional_text(message, "name", where), cache=cache_of(message)
        )

    # -- the assistant ------------------------------------------------------------------------------------------------

    def _assistant(self, message: Json, where: str, index: int) -> list[Part]:
        """Reasoning first, then what was said, then the calls: the order of this wire format."""
        text = _first_text(message, "reasoning_content", "reasoning", "reasoning_text")
        parts: list[Part] = [
            *thoughts_of(text, message.get("reasoning_details"), self._envelopes, self._notes),
        ]
        if message.get("content"):
            parts += self._content(message, where)
        refusal = optional_text(message, "refusal", where)
        if refusal:
            parts.append(Refusal(refusal))
        if message.get("audio"):
            self._notes.append(f"{where}.audio")
        signature = opened(state_of(message.get("extra_content")), self._envelopes, self._notes)
        if signature is not None:
            _sign_text(parts, signature)
        calls = self._calls(message, where, index)
        if calls:
            self._open = calls
        mark = cache_of(message)
        found = [*parts, *calls]
        if mark and found:
            found[-1] = structs.replace(found[-1], cache=mark)
        return found

    def _calls(self, message: Json, where: str, index: int) -> list[ToolCall]:
        calls: list[ToolCall] = []
        for at, value in enumerate(a_list(message.get("tool_calls") or [], f"{where}.tool_calls")):
            place = f"{where}.tool_calls[{at}]"
            call = self._call(an_object(value, place), place, f"call_{index}_{at}")
            if call is not None:
                calls.append(call)
        legacy = message.get("function_call")
        if legacy is not None and not calls:
            function = an_object(legacy, f"{where}.function_call")
            name = optional_text(function, "name", f"{where}.function_call")
            if name:
                calls.append(
                    ToolCall(id=f"call_{index}_0", name=name, arguments=arguments_of(function.get("arguments")))
                )
        return calls

    def _call(self, entry: Json, where: str, made_up: str) -> ToolCall | None:
        call_id = optional_text(entry, "id", where)
        kind = optional_text(entry, "type", where) or "function"
        if kind not in {"function", "custom"}:
            raise wrong(f"{where}.type", "must be function or custom")
        function = an_object(entry.get(kind), f"{where}.{kind}")
        name = text_in(function, "name", f"{where}.{kind}")
        if not name.strip():
            self._dropped.add(call_id)
            self._notes.append(f"{where}: a call without a name")
            return None
        return ToolCall(
            id=call_id if call_id.strip() else made_up,
            name=name,
            arguments=optional_text(function, "input", f"{where}.custom")
            if kind == "custom"
            else arguments_of(function.get("arguments"), f"{where}.function.arguments"),
            kind="custom" if kind == "custom" else "function",
            signature=opened(state_of(entry.get("extra_content")), self._envelopes, self._notes),
        )

    # -- content ------------------------------------------------------------------------------------------------------

    def _content(self, message: Json, where: str, *, marks: bool = True) -> list[Part]:
        """`marks`: a cache mark on the message is one on its last part."""
        content = message.get("content")
        if isinstance(content, str):
            return [Text(content, cache=cache_of(message) if marks else "")]
        if not isinstance(content, list):
            raise wrong_type(f"{where}.content", "a string or an array of parts")
        parts: list[Part] = []
        for index, value in enumerate(content):
            place = f"{where}.content[{index}]"
            part = self._part(value, place)
            if part is not None:
                parts.append(part)
        mark = cache_of(message) if marks and parts else ""
        if mark and not parts[-1].cache:
            parts[-1] = structs.replace(parts[-1], cache=mark)
        return parts

    def _part(self, value: object, where: str) -> Part | None:
        if isinstance(value, str):
            return Text(value)
        entry = an_object(value, where)
        kind = text_in(entry, "type", where)
        cache = cache_of(entry)
        match kind:
            case "text":
                return Text(text_in(entry, "text", where), cache=cache)
            case "image_url":
                return _image(entry, where, cache)
            case "input_audio":
                return _audio(entry, where, cache)
            case "file":
                return _file(entry, where, cache)
            case "video_url":
                return _video(entry, where, cache)
            case "refusal":
                return Refusal(text_in(entry, "refusal", where), cache=cache)
            case "thinking":
                text = mistral_thinking(entry)
                return Thinking(text) if text else None
            case _:
                raise wrong(f"{where}.type", "must be text, image_url, input_audio, file or refusal")


def arguments_of(value: object, where: str = "arguments") -> str:
    """Arguments as JSON text. Nothing is `{}`; some clients and providers send the object itself, or its text quoted."""
    if value is None or value == "":
        return "{}"
    if isinstance(value, dict):
        return json_text(value).decode()
    if not isinstance(value, str):
        raise wrong_type(where, "a string of JSON")
    return value if value.strip() else "{}"


def mistral_thinking(part: Json) -> str:
    """Mistral's reasoning is a part of the content, with parts of its own."""
    inner = part.get("thinking")
    if isinstance(inner, str):
        return inner
    texts = (item.get("text") for item in inner if isinstance(item, dict)) if isinstance(inner, list) else ()
    return "".join(text for text in texts if isinstance(text, str))


def _first_text(message: Json, *names: str) -> str:
    for name in names:
        value = message.get(name)
        if isinstance(value, str) and value:
            return value
    return ""


def _sign_text(parts: list[Part], signature: Any) -> None:
    """The last text is what was signed; an empty one stands for it where the message has none."""
    for at in range(len(parts) - 1, -1, -1):
        part = parts[at]
        if isinstance(part, Text):
            parts[at] = structs.replace(part, signature=signature)
            return
    parts.append(Text("", signature=signature))


def _inline(url: str, where: str) -> tuple[str, str]:
    found = from_data_url(url)
    if found is None:
        raise wrong(where, "is a data URL that holds no good base64", code="invalid_data_url")
    return found


def _image(entry: Json, where: str, cache: Any) -> Image:
    """`image_url` is an object, at Mistral also the URL itself."""
    value = entry.get("image_url")
    place = f"{where}.image_url"
    image = {"url": value} if isinstance(value, str) else an_object(value, place)
    url, detail = text_in(image, "url", place), optional_text(image, "detail", place)
    if url[:5].lower() != "data:":
        return Image(url=url, detail=detail, cache=cache)
    _, data = _inline(url, f"{place}.url")
    media_type = sniff_image(data)
    if not media_type:
        raise wrong(f"{place}.url", "holds no picture that is known here", code="invalid_image")
    return Image(media_type=media_type, data=data, detail=detail, cache=cache)


def _audio(entry: Json, where: str, cache: Any) -> File:
    audio = an_object(entry.get("input_audio"), f"{where}.input_audio")
    shape = text_in(audio, "format", f"{where}.input_audio")
    data = text_in(audio, "data", f"{where}.input_audio")
    return File(
        media_type=_AUDIO.get(shape, f"audio/{shape}"), data=_base64(data, f"{where}.input_audio.data"), cache=cache
    )


def _file(entry: Json, where: str, cache: Any) -> File:
    place = f"{where}.file"
    file = an_object(entry.get("file"), place)
    name = optional_text(file, "filename", place)
    file_id = optional_text(file, "file_id", place)
    data = optional_text(file, "file_data", place) or optional_text(file, "file_url", place)
    if data[:5].lower() == "data:":
        media_type, content = _inline(data, f"{place}.file_data")
        return File(media_type=media_type, data=content, name=name, cache=cache)
    if data.startswith(("http://", "https://")):
        return File(media_type=_type_by_name(name), url=data, name=name, cache=cache)
    if data:
        media_type = _type_by_name(name) or "application/pdf"
        return File(media_type=media_type, data=_base64(data, f"{place}.file_data"), name=name, cache=cache)
    if not file_id:
        raise wrong(place, "must have file_data or file_id")
    return File(file_id=file_id, name=name, cache=cache)


def _video(entry: Json, where: str, cache: Any) -> File:
    value = entry.get("video_url")
    url = (
        value
        if isinstance(value, str)
        else text_in(an_object(value, f"{where}.video_url"), "url", f"{where}.video_url")
    )
    if url[:5].lower() != "data:":
        return File(media_type="video/mp4", url=url, cache=cache)
    media_type, data = _inline(url, f"{where}.video_url.url")
    return File(media_type=normal_media_type(media_type), data=data, cache=cache)


def _base64(data: str, where: str) -> str:
    if data[:5].lower() == "data:":
        return _inline(data, where)[1]
    try:
        return standard_base64(data)
    except ValueError as error:
        raise wrong(where, "must be base64", code="invalid_base64") from error


def _type_by_name(name: str) -> str:
    return _TYPES_BY_ENDING.get(name.rpartition(".")[2].lower(), "")
