"""Turns of the hub → `messages` for a provider of this dialect.

First what cannot go is left out, then turns are merged, then blocks are written: so nothing that is left out keeps two
turns of one role apart, and results stay next to their calls.
"""

from base64 import b64decode
from typing import Any

from gateway.dialects.anthropic_messages import carried
from gateway.dialects.anthropic_messages.caching import Marks
from gateway.dialects.anthropic_messages.response import input_of
from gateway.dialects.codec import Destination, Unsupported
from gateway.dialects.media import normal_media_type, sniff_image
from gateway.dialects.tool_names import WireNames, legal_id, wrapped
from gateway.dialects.turns import merged
from gateway.domain.chat import File, Image, Part, Refusal, Signature, Text, Thinking, ToolCall, ToolResult, Turn

PLACEHOLDER = "Go on."
"""The caller's words where Anthropic needs some and the caller has none."""

_PICTURES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_TEXTS = ("text/", "application/json", "application/xml", "application/yaml", "application/x-yaml")


def sendable(turns: tuple[Turn, ...], destination: Destination, notes: list[str]) -> tuple[Turn, ...]:
    """Merged turns with what this destination may see: `user` and `assistant` by turns, `user` first, none empty."""
    kept = (_kept(turn, destination, notes) for turn in turns)
    joined = merged(tuple(turn for turn in kept if turn.parts))
    if not joined or joined[0].role != "user":
        notes.append("messages: a user's turn was put first")
        joined = (Turn("user", (Text(text=PLACEHOLDER),)), *joined)
    return joined


def without_last_thoughts(turns: tuple[Turn, ...], notes: list[str]) -> tuple[Turn, ...]:
    """For a request that does not think: Anthropic then refuses thoughts in a begun answer. Elsewhere it skips them."""
    if not is_prefilled(turns) or not any(isinstance(part, Thinking) for part in turns[-1].parts):
        return turns
    notes.append("thinking: left out of the begun answer, thinking is off")
    rest = tuple(part for part in turns[-1].parts if not isinstance(part, Thinking))
    return (*turns[:-1], Turn("assistant", rest)) if rest else turns[:-1]


def is_prefilled(turns: tuple[Turn, ...]) -> bool:
    """The answer is to go on from words of the assistant."""
    return bool(turns) and turns[-1].role == "assistant"


def encode_messages(turns: tuple[Turn, ...], names: WireNames, marks: Marks, notes: list[str]) -> list[dict[str, Any]]:
    """Wire messages. Raises Unsupported for files that the dialect has no place for."""
    messages = []
    for at, turn in enumerate(turns):
        writer = _Writer(names, marks, notes, is_user=turn.role == "user")
        blocks = [block for part in turn.parts for block in writer.blocks(part)]
        if turn.role == "assistant" and at == len(turns) - 1:
            blocks = _trimmed(blocks)
        if blocks:
            messages.append({"role": turn.role, "content": blocks})
    return messages


def _kept(turn: Turn, destination: Destination, notes: list[str]) -> Turn:
    role = turn.role
    if role == "system":
        notes.append("system: in the midst of the conversation, sent as the user's words")
        role = "user"
    return Turn(role, tuple(part for part in turn.parts if _may_go(part, role, destination, notes)))


def _may_go(part: Part, role: str, destination: Destination, notes: list[str]) -> bool:
    if isinstance(part, Text | ToolCall) and part.signature is not None:
        notes.append("thinking: reasoning of another provider")
    if isinstance(part, Text | Refusal):
        return bool(part.text.strip())  # texts of white space only are refused
    if isinstance(part, Thinking):
        if is_own(part.signature, destination):
            return True
        notes.append("thinking: reasoning of another provider")
        return False
    if isinstance(part, Image | File) and role == "assistant":
        notes.append("messages: a picture or file of the assistant")
        return False
    return True


def is_own(signature: Signature | None, destination: Destination) -> bool:
    """Whether this destination signed it. Callers of this dialect cannot say who did, beyond the dialect."""
    return (
        signature is not None
        and signature.dialect == carried.DIALECT
        and signature.provider in ("", destination.provider)
    )


class _Writer:
    def __init__(self, names: WireNames, marks: Marks, notes: list[str], *, is_user: bool) -> None:
        self._names = names
        self._marks = marks
        self._notes = notes
        self._is_user = is_user

    def blocks(self, part: Part) -> list[dict[str, Any]]:
        block = self._block(part)
        if part.cache and not isinstance(part, Thinking):
            self._marks.add("messages", block, part.cache)
        return [block]

    def _block(self, part: Part) -> dict[str, Any]:
        if isinstance(part, Text):
            if part.citations:
                self._notes.append("citations")
            return {"type": "text", "text": part.text}
        if isinstance(part, ToolCall):
            arguments = wrapped(part.arguments) if part.kind == "custom" else part.arguments
            name = self._names.of(part.name, part.namespace)
            return {"type": "tool_use", "id": legal_id(part.id), "name": name, "input": input_of(arguments)}
        if isinstance(part, ToolResult):
            return self._result(part)
        if isinstance(part, Image):
            return self._image(part)
        if isinstance(part, File):
            return self._file(part)
        if isinstance(part, Thinking):
            assert part.signature is not None
            if part.is_redacted:
                return {"type": "redacted_thinking", "data": part.signature.data}
            return {"type": "thinking", "thinking": part.text, "signature": part.signature.data}
        return {"type": "text", "text": part.text}

    def _result(self, part: ToolResult) -> dict[str, Any]:
        block: dict[str, Any] = {"type": "tool_result", "tool_use_id": legal_id(part.call_id)}
        kept = [inner for inner in part.content if not isinstance(inner, Text) or inner.text.strip()]
        if len(kept) == 1 and isinstance(kept[0], Text):
            block["content"] = kept[0].text
        elif kept:
            block["content"] = [self._block(inner) for inner in kept]
        if part.is_error:
            block["is_error"] = True
        ttl = part.cache or next((inner.cache for inner in reversed(part.content) if inner.cache), "")
        if ttl and not part.cache:
            self._marks.add("messages", block, ttl)
        return block

    def _image(self, part: Image) -> dict[str, Any]:
        if part.detail:
            self._notes.append("detail")
        if not part.data:
            return {"type": "image", "source": {"type": "url", "url": part.url}}
        media_type = sniff_image(part.data) or normal_media_type(part.media_type)
        if media_type not in _PICTURES:
            raise Unsupported(f"Anthropic Messages takes no pictures of type {media_type or 'unknown'}", "messages")
        return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": part.data}}

    def _file(self, part: File) -> dict[str, Any]:
        media_type = normal_media_type(part.media_type)
        if media_type in _PICTURES and (part.data or part.url):
            return self._image(Image(media_type=media_type, data=part.data, url=part.url))
        block = {"type": "document", "source": _source(part, media_type)}
        if part.name:
            block["title"] = part.name
        return block


def _source(part: File, media_type: str) -> dict[str, Any]:
    if part.text:
        return {"type": "text", "media_type": "text/plain", "data": part.text}
    if part.data and media_type == "application/pdf":
        return {"type": "base64", "media_type": media_type, "data": part.data}
    if part.data and media_type.startswith(_TEXTS):
        return {"type": "text", "media_type": "text/plain", "data": _plain(part.data)}
    if part.url and media_type in ("", "application/pdf"):
        return {"type": "url", "url": part.url}
    if part.file_id.startswith("file_"):
        return {"type": "file", "file_id": part.file_id}
    if part.file_id:
        raise Unsupported(f"the file {part.file_id[:64]} is not at Anthropic", "messages")
    raise Unsupported(
        f"Anthropic Messages takes PDF and text files, not {media_type or 'files of an unknown type'}", "messages"
    )


def _plain(data: str) -> str:
    return b64decode(data).decode("utf-8", "replace")


def _trimmed(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A prefilled answer may not end in white space."""
    if blocks and blocks[-1]["type"] == "text":
        blocks[-1]["text"] = blocks[-1]["text"].rstrip()
    return blocks
