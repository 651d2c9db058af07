"""Takes credentials and personal data out of a body that is to be stored: JSON or a stream of it, also one that was cut. Pure.

The strings of the JSON are read where they stand, so a body need not be whole. In a stream the strings under one field
(`content`, `text`, `arguments` …) are searched as one text: what a provider sends in pieces is found all the same.
"""

import json
import re
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass

from gateway.domain.shaping import Pii, PiiKind
from gateway.shaping.pii import Redactor, placeholder
from gateway.shaping.scan import Found, Meter, scanned

MARGIN = 4_096
"""Bytes after the cap that are read too, so that what lies across it is found whole."""

CREDENTIALS: tuple[PiiKind, ...] = ("api_key", "aws_key")
MAX_SECRET = 1_024
"""Characters of a secret that are looked for: searches overlap by so much."""

_STRING = re.compile(r'"((?:[^"\\]|\\.)*+)("\s*+:|"|\\?\Z)', re.DOTALL)


@dataclass(slots=True)
class _Piece:
    """A string of the body: where its inner text stands, what it says, and the field it stands under."""

    start: int
    end: int
    text: str
    field: str


class BodyRedactor:
    """`secrets` are taken out wherever they stand, whatever is shaped like a key too, personal data if `rule` redacts it."""

    def __init__(self, secrets: Iterable[str], rule: Pii | None) -> None:
        self._secrets = tuple({secret[:MAX_SECRET] for secret in secrets})
        wanted: tuple[PiiKind, ...] = CREDENTIALS
        if rule is not None and "redact" in (rule.input, rule.output):
            wanted = (*rule.kinds, *CREDENTIALS) if rule.kinds else ()
        self._redactor = Redactor(wanted)

    def redacted(self, body: bytes, cap: int, *, is_stream: bool, is_cut: bool) -> Generator[None, None, str]:
        """At most `cap` bytes of a body. `is_cut`: it was longer, and only its first `cap` + MARGIN bytes are here. Yields when the loop should have its turn."""
        text = body.decode("utf-8", "replace").replace("\x00", "\ufffd")
        pieces = _pieces(text)
        meter = Meter()
        yield
        changed: list[tuple[_Piece, str]] = []
        for group in _groups(pieces, is_stream=is_stream):
            joined = "".join(piece.text for piece in group)
            found = yield from scanned(joined, self._search, meter)
            if found:
                changed += _written(group, joined, found)
        parts: list[str] = []
        at = 0
        for piece, new in sorted(changed, key=lambda one: one[0].start):
            parts += (text[at : piece.start], json.dumps(new)[1:-1])
            at = piece.end
        parts.append(text[at:])
        whole = "".join(parts)
        if is_cut:  # what the end may hold of something cut in two goes with the margin
            whole = whole[: max(0, len(whole) - MARGIN)]
        return whole.encode()[:cap].decode("utf-8", "ignore")

    def _search(self, text: str, start: int, end: int) -> Iterable[Found]:
        yield from self._redactor.search(text, start, end)
        for secret in self._secrets:
            at = text.find(secret, start, end + len(secret) - 1)
            while at >= 0:
                yield Found(at, at + len(secret), "credential")
                at = text.find(secret, at + len(secret), end + len(secret) - 1)


def _pieces(text: str) -> list[_Piece]:
    pieces: list[_Piece] = []
    field = ""
    for match in _STRING.finditer(text):
        inner = match.group(1)
        said = _said(inner) if "\\" in inner else inner
        is_name = match.group(2).endswith(":")
        pieces.append(_Piece(match.start(1), match.end(1), said, "" if is_name else field))
        if is_name:
            field = said
    return pieces


def _said(inner: str) -> str:
    try:
        said: str = json.loads(f'"{inner}"', strict=False)
    except ValueError:  # cut in an escape, or no JSON
        return inner
    return said


def _groups(pieces: Sequence[_Piece], *, is_stream: bool) -> Iterable[list[_Piece]]:
    """Pieces that are read as one text."""
    if not is_stream:
        return [[piece] for piece in pieces if piece.text]
    by_field: dict[str, list[_Piece]] = {}
    alone: list[list[_Piece]] = []
    for piece in pieces:
        if piece.field:
            by_field.setdefault(piece.field, []).append(piece)
        elif piece.text:
            alone.append([piece])
    return [*by_field.values(), *alone]


def _written(group: Sequence[_Piece], joined: str, found: Sequence[Found]) -> list[tuple[_Piece, str]]:
    """The pieces that change: what was found is replaced in the piece it begins in, and gone from those it goes on in."""
    changed: list[tuple[_Piece, str]] = []
    begin = first = 0
    for piece in group:
        end = begin + len(piece.text)
        while first < len(found) and found[first].end <= begin:
            first += 1
        parts: list[str] = []
        at, index = begin, first
        while index < len(found) and found[index].start < end:
            one = found[index]
            parts.append(joined[at : max(at, one.start)])
            if one.start >= begin:
                parts.append(placeholder(one.name))
            at = min(one.end, end)
            index += 1
        if index > first:
            changed.append((piece, "".join((*parts, joined[at:end]))))
        begin = end
    return changed
