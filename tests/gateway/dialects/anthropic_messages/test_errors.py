"""Errors as the Anthropic SDKs read them."""

import json

import pytest

from gateway.dialects.anthropic_messages.errors import encode_error, encode_stream_error


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"), (401, "authentication_error"), (403, "permission_error"),
        (404, "not_found_error"), (405, "invalid_request_error"), (413, "request_too_large"),
        (402, "billing_error"), (429, "rate_limit_error"), (500, "api_error"), (501, "api_error"), (502, "api_error"),
        (503, "overloaded_error"), (504, "timeout_error"), (529, "overloaded_error"),
    ],
)  # fmt: skip
def test_each_status_has_its_type(status: int, kind: str) -> None:
    assert json.loads(encode_error(status, "our_code", 'what "happened" ü')) == {
        "type": "error",
        "error": {"type": kind, "message": 'what "happened" ü', "code": "our_code"},
    }


def test_param_and_details_stand_beside_the_words() -> None:
    body = json.loads(encode_error(400, "c", "m", "messages[0]", {"request_id": "r", "attempts": [1]}))
    assert body["request_id"] == "r"
    assert body["error"]["param"] == "messages[0]"
    assert body["error"]["omniroute"] == {"request_id": "r", "attempts": [1]}


def test_in_a_stream_an_error_is_an_event_of_its_own() -> None:
    event = encode_stream_error(529, "c", "m")
    assert event == b"event: error\ndata: " + encode_error(529, "c", "m") + b"\n\n"
