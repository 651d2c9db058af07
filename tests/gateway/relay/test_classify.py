"""Every failure has a verdict: who is to blame, what rests, who is tried next, what the caller gets."""

from typing import get_args

import pytest

from gateway.domain.outcome import Next, Scope
from gateway.relay.classify import (
    of_bad_answer,
    of_fault,
    of_status,
    refuses_stream_options,
)
from gateway.upstream.seam import FaultKind
from tests.support.many import check_each

NAMES = {
    "caller_error", "context_length", "content_policy", "auth", "quota", "unknown_model", "rate_limited", "server_error",
    "unreachable", "blocked_address", "silent", "cut", "broken_answer", "no_capacity", "draining", "error_in_200",
    "empty_answer", "unsupported",
}  # fmt: skip


def judge(status: int, body: bytes = b"", *, by_model: bool = False, **headers: str):
    return of_status(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, body, is_limited_by_model=by_model
    )


def test_every_status_has_a_verdict() -> None:
    def check(status: int) -> None:
        outcome = judge(status)
        assert outcome.name in NAMES
        assert outcome.cools in get_args(Scope)
        assert outcome.then in get_args(Next)
        assert 400 <= outcome.status < 600
        assert outcome.code
        assert outcome.is_callers_fault == (outcome.then == "stop")
        if outcome.is_callers_fault:
            assert outcome.cools == "nothing"
        if status >= 500:
            assert (outcome.name, outcome.cools, outcome.then) == ("server_error", "breaker", "next")
        if status < 400:
            assert (outcome.name, outcome.then, outcome.status) == ("broken_answer", "next", 502)

    check_each([*range(201, 600), 999], check)


@pytest.mark.parametrize(
    ("status", "name", "cools", "then", "to_caller"),
    [
        (301, "broken_answer", "breaker", "next", 502),
        (400, "caller_error", "nothing", "stop", 400),
        (401, "auth", "connection", "next", 502),
        (402, "quota", "connection", "next", 503),
        (403, "auth", "connection", "next", 502),
        (404, "unknown_model", "connection_model", "next", 404),
        (405, "caller_error", "nothing", "stop", 405),
        (408, "rate_limited", "connection", "next", 504),
        (409, "rate_limited", "connection", "next", 503),
        (413, "caller_error", "nothing", "stop", 413),
        (415, "caller_error", "nothing", "stop", 400),
        (422, "caller_error", "nothing", "stop", 422),
        (425, "rate_limited", "connection", "next", 503),
        (429, "rate_limited", "connection", "next", 429),
        (500, "server_error", "breaker", "next", 502),
        (503, "server_error", "breaker", "next", 503),
        (504, "server_error", "breaker", "next", 504),
        (529, "server_error", "breaker", "next", 503),
        (599, "server_error", "breaker", "next", 502),
    ],
)
def test_the_table_of_blame(status: int, name: str, cools: str, then: str, to_caller: int) -> None:
    outcome = judge(status)
    assert (outcome.name, outcome.cools, outcome.then, outcome.status) == (name, cools, then, to_caller)


@pytest.mark.parametrize(
    ("status", "body", "name", "code"),
    [
        (400, b'{"error":{"code":"context_length_exceeded"}}', "context_length", "context_length_exceeded"),
        (400, b"This model's maximum context length is 8192 tokens", "context_length", "context_length_exceeded"),
        (400, b"prompt is too long: 200251 tokens > 200000 maximum", "context_length", "context_length_exceeded"),
        (
            400,
            b"The input token count (9) exceeds the maximum number of tokens allowed (8).",
            "context_length",
            "context_length_exceeded",
        ),
        (400, b"Your input exceeds the context window of this model", "context_length", "context_length_exceeded"),
        (400, b"Output blocked by content filtering policy", "content_policy", "content_policy_violation"),
        (400, b"flagged as potentially violating our usage policy", "content_policy", "content_policy_violation"),
        (400, b"This model does not support assistant message prefill.", "unsupported", "unsupported_by_target"),
        (413, b"too many tokens", "context_length", "context_length_exceeded"),
        (400, b'{"error":{"code":"content_policy_violation"}}', "content_policy", "content_policy_violation"),
        (422, b"rejected by our Safety System", "content_policy", "content_policy_violation"),
        (400, b'{"error":{"code":"model_not_found","message":"m9"}}', "unknown_model", "model_not_found"),
        (400, b"The model `m9` does not exist", "unknown_model", "model_not_found"),
        (400, b"the file does not exist", "caller_error", "invalid_request"),
        (403, b'{"error":{"code":"insufficient_quota"}}', "quota", "upstream_quota"),
        (429, b"You exceeded your current quota, check your billing", "quota", "upstream_quota"),
        (429, b"slow down", "rate_limited", "rate_limit_exceeded"),
        (400, b"\xff\xfe", "caller_error", "invalid_request"),
    ],
)
def test_the_providers_words_refine_its_status(status: int, body: bytes, name: str, code: str) -> None:
    outcome = judge(status, body)
    assert (outcome.name, outcome.code) == (name, code)


def test_words_far_down_a_body_are_not_looked_for() -> None:
    assert judge(400, b" " * 5000 + b"context_length").name == "caller_error"


def test_a_used_up_quota_under_429_stays_429_for_the_caller() -> None:
    assert (judge(429, b"insufficient_quota").status, judge(403, b"insufficient_quota").status) == (429, 503)


@pytest.mark.parametrize("status", [408, 409, 425, 429])
def test_a_provider_that_limits_by_model_rests_for_the_model(status: int) -> None:
    assert judge(status, by_model=True).cools == "connection_model"
    assert judge(429, b"insufficient_quota", by_model=True).cools == "connection"


@pytest.mark.parametrize("kind", get_args(FaultKind))
def test_every_fault_has_a_verdict(kind: FaultKind) -> None:
    outcome = of_fault(kind)
    assert outcome.name in NAMES
    assert outcome.cools in get_args(Scope)
    assert outcome.status in (502, 503, 504)
    assert not outcome.is_callers_fault
    stops = {"total_timeout", "too_large", "no_capacity", "draining"}
    assert (outcome.then == "stop") is (kind in stops)


@pytest.mark.parametrize(
    ("kind", "name"), [("error", "error_in_200"), ("empty", "empty_answer"), ("not_json", "broken_answer")]
)
def test_no_answer_under_200_counts_against_the_target(kind: str, name: str) -> None:
    outcome = of_bad_answer(kind, 0)
    assert (outcome.name, outcome.cools, outcome.then, outcome.status) == (name, "breaker", "next", 502)


def test_a_status_inside_a_200_is_judged_like_the_status() -> None:
    assert of_bad_answer("error", 429) == judge(429)
    assert of_bad_answer("error", 400).then == "stop"


def test_what_is_the_callers_fault_is_so_inside_a_200_too() -> None:
    """Some providers answer 200 and refuse in the first event; the target must not be blamed for it."""
    outcome = of_bad_answer("error", 0, b'{"error":{"code":"context_length_exceeded"}}')
    assert (outcome.name, outcome.cools, outcome.then, outcome.status) == ("context_length", "nothing", "stop", 400)
    assert of_bad_answer("error", 400, b"content_filter").name == "content_policy"
    assert of_bad_answer("error", 503, b"context_length").name == "server_error"
    assert of_bad_answer("error", 0, b"exploded").name == "error_in_200"


def test_a_refused_prefill_counts_against_nobody_and_another_target_may_do_it() -> None:
    outcome = judge(400, b"This model does not support assistant message prefill.")
    assert (outcome.cools, outcome.then, outcome.status, outcome.is_callers_fault) == ("nothing", "next", 400, True)


def test_the_wait_stands_in_the_verdict() -> None:
    assert judge(429, retry_after="7").retry_after_s == 7.0


@pytest.mark.parametrize(
    ("status", "body", "refuses"),
    [
        (400, b"Unrecognized request argument supplied: stream_options", True),
        (422, b'{"detail":[{"loc":["body","Stream_Options"]}]}', True),
        (400, b"unknown field include_usage", True),
        (400, b"temperature is too high", False),
        (500, b"stream_options", False),
        (400, b"", False),
    ],
)
def test_a_refusal_of_stream_options_is_known_by_its_words(status: int, body: bytes, refuses: bool) -> None:
    assert refuses_stream_options(status, body) is refuses
