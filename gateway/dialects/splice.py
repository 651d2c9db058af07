"""Change single members of a JSON object's text and leave every other byte as it came.

Pass-through promises that only the model's name changes; decoding and encoding again would lose spacing, number
forms and duplicate keys, and with them the provider's prompt cache.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

# Possessive: a plain `*` keeps a way back for every character, 120 bytes each, of a picture of megabytes.
_STRING_VALUE = re.compile(rb'\s*:\s*("(?:[^"\\]++|\\.)*+")')
_VALUE = re.compile(rb"\s*:\s*")
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[{}\[\],]', re.DOTALL)


class _Named(msgspec.Struct, frozen=True):
    model: Any = None


_decode_named = msgspec.json.Decoder(_Named).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def replace_model(body: bytes, old: str, new: str) -> bytes:
    r"""Put `new` where the top-level `model` says `old`. `body` is a JSON object that has been decoded before.

    The first `"model"` is tried and the result read again: a parser takes the last of equal names, so when that one
    says `new` there is no later one. Before the first there can be none either, unless its name is spelled with
    escapes: all five letters are `\u006x`. Reading costs a third of a search through the whole text.
    """
    if old == new:
        return body
    at = body.find(b'"model"')
    if at >= 0 and body.find(b"\\u006", 0, at) < 0:
        value = _STRING_VALUE.match(body, at + 7)
        if value is not None and msgspec.json.decode(value.group(1)) == old:
            spliced = b"".join((body[: value.start(1)], _encode(new), memoryview(body)[value.end(1) :]))
            if _decode_named(spliced).model == new:
                return spliced
    return replace_member(body, "model", _encode(new))


def replace_member(body: bytes, name: str, value: bytes) -> bytes:
    """Replace the top-level member `name` wherever it stands (duplicates too); add it at the end when absent."""
    parts: list[bytes] = []
    at = 0
    for key, start, end in _members(body):
        if key == name:
            parts += (body[at:start], value)
            at = end
    if not parts:
        return append_member(body, name, value)
    return b"".join((*parts, body[at:]))


def append_member(body: bytes, name: str, value: bytes) -> bytes:
    """Add a top-level member that is known to be absent, as the last one: the prefix stays as it was."""
    closing = body.rindex(b"}")
    comma = b"" if body[max(0, closing - 64) : closing].rstrip().endswith(b"{") else b","
    return body[:closing] + comma + _encode(name) + b":" + value + body[closing:]


def drop_members(body: bytes, names: tuple[str, ...]) -> bytes:
    """Remove top-level members. Only quirks of a provider's data file ask for this, so spacing may change."""
    members: Mapping[str, msgspec.Raw] = _decode_members(body)
    if not any(name in members for name in names):
        return body
    return _encode({name: value for name, value in members.items() if name not in names})


def _members(body: bytes) -> Iterator[tuple[str, int, int]]:
    """(name, start, end) of each top-level member's value. `body` is valid JSON, an object."""
    depth, name, start = 0, "", -1
    for token in _TOKEN.finditer(body):
        first = token.group()[:1]
        if first in b"{[":
            depth += 1
        elif first in b"}]":
            depth -= 1
            if depth == 0 and start >= 0:
                yield name, start, start + len(body[start : token.start()].rstrip())
                return
        elif first == b"," and depth == 1:
            yield name, start, start + len(body[start : token.start()].rstrip())
            start = -1
        elif first == b'"' and depth == 1 and start < 0:
            name = msgspec.json.decode(token.group(), type=str)
            value = _VALUE.match(body, token.end())
            assert value is not None
            start = value.end()
