"""Prompt injection: signs of it in what callers and their tools say. The signs are data (`guard.toml`).

A sign is words, not proof: the default of an operator who wants it should be `warn`. Texts are judged as they look
(`flat.py`), in slices (`scan.py`), and every pattern is bounded, so no text makes it slow.
"""

import re
import tomllib
from collections.abc import Generator, Iterable
from functools import cache
from importlib.resources import files
from typing import Literal, NamedTuple

import msgspec

from gateway.shaping.access import Spot
from gateway.shaping.flat import flat
from gateway.shaping.memo import Memo
from gateway.shaping.scan import OVERLAP, SLICE, Found, Meter, replaced, without_overlaps

LOOK_BACK = 80
PLACEHOLDER = "[INJECTION_REDACTED]"
Severity = Literal["medium", "high"]


class _Sign(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    severity: Severity
    words: tuple[str, ...]
    pattern: str
    unless: str = ""
    scans: tuple[str, ...] = ("system", "user", "tool")


class _Signs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    signs: tuple[_Sign, ...]


class Sign(NamedTuple):
    id: str
    severity: Severity
    words: tuple[str, ...]
    pattern: re.Pattern[str]
    unless: re.Pattern[str] | None
    scans: tuple[str, ...]


class Finding(NamedTuple):
    sign: str
    severity: Severity


@cache
def signs() -> tuple[Sign, ...]:
    """The signs of the data file, compiled once a process."""
    text = files(__package__).joinpath("guard.toml").read_text("utf-8")
    read = msgspec.convert(tomllib.loads(text), _Signs)
    flags = re.IGNORECASE | re.MULTILINE
    return tuple(
        Sign(
            one.id,
            one.severity,
            one.words,
            re.compile(one.pattern, flags),
            re.compile(one.unless, flags) if one.unless else None,
            one.scans,
        )
        for one in read.signs
    )


def judge(
    spots: Iterable[Spot], scans: Iterable[str], meter: Meter, *, redacts: bool, memo: Memo | None = None
) -> Generator[None, None, tuple[Finding, ...]]:
    """What was found, each sign once. With `redacts` it is taken out of the texts. Yields when the loop should turn."""
    memo = Memo() if memo is None else memo
    severities: dict[str, Severity] = {}
    wanted = frozenset(scans)
    for spot in spots:
        if spot.whose not in wanted:
            continue
        text = spot.text
        found: list[Found] = []
        for start in range(0, len(text), SLICE):
            found += _in_slice(text, start, spot.whose, memo)
            if meter.spend(min(SLICE, len(text) - start)):
                yield
        for one in found:
            severities[one.name] = _severities()[one.name]
        if redacts and found:
            spot.write(replaced(text, without_overlaps(found), lambda _: PLACEHOLDER))
    return tuple(Finding(sign, severity) for sign, severity in severities.items())


@cache
def _severities() -> dict[str, Severity]:
    return {sign.id: sign.severity for sign in signs()}


def _in_slice(text: str, start: int, whose: str, memo: Memo) -> Iterable[Found]:
    begin = max(0, start - LOOK_BACK)
    piece = text[begin : start + SLICE + OVERLAP]
    for one in memo.found(piece, b"guard " + whose.encode(), lambda: _in_piece(piece, whose)):
        yield Found(begin + one.start, begin + one.end, one.name)


def _in_piece(piece: str, whose: str) -> Iterable[Found]:
    plain, places = flat(piece)
    small = plain.lower()
    for sign in signs():
        if whose not in sign.scans or not any(word in small for word in sign.words):
            continue
        for match in sign.pattern.finditer(plain):
            first, last = match.span()
            if sign.unless is not None and sign.unless.search(plain, max(0, first - LOOK_BACK), first):
                continue
            if places is not None:
                first, last = places[first], places[last]
            yield Found(first, last, sign.id)
