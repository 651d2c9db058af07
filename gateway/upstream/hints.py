"""What a provider says about its limits: in headers of any answer, and in the text of an error. Pure.

Header names arrive in small letters. Numbers are a provider's, so anything may stand there: what is no number, negative
or in the past is as if it were not said, and what is absurdly large is bounded.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

MAX_WAIT_S = 30 * 86_400.0
"""A month: the longest quota window. Who waits bounds it further by a setting."""

MAX_COUNT = 10**12
MAX_TEXT_BYTES = 16_384

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_SPAN = re.compile(
    r"(\d{1,12}(?:\.\d{0,9})?|\.\d{1,9})\s{0,3}(ms|milliseconds?|days?|d|hours?|h|hrs?|minutes?|mins?|m|seconds?|secs?|s)(?![a-z])",
    re.ASCII,
)
_NUMBER = re.compile(r"\d{1,18}(?:\.\d{0,9})?|\.\d{1,9}", re.ASCII)
_RETRY_DELAY = re.compile(r'"retry_?delay"\s{0,9}:\s{0,9}"([^"]{1,40})"', re.IGNORECASE)
_IN_WORDS = re.compile(
    r"(?:try again|retry|retry after|reset|resets|reset after|available|available again)(?: in| after)"
    r"[\s:~]{1,4}(?:about |approximately )?([0-9][0-9a-z.,\s]{0,60})"
)
_EPOCH_S = 1_000_000_000.0
"""Larger numbers in a reset header are instants, in seconds or ms since 1970; smaller ones spans."""


def _names(what: str, field: str) -> tuple[str, ...]:
    names = (f"x-ratelimit-{field}-{what}", f"anthropic-ratelimit-{what}-{field}")
    return (*names, f"x-ratelimit-{field}", f"ratelimit-{field}") if what == "requests" else names


_COUNTS = tuple(_names(what, field) for what in ("requests", "tokens") for field in ("limit", "remaining"))
_REQUESTS_RESET, _TOKENS_RESET = _names("requests", "reset"), _names("tokens", "reset")


class Hints(msgspec.Struct, frozen=True):
    """None = not said. `retry_after_s` and the resets are seconds from now, never negative."""

    retry_after_s: float | None = None
    requests_limit: int | None = None
    requests_remaining: int | None = None
    requests_reset_s: float | None = None
    tokens_limit: int | None = None
    tokens_remaining: int | None = None
    tokens_reset_s: float | None = None


NO_HINTS = Hints()


def hints_of(headers: Mapping[str, str], body: bytes, now: float) -> Hints:
    """Read what is there. `now` is unix seconds, to which dates are compared; `body` is an error's, else empty."""
    counts = [_first_count(headers, names) for names in _COUNTS]
    requests_reset_s = _first_reset(headers, _REQUESTS_RESET, now)
    tokens_reset_s = _first_reset(headers, _TOKENS_RESET, now)
    retry_after_s = retry_after(headers, now)
    if retry_after_s is None and body:
        retry_after_s = wait_in_text(body)
    requests_limit, requests_remaining, tokens_limit, tokens_remaining = counts
    found = Hints(
        retry_after_s,
        requests_limit,
        requests_remaining,
        requests_reset_s,
        tokens_limit,
        tokens_remaining,
        tokens_reset_s,
    )
    return NO_HINTS if found == NO_HINTS else found


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds from `retry-after-ms` or `retry-after`: a number, a span with its unit, or an HTTP date."""
    if (millis := headers.get("retry-after-ms")) is not None:
        seconds = _number(millis)
        if seconds is not None:
            return _bounded(seconds / 1000)
    value = headers.get("retry-after")
    return None if value is None else _wait(value, now)


def wait_in_text(body: bytes) -> float | None:
    """Seconds from an error's text: `"retryDelay": "33s"`, `try again in 20s`, `reset after 2h7m23s`; the longest."""
    text = body[:MAX_TEXT_BYTES].decode("utf-8", "replace")
    found = [span for match in _RETRY_DELAY.finditer(text) if (span := _span(match[1].lower())) is not None]
    if not found:
        found = [span for match in _IN_WORDS.finditer(text.lower()) if (span := _leading_span(match[1])) is not None]
    return max(found, default=None)


def _first_count(headers: Mapping[str, str], names: tuple[str, ...]) -> int | None:
    for name in names:
        value = headers.get(name)
        if value is not None and (number := _number(value)) is not None:
            return int(min(number, MAX_COUNT))
    return None


def _first_reset(headers: Mapping[str, str], names: tuple[str, ...], now: float) -> float | None:
    for name in names:
        value = headers.get(name)
        if value is not None and (seconds := _wait(value, now)) is not None:
            return seconds
    return None


def _wait(value: str, now: float) -> float | None:
    """A number of seconds, an instant since 1970, a span with units, or a date; None when it is none or long past."""
    text = value.strip()
    if len(text) > 64:
        return None
    number = _number(text)
    if number is not None:
        if number < _EPOCH_S:
            return _bounded(number)
        return _until(number / 1000 if number >= _EPOCH_S * 1000 else number, now)
    span = _span(text.lower())
    return span if span is not None else _until_date(text, now)


def _until_date(text: str, now: float) -> float | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            at = read(text)
            return _until((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp(), now)
        except (ValueError, TypeError, OverflowError):
            continue
    return None


def _until(instant: float, now: float) -> float | None:
    """A date in the past says nothing; one in years is as much a mistake."""
    return instant - now if 0 <= instant - now <= MAX_WAIT_S else None


def _number(text: str) -> float | None:
    text = text.strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def _span(text: str) -> float | None:
    """`2h7m23.5s`, `90s`, `1m 30s`; the whole text must be one."""
    text = text.strip()
    pieces = list(_SPAN.finditer(text))
    if not pieces or _SPAN.sub("", text).strip(" ,"):
        return None
    return _bounded(sum(float(piece[1]) * _UNITS[_unit(piece[2])] for piece in pieces))


def _leading_span(text: str) -> float | None:
    """The span that a text begins with; a bare number is seconds."""
    end, total, match = 0, 0.0, _SPAN.match(text)
    while match is not None:
        total += float(match[1]) * _UNITS[_unit(match[2])]
        end = match.end()
        while end < len(text) and text[end] in " ,":
            end += 1
        match = _SPAN.match(text, end)
    if end:
        return _bounded(total)
    number = _NUMBER.match(text)
    return _bounded(float(number[0])) if number else None


def _unit(word: str) -> str:
    return "ms" if word.startswith(("ms", "milli")) else word[0]


def _bounded(seconds: float) -> float | None:
    return min(seconds, MAX_WAIT_S) if math.isfinite(seconds) else None
