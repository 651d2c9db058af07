"""Errors have the shape that the official SDK reads, whole and in a stream."""

import json

import pytest

from gateway.dialects.openai_errors import encode_error
from gateway.dialects.openai_responses.errors import encode_stream_error
from gateway.dialects.sse import name_and_data


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "invalid_request_error"), (401, "authentication_error"), (404, "invalid_request_error"), (429, "rate_limit_error"), (502, "server_error")],
)  # fmt: skip
def test_a_body_has_message_type_param_and_code(status: int, kind: str) -> None:
    error = json.loads(encode_error(status, "some_code", "what happened", "input[3]"))["error"]
    assert error == {"message": "what happened", "type": kind, "param": "input[3]", "code": "some_code"}


def test_details_stand_under_our_name() -> None:
    error = json.loads(encode_error(502, "c", "m", None, {"attempts": 2}))["error"]
    assert error["omniroute"] == {"attempts": 2}


def test_an_event_is_flat_and_named() -> None:
    name, data = name_and_data(encode_stream_error(502, "upstream_cut", "it stopped", None, {"attempts": 1}))
    event = json.loads(data)
    assert (name, event["type"], event["code"], event["message"]) == ("error", "error", "upstream_cut", "it stopped")
    assert "error" not in event
    assert event["omniroute"] == {"attempts": 1}
