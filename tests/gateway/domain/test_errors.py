"""Our errors are one closed tree, with a status and a code each."""

import pytest

from gateway.domain import errors
from gateway.domain.errors import AddressOverLimit, CallerGone, GatewayError, OverLimit, Unavailable, UpstreamFailed

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GatewayError)]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not UpstreamFailed])
def test_each_class_has_its_status_and_code(kind: type[GatewayError]) -> None:
    assert 400 <= kind.status < 600
    assert kind.code.replace("_", "").isalpha()
    told = {OverLimit: ("rpm", 60, 1.0), AddressOverLimit: (60, 1.0)}.get(kind, ("what happened",))
    error = kind(*told)
    assert error.code == kind.code or kind.__name__ == "Internal"


def test_a_case_may_have_its_own_code_and_parameter() -> None:
    error = errors.BadRequest("what", code="missing_model", param="model")
    assert (error.code, error.param, str(error), errors.BadRequest.code) == (
        "missing_model",
        "model",
        "what",
        "invalid_request",
    )


def test_a_wait_is_told_where_there_is_one() -> None:
    assert errors.NotFound("x").retry_after_s is None
    assert Unavailable("x", retry_after_s=7).retry_after_s == 7


@pytest.mark.parametrize(
    ("limit", "text"),
    [("rpm", "60 requests a minute"), ("concurrency", "60 requests at the same"), ("tpm", "60 tokens a minute")],
)
def test_a_limit_says_what_it_is_and_when_to_come_back(limit: str, text: str) -> None:
    error = OverLimit(limit, 60, 7.0)
    assert (error.status, error.code, error.retry_after_s) == (429, "rate_limit_exceeded", 7.0)
    assert text in error.message
    assert "7 s" in error.message


@pytest.mark.parametrize(
    ("nano", "period", "wait_s", "message"),
    [
        (5_000_000_000, "daily", 7200.0, "spend $5.00 a day, and this request does not fit in what is left; try again in 2 h"),
        (12_345_678, "monthly", 864_000.0, "spend $0.012345678 a month, and this request does not fit in what is left; try again in 10 days"),
        (1_500_000_000, "total", None, "spend $1.50 in all, and this request does not fit in what is left"),
    ],
)  # fmt: skip
def test_a_budget_says_how_much_of_what_and_when(nano: int, period: str, wait_s: float | None, message: str) -> None:
    error = OverLimit("budget", nano, wait_s, period=period)
    assert (error.status, error.code, error.retry_after_s) == (429, "budget_exceeded", wait_s)
    assert error.message == f"this API key may {message}"


def test_a_caller_who_is_gone_is_no_answer() -> None:
    assert not issubclass(CallerGone, GatewayError)
