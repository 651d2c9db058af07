"""Our errors are one closed tree, with a status and a code each."""

import pytest

from gateway.domain import errors
from gateway.domain.errors import CallerGone, GatewayError, Unavailable, UpstreamFailed

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GatewayError)]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not UpstreamFailed])
def test_each_class_has_its_status_and_code(kind: type[GatewayError]) -> None:
    assert 400 <= kind.status < 600
    assert kind.code.replace("_", "").isalpha()
    assert kind("what happened").code == kind.code or kind.__name__ == "Internal"


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


def test_a_caller_who_is_gone_is_no_answer() -> None:
    assert not issubclass(CallerGone, GatewayError)
