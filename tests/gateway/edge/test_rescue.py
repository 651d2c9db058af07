"""Every error of ours becomes an answer in each dialect, and only there."""

import json
from typing import Any, get_args

import pytest

from gateway.domain import errors
from gateway.domain.dialect import CallerDialect
from gateway.domain.errors import AddressOverLimit, GatewayError, Internal, OverLimit, Unavailable, UpstreamFailed
from gateway.domain.record import AttemptRecord
from gateway.edge.rescue import rescue

ATTEMPTS = (AttemptRecord("p1", "c1", "m", "cut"), AttemptRecord("p2", "c2", "mödel", "server_error", 503))


def one_of(kind: type[GatewayError]) -> GatewayError:
    if kind is UpstreamFailed:
        return UpstreamFailed("all failed", status=502, code="upstream_cut", attempts=ATTEMPTS)
    if kind is OverLimit:
        return OverLimit("rpm", 60, 7.0)
    if kind is AddressOverLimit:
        return AddressOverLimit(60, 7.0)
    return Internal("req-1") if kind is Internal else kind("what happened")


KINDS = sorted(
    (kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GatewayError)),
    key=lambda kind: kind.__name__,
)


def message_of(dialect: str, body: Any) -> str:
    return str(body["error"] if dialect == "ollama" else body["error"]["message"])


@pytest.mark.parametrize("dialect", get_args(CallerDialect))
@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_answered_in_every_dialect(kind: type[GatewayError], dialect: CallerDialect) -> None:
    error = one_of(kind)
    status, headers, body = rescue(error, dialect, "req-1")
    assert status == error.status
    assert (b"content-type", b"application/json") in headers
    assert message_of(dialect, json.loads(body)) == error.message
    assert dict(headers)[b"x-omniroute-attempts"] == (b"2" if kind is UpstreamFailed else b"0")
    assert all(value.isascii() and b"\n" not in value for _, value in headers)


def test_openai_errors_carry_code_param_request_and_attempts() -> None:
    error = errors.NotFound("no such model", code="model_not_found", param="model")
    assert json.loads(rescue(error, "openai_chat", "req-1")[2])["error"] == {
        "message": "no such model", "type": "invalid_request_error", "param": "model", "code": "model_not_found",
        "omniroute": {"request_id": "req-1"},
    }  # fmt: skip
    failed = json.loads(rescue(one_of(UpstreamFailed), "openai_chat", "req-1")[2])["error"]
    assert [attempt["outcome"] for attempt in failed["omniroute"]["attempts"]] == ["cut", "server_error"]


def test_the_last_attempt_stands_in_the_headers() -> None:
    headers = dict(rescue(one_of(UpstreamFailed), "openai_chat", "r")[1])
    assert (headers[b"x-omniroute-provider"], headers[b"x-omniroute-model"]) == (b"p2", b"m\\xf6del")


@pytest.mark.parametrize(("seconds", "header"), [(0.0, b"1"), (0.2, b"1"), (1.0, b"1"), (1.1, b"2"), (3600.0, b"3600")])
def test_a_wait_is_told_in_whole_seconds(seconds: float, header: bytes) -> None:
    assert dict(rescue(Unavailable("x", retry_after_s=seconds), "openai_chat", "r")[1])[b"retry-after"] == header
    assert b"retry-after" not in dict(rescue(errors.NotFound("x"), "openai_chat", "r")[1])


def test_a_401_says_how_to_do_better() -> None:
    assert (b"www-authenticate", b"Bearer") in rescue(errors.Unauthorized("x"), "openai_chat", "r")[1]


def test_a_providers_own_words_are_passed_on_if_they_are_json() -> None:
    def failed(content_type: str) -> UpstreamFailed:
        return UpstreamFailed(
            "x", status=400, code="c", attempts=ATTEMPTS, body=b'{"error":1}', content_type=content_type
        )

    assert rescue(failed("application/json; charset=utf-8"), "openai_chat", "r")[2] == b'{"error":1}'
    assert json.loads(rescue(failed("text/html"), "openai_chat", "r")[2])["error"]["message"] == "x"


def test_an_internal_error_tells_no_cause() -> None:
    error = Internal("req-1")
    error.__cause__ = ValueError("c4n4ry")
    for dialect in get_args(CallerDialect):
        assert b"c4n4ry" not in rescue(error, dialect, "req-1")[2]
    assert b"req-1" in rescue(error, "openai_chat", "req-1")[2]
