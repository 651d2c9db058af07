"""Turns → `systemInstruction` and `contents` for a Gemini provider. The way back is `contents_in.py`.

Gemini wants user and model to take turns, all responses of one round in one content and in the order of its calls, and
something in `contents` that is no call and no response before anything else.
"""

import re
from typing import Any

from gateway.dialects.codec import Destination, Unsupported
from gateway.dialects.gemini.contents_in import MADE_UP
from gateway.dialects.gemini.response import arguments_object
from gateway.dialects.gemini.signatures import DUMMY
from gateway.dialects.media import from_data_url, normal_media_type, sniff_image
from gateway.dialects.surrogates import cleaned_text
from gateway.dialects.tool_names import WireNames, legal_id, wrapped
from gateway.dialects.turns import merged, split_leading_system, unique_calls
from gateway.domain.chat import (
    ChatRequest,
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

_MADE_UP_ID = re.compile(rf"(?:{MADE_UP}\d+|call_[0-9a-f]{{20}}_\d+)\Z")
_FILE_URL = re.compile(r"gs://|https://[^/]+/v1[a-z0-9]*/files/|https://(?:www\.)?(?:youtube\.com|youtu\.be)/")
"""What `fileData` takes: Cloud Storage, the Files API, YouTube."""


class ContentsWriter:
    """Writes the contents of one request. `notes` are what could not be said."""

    def __init__(self, names: WireNames, destination: Destination) -> None:
        self._names = names
        self._destination = destination
        self._calls: dict[str, tuple[str, str]] = {}
        self._order: dict[str, int] = {}
        self.notes: list[str] = []

    def write(self, request: ChatRequest) -> tuple[list[Any], dict[str, Any] | None]:
        """(contents, systemInstruction). A request of system text alone says it as the user."""
        system, turns = split_leading_system(unique_calls(request.turns))
        texts = [{"text": cleaned_text(text.text)} for text in system if text.text]
        later = tuple(Turn("user", turn.parts) if turn.role == "system" else turn for turn in turns)
        if [turn for turn in turns if turn.role == "system"]:
            self._note("system text within the conversation is sent as the user's")
        contents: list[Any] = []
        for turn in merged(later):
            parts = self._assistant(turn) if turn.role == "assistant" else self._user(turn)
            role = "model" if turn.role == "assistant" else "user"
            if parts and contents and contents[-1]["role"] == role:
                contents[-1]["parts"] += parts
            elif parts:
                contents.append({"role": role, "parts": parts})
        if not contents:
            self._note("the system text is sent as the user's: there is no other")
            return [{"role": "user", "parts": texts or [{"text": " "}]}], None
        if contents[0]["role"] == "model":
            self._note("an empty user turn before the assistant's first")
            contents.insert(0, {"role": "user", "parts": [{"text": " "}]})
        return contents, {"parts": texts} if texts else None

    def _assistant(self, turn: Turn) -> list[Any]:
        """The first call of a turn needs a signature: without one of its own it gets the documented dummy."""
        written: list[Any] = []
        self._order = {}
        for part in turn.parts:
            match part:
                case Text():
                    own = self._own(part.signature)
                    if part.text or own:
                        written.append(_signed({"text": cleaned_text(part.text)}, own))
                case Refusal():
                    written.append({"text": cleaned_text(part.text)})
                case Thinking():
                    self._write_thought(part, written)
                case ToolCall():
                    own = self._own(part.signature)
                    is_first = not self._order
                    written.append(_signed({"functionCall": self._call(part)}, own or (DUMMY if is_first else "")))
                case Image() | File():
                    written.append(self._media(part))
                case _:
                    pass
            self._note_cache(part)
        return written

    def _user(self, turn: Turn) -> list[Any]:
        """Results in the order of their calls, then what they hold beside text, then what the user says."""
        results = [part for part in turn.parts if isinstance(part, ToolResult)]
        results.sort(key=lambda result: self._order.get(result.call_id, len(self._order)))
        written: list[Any] = []
        beside: list[Any] = []
        for result in results:
            written.append({"functionResponse": self._result(result, beside)})
            self._note_cache(result)
        written += beside
        for part in turn.parts:
            if isinstance(part, Text | Refusal):
                if part.text:
                    written.append({"text": cleaned_text(part.text)})
            elif isinstance(part, Image | File):
                written.append(self._media(part))
            self._note_cache(part)
        return written

    def _write_thought(self, part: Thinking, written: list[Any]) -> None:
        own = self._own(part.signature)
        if own:
            written.append({"text": cleaned_text(part.text), "thought": True, "thoughtSignature": own})
        elif part.signature is None:
            self._note("reasoning without a signature")

    def _own(self, signature: Signature | None) -> str:
        """A signature goes back to who gave it, and to nobody else."""
        if signature is None:
            return ""
        if signature.dialect == "gemini" and signature.provider in ("", self._destination.provider):
            return signature.data
        self._note("reasoning of another provider")
        return ""

    def _call(self, call: ToolCall) -> dict[str, Any]:
        name = self._names.of(call.name, call.namespace)
        call_id = "" if _MADE_UP_ID.match(call.id) else legal_id(call.id)
        self._calls[call.id] = (name, call_id)
        self._order[call.id] = len(self._order)
        arguments = wrapped(cleaned_text(call.arguments)) if call.kind == "custom" else call.arguments
        written = {"name": name, "args": arguments_object(arguments)}
        return {"id": call_id, **written} if call_id else written

    def _result(self, result: ToolResult, beside: list[Any]) -> dict[str, Any]:
        """Pictures stand inside the response where the provider takes that, else after all responses."""
        name, call_id = self._calls.get(result.call_id) or (self._names.of(result.name or result.call_id), "")
        text = "\n".join(part.text for part in result.content if isinstance(part, Text))
        text = cleaned_text(
            "\n".join([text, *(part.text for part in result.content if isinstance(part, File) and part.text)])
        )
        media = [
            self._media(part)
            for part in result.content
            if isinstance(part, Image) or (isinstance(part, File) and not part.text)
        ]
        written: dict[str, Any] = {
            "name": name,
            "response": {"error" if result.is_error else "result": text.strip("\n") if media else text},
        }
        if media and "multimodal_results" in self._destination.quirks:
            written["parts"] = media
        elif media:
            beside.append({"text": f"What `{name}` returned beside its text:"})
            beside += media
            self._note("pictures in a tool's result are sent after it")
        return {"id": call_id, **written} if call_id else written

    def _media(self, part: Image | File) -> dict[str, Any]:
        return _image(part, self.notes) if isinstance(part, Image) else _file(part)

    def _note_cache(self, part: Part) -> None:
        if part.cache:
            self._note("cache_control")

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


def _signed(part: dict[str, Any], signature: str) -> dict[str, Any]:
    if signature:
        part["thoughtSignature"] = signature
    return part


def _image(image: Image, notes: list[str]) -> dict[str, Any]:
    if image.detail not in ("", "auto") and "detail" not in notes:
        notes.append("detail")
    if image.data:
        kind = sniff_image(image.data) or normal_media_type(image.media_type) or "image/png"
        return {"inlineData": {"mimeType": kind, "data": image.data}}
    inline = from_data_url(image.url)
    if inline is not None:
        return {"inlineData": {"mimeType": inline[0], "data": inline[1]}}
    if _FILE_URL.match(image.url):
        return {"fileData": {"mimeType": image.media_type or "image/png", "fileUri": image.url}}
    raise Unsupported("this provider takes pictures inline only, not by their address", param="image_url")


def _file(file: File) -> dict[str, Any]:
    if file.text:
        return {"text": cleaned_text(f"{file.name}:\n{file.text}" if file.name else file.text)}
    if file.data:
        kind = normal_media_type(file.media_type) or "application/octet-stream"
        return {"inlineData": {"mimeType": kind, "data": file.data}}
    if file.url and _FILE_URL.match(file.url):
        reference = {"fileUri": file.url}
        return {"fileData": {"mimeType": file.media_type, **reference} if file.media_type else reference}
    if file.url:
        raise Unsupported("this provider takes files inline only, not by their address", param="file_url")
    raise Unsupported("this provider does not know files by another's id", param="file_id")
