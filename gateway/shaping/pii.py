"""Personal data and secrets in texts: found by patterns (data, `pii.toml`) and check digits, replaced by `[EMAIL_REDACTED]` and the like.

In a stream a number may come in pieces: the last word (with all that could belong to the same number) is held back until
it is whole, at most MAX_HELD characters.
"""

import ipaddress
import re
import tomllib
from collections.abc import Callable, Generator, Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import msgspec

from gateway.domain.events import (
    CitationAdded,
    Event,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    UsageTold,
)
from gateway.domain.shaping import Pii, PiiKind
from gateway.shaping.access import Spot
from gateway.shaping.memo import Memo
from gateway.shaping.scan import OVERLAP, Found, Meter, replaced, scanned, without_overlaps

MAX_HELD = 256
MAX_LATER = 64
_CONTEXT = 8
"""Characters before a piece that patterns look back at."""
_DIGIT = re.compile(r"\d")


class _Kind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: PiiKind
    has: tuple[str, ...]
    pattern: str
    check: str = ""


class _Kinds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kinds: tuple[_Kind, ...]


class Kind(NamedTuple):
    name: PiiKind
    has: tuple[str, ...]
    pattern: re.Pattern[str]
    check: Callable[[str], int]
    """Of a match: how many of its characters are one; 0 = it is none."""


class Redactor:
    """Finds the kinds that are asked for. `found` counts them, by kind."""

    def __init__(self, wanted: Iterable[PiiKind], memo: Memo | None = None) -> None:
        self._memo = memo
        names = frozenset(wanted)
        self._kinds = tuple(kind for kind in kinds() if not names or kind.name in names)
        self.found: dict[str, int] = {}

    def search(self, text: str, start: int, end: int) -> Iterable[Found]:
        """Matches that begin from `start` on and before `end`."""
        if self._memo is None:
            return self._search(text, start, end)
        begin = max(0, start - _CONTEXT)
        piece, own = text[begin : end + OVERLAP], start - begin
        what = b"pii %d" % own  # its kinds are those of one revision, as the memo is
        found = self._memo.found(piece, what, lambda: self._search(piece, own, own + end - start))
        return [Found(begin + one.start, begin + one.end, one.name) for one in found]

    def _search(self, text: str, start: int, end: int) -> Iterable[Found]:
        stop = min(len(text), end + OVERLAP)
        has_digit = _DIGIT.search(text, start, stop) is not None
        for kind in self._kinds:
            if kind.has:
                if not any(text.find(mark, start, stop) >= 0 for mark in kind.has):
                    continue
            elif not has_digit:
                continue
            for match in kind.pattern.finditer(text, start, stop):
                length = kind.check(match.group())
                if length and match.start() < end:
                    yield Found(match.start(), match.start() + length, kind.name)

    def redacted(self, text: str, found: Iterable[Found]) -> str:
        found = tuple(found)
        self.count(found)
        return replaced(text, found, placeholder)

    def count(self, found: Iterable[Found]) -> None:
        for one in found:
            self.found[one.name] = self.found.get(one.name, 0) + 1


def redact(
    spots: Iterable[Spot], rule: Pii, redactor: Redactor, meter: Meter, *, writes: bool
) -> Generator[None, None, bool]:
    """Whether something was found; with `writes` it is replaced. Yields when the loop should have its turn."""
    spared = {
        name for name, is_read in (("arguments", rule.tool_arguments), ("reasoning", rule.reasoning)) if not is_read
    }
    is_found = False
    for spot in spots:
        if spot.whose in spared:
            continue
        found = yield from scanned(spot.text, redactor.search, meter)
        if found:
            is_found = True
            if writes:
                spot.write(redactor.redacted(spot.text, found))
            else:
                redactor.count(found)
    return is_found


class StreamRedactor:
    """Takes personal data out of a stream's events: the hub's, in and out. A piece waits until it is known not to go on."""

    def __init__(self, rule: Pii, redactor: Redactor) -> None:
        self._redactor = redactor
        self._reads_reasoning = rule.reasoning
        self._reads_arguments = rule.tool_arguments
        self._held: list[_Held] = []

    def feed(self, events: list[Event]) -> list[Event]:
        out: list[Event] = []
        for event in events:
            kind = self._kind_of(event)
            if kind is not None:
                self._piece(kind, event, out)
            elif isinstance(event, UsageTold | Started):
                out.append(event)  # some providers tell the usage with every piece: the text goes on after it
            elif isinstance(event, CitationAdded) and self._held and self._held[-1].takes(event):
                continue
            else:
                out += self.end()
                out.append(event)
        return out

    def end(self) -> list[Event]:
        """What is held, as it is: nothing more belongs to it."""
        out: list[Event] = []
        for held in self._held:
            out += held.end(self._redactor)
        self._held = []
        return out

    def _kind_of(self, event: Event) -> tuple[type, int] | None:
        match event:
            case TextDelta() | RefusalDelta():
                return type(event), 0
            case ThinkingDelta() if self._reads_reasoning:
                return ThinkingDelta, 0
            case ToolCallDelta() if self._reads_arguments:
                return ToolCallDelta, event.index
        return None

    def _piece(self, kind: tuple[type, int], event: Event, out: list[Event]) -> None:
        held = next((one for one in self._held if one.kind == kind), None)
        if held is None:
            if kind[0] is not ToolCallDelta:  # calls may interleave, texts may not
                out += self.end()
            held = _Held(kind)
            self._held.append(held)
        out += held.feed(event, self._redactor)


class _Held:
    """One text that comes in pieces."""

    def __init__(self, kind: tuple[type, int]) -> None:
        self.kind = kind
        self._before = ""
        self._text = ""
        self._last: Event | None = None
        self._later: list[Event] = []
        """What belongs behind the text that is held."""

    def takes(self, event: Event) -> bool:
        """Whether the event waits for the text before it, which may go on."""
        is_taken = bool(self._text) and len(self._later) < MAX_LATER
        if is_taken:
            self._later.append(event)
        return is_taken

    def feed(self, event: Event, redactor: Redactor) -> list[Event]:
        piece = event.arguments if isinstance(event, ToolCallDelta) else getattr(event, "text", "")
        if isinstance(event, TextDelta) and event.signature is not None:
            text, self._text = self._text + piece, ""
            return [*self._given(text, redactor, event), *self._waited()]
        self._last = event
        text = self._text + piece
        cut = safe_cut(text)
        self._text = text[cut:]
        given = self._given(text[:cut], redactor, event, ahead=self._text)
        return [*given, *self._waited()] if given else given

    def end(self, redactor: Redactor) -> list[Event]:
        text, self._text = self._text, ""
        given = self._given(text, redactor, self._last) if self._last is not None else []
        return [*given, *self._waited()]

    def _waited(self) -> list[Event]:
        waited, self._later = self._later, []
        return waited

    def _given(self, text: str, redactor: Redactor, like: Event, *, ahead: str = "") -> list[Event]:
        has_more = isinstance(like, TextDelta) and like.signature is not None and not ahead
        if not text and not has_more:
            return []
        start = len(self._before)
        whole = self._before + text
        found = without_overlaps(redactor.search(whole, start, len(whole)))
        self._before = whole[-_CONTEXT:]
        written = redactor.redacted(whole, found)[start:]
        if isinstance(like, ToolCallDelta):
            return [ToolCallDelta(like.index, written)]
        if isinstance(like, TextDelta):
            return [TextDelta(written, like.signature if has_more else None)]
        return [ThinkingDelta(written) if isinstance(like, ThinkingDelta) else RefusalDelta(written)]


_BELONGS = re.compile(r"\S*\d\S*|[A-Z]{1,4}|[+()-]+")
"""A word that the number after it may begin in."""


def safe_cut(text: str) -> int:
    """How much of a text may go on: nothing after that place can belong to what stands before it."""
    least = max(0, len(text) - MAX_HELD)
    cut = len(text)
    while cut > least and not text[cut - 1].isspace():
        cut -= 1
    while cut > least:
        end = cut - 1
        start = end
        while start > least and not text[start - 1].isspace():
            start -= 1
        if start == end or not _BELONGS.fullmatch(text, start, end) or text[end] != " ":
            break
        cut = start
    return max(cut, least)


def placeholder(kind: str) -> str:
    return f"[{kind.upper()}_REDACTED]"


@cache
def kinds() -> tuple[Kind, ...]:
    """The kinds of the data file, compiled once a process."""
    text = files(__package__).joinpath("pii.toml").read_text("utf-8")
    read = msgspec.convert(tomllib.loads(text), _Kinds)
    return tuple(Kind(one.kind, one.has, re.compile(one.pattern), _CHECKS[one.check]) for one in read.kinds)


def _digits(text: str) -> list[int]:
    return [int(letter) for letter in text if letter.isdecimal()]


def _whole(text: str) -> int:
    return len(text)


def _mixed(text: str) -> int:
    """A key looks like chance: digits and letters. Words with dashes do not."""
    return len(text) if _DIGIT.search(text) else 0


def _luhn(text: str) -> int:
    digits = _digits(text)
    if len(digits) not in (14, 15, 16, 19) or len(set(digits)) == 1:
        return 0
    doubled = sum(sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return len(text) if (doubled + sum(digits[-1::-2])) % 10 == 0 else 0


def _iban(text: str) -> int:
    """A match may have run on into the next words in capitals: they are taken off one by one."""
    while len(text) >= 15:
        plain = text.replace(" ", "")
        number = "".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])
        if int(number) % 97 == 1:
            return len(text)
        text = text.rpartition(" ")[0]
    return 0


def _cpf(text: str) -> int:
    """Written with dots and dash its form says enough; eleven bare digits must have the right check digits."""
    if "." in text:
        return len(text)
    digits = _digits(text)
    return (
        len(text)
        if len(set(digits)) > 1 and all(_is_checked(digits, at, range(at + 1, 1, -1)) for at in (9, 10))
        else 0
    )


def _cnpj(text: str) -> int:
    if "/" in text:
        return len(text)
    digits = _digits(text)
    weights = [6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]
    is_right = len(set(digits)) > 1 and all(_is_checked(digits, at, weights[13 - at :]) for at in (12, 13))
    return len(text) if is_right else 0


def _is_checked(digits: list[int], at: int, weights: Iterable[int]) -> bool:
    rest = sum(digit * weight for digit, weight in zip(digits[:at], weights, strict=True)) * 10 % 11 % 10
    return rest == digits[at]


def _ip(text: str) -> int:
    """Addresses of the machine itself and masks are nobody's."""
    try:
        address = ipaddress.ip_address(text.rstrip(":"))
    except ValueError:
        return 0
    is_nobodys = address.is_loopback or address.is_unspecified or address.is_multicast or text.startswith("255.")
    return 0 if is_nobodys else len(text)


_CHECKS: Mapping[str, Callable[[str], int]] = {
    "": _whole, "mixed": _mixed, "luhn": _luhn, "iban": _iban, "cpf": _cpf, "cnpj": _cnpj, "ip": _ip,
}  # fmt: skip
