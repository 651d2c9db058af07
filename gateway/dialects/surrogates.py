r"""Halves of surrogate pairs. JSON may spell one alone (`\ud83d`), UTF-8 cannot hold it, and msgspec refuses to read it.

Providers that stream by UTF-16 units send the two halves of one character in two deltas, and a text that was cut may end
in a half. Both are rare, so the fast path tries msgspec first. Requests with such halves are refused, as providers do.
"""

import json
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def read_json(data: bytes) -> Any:
    """The value of a JSON text; lone halves in it become U+FFFD. Raises ValueError or RecursionError."""
    try:
        return _decode(data)
    except msgspec.DecodeError:
        if b"\\u" not in data:
            raise
        return _cleaned(json.loads(data))


def read_json_with_halves(data: bytes, in_pieces: frozenset[str]) -> Any:
    """The same, with lone halves kept in the members `in_pieces`: texts of deltas that a HalfJoiner puts together."""
    return _cleaned(json.loads(data), in_pieces)


def readable_json(data: bytes | str) -> bytes:
    """The JSON text itself with U+FFFD for lone halves, on one line. Raises msgspec.DecodeError or RecursionError."""
    try:
        text = json.dumps(json.loads(data), ensure_ascii=False)
    except ValueError as error:
        raise msgspec.DecodeError(str(error)) from error
    return cleaned_text(text).encode()


def json_text(value: object) -> bytes:
    """A value as JSON in UTF-8, whatever strings it holds."""
    try:
        return _encode(value)
    except UnicodeEncodeError:
        return _encode(_cleaned(value))


class HalfJoiner:
    """Joins a text that may be cut between two halves of a character. A half in the middle becomes U+FFFD, at the end nothing."""

    __slots__ = ("_high",)

    def __init__(self) -> None:
        self._high = ""

    def feed(self, text: str) -> str:
        if not self._high and text.isascii():
            return text
        text = self._high + text
        self._high = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return cleaned_text(text[: len(text) - len(self._high)])


def cleaned_text(text: str) -> str:
    """Text that UTF-8 can hold: two halves that stand together are one character, a lone one is U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _cleaned(value: Any, kept: frozenset[str] = frozenset()) -> Any:
    if isinstance(value, str):
        return cleaned_text(value)
    if isinstance(value, list):
        return [_cleaned(item, kept) for item in value]
    if isinstance(value, dict):
        return {
            cleaned_text(name): item if name in kept and isinstance(item, str) else _cleaned(item, kept)
            for name, item in value.items()
        }
    return value
