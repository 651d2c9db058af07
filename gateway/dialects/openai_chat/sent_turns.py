"""Turns as messages for a provider of this dialect.

All results of a turn's calls come right after it, one `tool` message each; whatever else stands between them (pictures of
results, system turns) waits until they are through. Texts are one string: many providers refuse lists of parts.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from gateway.dialects.codec import Destination, Unsupported
from gateway.dialects.media import data_url
from gateway.dialects.openai_chat.sent_tools import cache_mark
from gateway.dialects.openai_chat.signatures import extra_content, native_details
from gateway.dialects.tool_names import WireNames, legal_id, wrapped
from gateway.domain.chat import (
    File,
    Image,
    Part,
    Refusal,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)

SEE_NEXT = "[the picture or file is in the next message of the user]"
FOREIGN_REASONING = "reasoning of another provider"

_SOUNDS = {"audio/wav": "wav", "audio/mpeg": "mp3"}

Json = dict[str, Any]


def write_messages(turns: Sequence[Turn], names: WireNames, destination: Destination, notes: list[str]) -> list[Json]:
    """The messages. Raises Unsupported for a file that cannot be said here."""
    writer = _Writer(names, destination, notes)
    for turn in turns:
        writer.add(turn)
    writer.release()
    return writer.messages


class _Writer:
    def __init__(self, names: WireNames, destination: Destination, notes: list[str]) -> None:
        self.messages: list[Json] = []
        self._held: list[Json] = []
        self._open: set[str] = set()
        self._names = names
        self._destination = destination
        self._quirks = destination.quirks
        self._notes = notes

    def add(self, turn: Turn) -> None:
        if turn.role == "assistant":
            self.release()
            self._add_assistant(turn.parts)
        elif turn.role == "system":
            self._add(turn.role, turn.parts)
        else:
            rest = [part for part in turn.parts if not isinstance(part, ToolResult)]
            for part in turn.parts:
                if isinstance(part, ToolResult):
                    self._add_result(part)
            if rest or not turn.parts:
                self._add("user", rest)

    def release(self) -> None:
        """What waited for the results follows them."""
        self.messages += self._held
        self._held = []
        self._open = set()

    def _put(self, message: Json) -> None:
        if self._open:
            self._held.append(message)
        else:
            self.messages.append(message)

    def _add(self, role: str, parts: Sequence[Part]) -> None:
        self._put({"role": role, "content": self._content(parts)})

    def _add_result(self, result: ToolResult) -> None:
        texts = [part for part in result.content if isinstance(part, Text)]
        shown = [part for part in result.content if not isinstance(part, Text)]
        content = "\n".join(part.text for part in texts)
        if shown:
            content = f"{content}\n{SEE_NEXT}".strip()
        if result.is_error and content[:5].lower() != "error":
            content = f"Error: {content}"
        mark = result.cache or next((part.cache for part in result.content if part.cache), "")
        wire: Json = {"role": "tool", "tool_call_id": self._id(result.call_id), "content": self._marked(content, mark)}
        self.messages.append(wire)
        self._open.discard(result.call_id)
        if shown:
            self._held.append({"role": "user", "content": self._content(shown)})
        if not self._open:
            self._flush()

    def _flush(self) -> None:
        """Results of one round may stand in several turns, and pictures of the first wait for the last."""
        self._held, held = [], self._held
        self.messages += held

    def _add_assistant(self, parts: Sequence[Part]) -> None:
        calls = [part for part in parts if isinstance(part, ToolCall)]
        message: Json = {"role": "assistant", "content": self._said(parts)}
        self._add_reasoning(message, [part for part in parts if isinstance(part, Thinking)])
        if any(isinstance(part, Image | File) for part in parts):
            self._notes.append("pictures of the assistant")
        if calls:
            message["tool_calls"] = [self._call(call) for call in calls]
            self._open = {call.id for call in calls}
        elif not message["content"] and len(message) == 2:
            return
        self.messages.append(message)

    def _said(self, parts: Sequence[Part]) -> object:
        """Texts in a row are one text, cut only to cite; what stood between two others is a paragraph's end."""
        said, was_text, mark = "", True, ""
        for part in parts:
            if isinstance(part, Text | Refusal):
                if part.text:
                    said += part.text if was_text or not said else f"\n\n{part.text}"
                    was_text = True
                mark = part.cache or mark
                if isinstance(part, Text) and part.signature is not None:
                    self._is_own(part.signature)
            else:
                was_text, mark = False, part.cache or mark
        return self._marked(said, mark)

    def _add_reasoning(self, message: Json, thoughts: list[Thinking]) -> None:
        details: list[Json] = []
        for thought in thoughts:
            if thought.signature is not None and self._is_own(thought.signature):
                details += native_details(thought)
        text = "\n\n".join(thought.text for thought in thoughts if thought.text)
        if details:
            message["reasoning_details"] = details
        elif text and "replays_reasoning" in self._quirks:
            message["reasoning_content"] = text
        elif text:
            self._notes.append("reasoning of earlier turns")

    def _is_own(self, signature: Signature) -> bool:
        if signature.dialect == "openai_chat" and signature.provider in {"", self._destination.provider}:
            return True
        self._notes.append(FOREIGN_REASONING)
        return False

    def _call(self, call: ToolCall) -> Json:
        name = self._names.of(call.name, call.namespace)
        wire: Json
        if call.kind == "custom" and "custom_tools" in self._quirks:
            wire = {"id": self._id(call.id), "type": "custom", "custom": {"name": name, "input": call.arguments}}
        else:
            arguments = wrapped(call.arguments) if call.kind == "custom" else call.arguments or "{}"
            wire = {"id": self._id(call.id), "type": "function", "function": {"name": name, "arguments": arguments}}
        if call.signature is not None and self._is_own(call.signature):
            wire["extra_content"] = extra_content(call.signature, None)
        return wire

    def _id(self, call_id: str) -> str:
        if "nine_char_ids" not in self._quirks:
            return legal_id(call_id)
        if len(call_id) == 9 and call_id.isascii() and call_id.isalnum():
            return call_id
        return hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()[:9]

    # -- content ------------------------------------------------------------------------------------------------------

    def _content(self, parts: Sequence[Part]) -> object:
        """One string if all is text and nothing is marked for the cache, else parts."""
        has_marks = any(part.cache for part in parts)
        if has_marks and "cache_control" not in self._quirks:
            self._notes.append("cache_control")
            has_marks = False
        if not has_marks and all(isinstance(part, Text | Refusal) for part in parts):
            return "\n".join(_texts(parts))
        wire: list[Json] = []
        for part in parts:
            entry = self._part(part)
            if entry is None:
                continue
            if has_marks and part.cache:
                entry["cache_control"] = cache_mark(part.cache)
            wire.append(entry)
        return wire

    def _marked(self, text: str, mark: str) -> object:
        if not mark:
            return text
        if "cache_control" not in self._quirks or not text:
            self._notes.append("cache_control")
            return text
        return [{"type": "text", "text": text, "cache_control": cache_mark(mark)}]

    def _part(self, part: Part) -> Json | None:
        if isinstance(part, Text | Refusal):
            return {"type": "text", "text": part.text} if part.text else None
        if isinstance(part, Image):
            url = part.url or data_url(part.media_type, part.data)
            return {
                "type": "image_url",
                "image_url": {"url": url, "detail": part.detail} if part.detail else {"url": url},
            }
        assert isinstance(part, File)
        return _file(part)


def _texts(parts: Iterable[Part]) -> list[str]:
    return [part.text for part in parts if isinstance(part, Text | Refusal)]


def _file(file: File) -> Json:
    """Sound has a part of its own, plain text is text, and everything else is a file with its bytes or its id."""
    if file.text:
        return {"type": "text", "text": f"{file.name}:\n{file.text}" if file.name else file.text}
    if file.file_id:
        return {"type": "file", "file": {"file_id": file.file_id}}
    kind = file.media_type.partition("/")[0]
    if kind == "audio" and file.data:
        shape = _SOUNDS.get(file.media_type, file.media_type.partition("/")[2])
        return {"type": "input_audio", "input_audio": {"data": file.data, "format": shape}}
    if kind == "video":
        url = file.url or data_url(file.media_type, file.data)
        return {"type": "video_url", "video_url": {"url": url}}
    if not file.data:
        raise Unsupported("a file by its URL cannot be sent to this provider: send its bytes", "messages")
    data = data_url(file.media_type or "application/pdf", file.data)
    return {"type": "file", "file": {"filename": file.name or "file", "file_data": data}}
