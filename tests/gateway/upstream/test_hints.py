"""What providers say about their limits, as they really write it and as nobody should."""

import time
from collections.abc import Mapping

import pytest

from gateway.upstream.hints import MAX_COUNT, MAX_WAIT_S, NO_HINTS, Hints, hints_of, retry_after, wait_in_text

NOW = 1_767_225_600.0
"""2026-01-01 00:00:00 UTC, a Thursday."""


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "20"}, 20.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1.0),
        ({"retry-after": "Thu, 01 Jan 2026 00:01:30 GMT"}, 90.0),
        ({"retry-after": "2026-01-01T00:00:30Z"}, 30.0),
        ({"retry-after": "30s"}, 30.0),
        ({"retry-after": "1h2m"}, 3_720.0),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_each_of_its_forms(headers: Mapping[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


@pytest.mark.parametrize(
    "value",
    ["", " ", "-1", "-0.5", "NaN", "nan", "inf", "-inf", "1e9", "0x10", "soon", "12 parsecs", "٣", "1,5", "1.2.3", "s", "5 5",
     "1000000000", "Wed, 31 Dec 2025 23:59:59 GMT", "Thu, 99 Jan 2026 00:00:00 GMT", "2026-13-01", "9999-12-31T23:59:59Z",
     "Fri, 31 Dec 9999 23:59:59 -9999", "9" * 500, "\x00", "1\n2"],
)  # fmt: skip
def test_what_is_absurd_says_nothing(value: str) -> None:
    assert retry_after({"retry-after": value}, NOW) is None
    assert hints_of({"retry-after": value, "x-ratelimit-reset-requests": value}, b"", NOW) == NO_HINTS


@pytest.mark.parametrize("value", ["999999999", "99999999999h", "2592001"])
def test_what_is_far_too_long_is_bounded(value: str) -> None:
    assert retry_after({"retry-after": value}, NOW) == MAX_WAIT_S
    assert retry_after({"retry-after-ms": "99999999999999999"}, NOW) == MAX_WAIT_S


def test_openais_headers_are_read() -> None:
    headers = {
        "x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "59", "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-limit-tokens": "150000", "x-ratelimit-remaining-tokens": "149984",
        "x-ratelimit-reset-tokens": "6m0.25s",
    }  # fmt: skip
    assert hints_of(headers, b"", NOW) == Hints(None, 60, 59, 1.0, 150_000, 149_984, 360.25)


def test_anthropics_headers_are_read() -> None:
    headers = {
        "anthropic-ratelimit-requests-limit": "1000", "anthropic-ratelimit-requests-remaining": "999",
        "anthropic-ratelimit-requests-reset": "2026-01-01T00:00:01Z",
        "anthropic-ratelimit-tokens-limit": "80000", "anthropic-ratelimit-tokens-remaining": "0",
        "anthropic-ratelimit-tokens-reset": "2026-01-01T00:01:00+00:00", "retry-after": "17",
    }  # fmt: skip
    assert hints_of(headers, b"", NOW) == Hints(17.0, 1_000, 999, 1.0, 80_000, 0, 60.0)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("17ms", 0.017), ("1767225630", 30.0), ("1767225630000", 30.0), ("88", 88.0), ("1d", 86_400.0), ("8.64s", 8.64)],
)
def test_a_reset_may_be_a_span_or_an_instant(value: str, seconds: float) -> None:
    for name in ("x-ratelimit-reset", "ratelimit-reset", "x-ratelimit-reset-requests"):
        found = hints_of({name: value}, b"", NOW).requests_reset_s
        assert found == pytest.approx(seconds)


@pytest.mark.parametrize("value", ["-5", "NaN", "many", "", "1e9", "10, 10;w=1"])
def test_a_count_that_is_none_says_nothing(value: str) -> None:
    assert hints_of({"x-ratelimit-remaining-tokens": value}, b"", NOW) == NO_HINTS


def test_a_count_beyond_reason_is_bounded() -> None:
    assert hints_of({"x-ratelimit-limit-tokens": "9" * 18}, b"", NOW).tokens_limit == MAX_COUNT


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ('{"error":{"code":429,"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"33s"}]}}', 33.0),
        ('{"details":[{"retryDelay": "0.5s"},{"retryDelay" : "34.074824224s"}]}', 34.074824224),
        ('{"retryDelay":"1h2m3s"}', 3_723.0),
        ("Rate limit reached for gpt-4o. Please try again in 20s. Visit https://x", 20.0),
        ("Please try again in 6m0s.", 360.0),
        ("Please try again in 350ms.", 0.35),
        ("Please try again in 1.242s", 1.242),
        ("Please retry in 41.2s.", 41.2),
        ("Please retry after 26 seconds.", 26.0),
        ("retry after 2 minutes", 120.0),
        ("You have exhausted your capacity. Your quota will reset after 2h7m23s.", 7_643.0),
        ("quota resets in 1 hour, 5 minutes", 3_900.0),
        ("Try again in about 3 days", 259_200.0),
        ("retry after: 12", 12.0),
        ("reset after 999999999999h", MAX_WAIT_S),
    ],
)  # fmt: skip
def test_an_errors_text_says_when(text: str, seconds: float) -> None:
    assert wait_in_text(text.encode()) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    ["", "rate limited", "try again later", "try again in a moment", "try again in -5s", '{"retryDelay":"soon"}',
     '{"retryDelay":5}', "retry after NaN", "reset after midnight", "you have 20s", "\ufffd" * 50],
)  # fmt: skip
def test_a_text_without_a_span_says_nothing(text: str) -> None:
    assert wait_in_text(text.encode()) is None


def test_a_header_counts_before_the_text() -> None:
    assert hints_of({"retry-after": "5"}, b"try again in 60s", NOW).retry_after_s == 5.0
    assert hints_of({}, b"try again in 60s", NOW).retry_after_s == 60.0


@pytest.mark.parametrize(
    "body",
    [b"try again in " * 200_000, b"retry in " + b"1" * 1_000_000, b"reset after " + b"1h" * 500_000, b'"retryDelay"' * 99_999,
     b'"retryDelay"' + b" " * 500_000, b"try again in 1" + b" ," * 500_000, b"\xff" * 1_000_000],
)  # fmt: skip
def test_a_hostile_text_costs_little(body: bytes) -> None:
    began = time.process_time()
    found = wait_in_text(body)
    assert time.process_time() - began < 1, "what goes back over the text takes minutes"
    assert found is None or 0 <= found <= MAX_WAIT_S


def test_bytes_that_are_no_text_are_read_past() -> None:
    assert wait_in_text(b"\xff\xfe try again in 7s \x00") == 7.0
