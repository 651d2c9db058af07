"""The first turns of a conversation, the same in each of its requests, in any dialect: what it is known by when it has no name.

What counts are the texts up to the first thing that a person says: the system prompt, and the first user turn. How they are
written (one string or parts, marks for a prompt cache, which move from turn to turn) and all other fields do not.
"""

from typing import Any

import msgspec

MAX_TURNS = 16
"""Turns before the first of a person; a conversation that begins with more is known by those."""

_PEOPLE = frozenset({"user", "human"})


_NONE = msgspec.Raw()


class _Asked(msgspec.Struct, frozen=True, rename="camel"):
    """Where the dialects keep it. Turns stay bytes, so that a long conversation costs one pass over it."""

    messages: list[msgspec.Raw] | None = None
    input: msgspec.Raw = _NONE
    contents: list[msgspec.Raw] | None = None
    system: msgspec.Raw = _NONE
    instructions: msgspec.Raw = _NONE
    system_instruction: msgspec.Raw = _NONE
    snake_system_instruction: msgspec.Raw = msgspec.field(name="system_instruction", default=_NONE)
    previous_response_id: str | None = msgspec.field(name="previous_response_id", default=None)
    conversation: msgspec.Raw = _NONE


_decode = msgspec.json.Decoder(_Asked).decode
_decode_turns = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_any = msgspec.json.decode


def first_turns(body: bytes) -> bytes:
    """What the conversation is known by; empty when the body does not hold its beginning, or cannot be read."""
    try:
        asked = _decode(body)
        if asked.previous_response_id or bytes(asked.conversation) not in (b"", b"null"):
            return b""
        texts = _texts(asked.system) + _texts(asked.instructions)
        texts += _texts(asked.system_instruction) + _texts(asked.snake_system_instruction)
        said = _said(asked)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return b""
    return b"\0".join([*texts, b"", *said]) if any(said) else b""


def _said(asked: _Asked) -> list[bytes]:
    """Of the turns up to the first of a person."""
    turns = asked.messages or asked.contents
    if turns is None:
        given = bytes(asked.input)
        if not given.startswith(b"["):
            return _texts(asked.input)
        turns = _decode_turns(given)
    found: list[bytes] = []
    for raw in turns[:MAX_TURNS]:
        turn = _decode_any(raw)
        if not isinstance(turn, dict):
            break
        found += _texts_in(turn.get("content", turn.get("parts")))
        if turn.get("role", "user") in _PEOPLE:
            break
    return found


def _texts(raw: msgspec.Raw) -> list[bytes]:
    return _texts_in(_decode_any(raw)) if bytes(raw) else []


def _texts_in(value: Any) -> list[bytes]:
    """The texts of a turn or a prompt, however it is written; of pictures and files their addresses and data."""
    if isinstance(value, str):
        return [value.encode("utf-8", "surrogatepass")]
    if isinstance(value, list):
        return [text for part in value for text in _texts_in(part)]
    if isinstance(value, dict):
        kept = (part for name, part in sorted(value.items()) if name not in ("cache_control", "type", "role", "detail"))
        return [text for part in kept for text in _texts_in(part)]
    return []
