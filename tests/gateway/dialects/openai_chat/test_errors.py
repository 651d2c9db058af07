"""Errors as the OpenAI SDKs read them, whole and inside a stream."""

import json

import httpx
import openai
import pytest

from gateway.dialects.openai_chat.errors import encode_stream_error
from gateway.dialects.openai_errors import encode_error


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"), (401, "authentication_error"), (403, "permission_error"),
        (404, "invalid_request_error"), (409, "invalid_request_error"), (413, "invalid_request_error"),
        (429, "rate_limit_error"), (500, "server_error"), (502, "server_error"), (503, "server_error"),
    ],
)  # fmt: skip
def test_each_status_has_its_type(status: int, kind: str) -> None:
    assert json.loads(encode_error(status, "our_code", "what", "model")) == {
        "error": {"message": "what", "type": kind, "param": "model", "code": "our_code"}
    }


def test_details_stand_apart() -> None:
    error = json.loads(encode_error(502, "c", "m", None, {"request_id": "r"}))["error"]
    assert error["omniroute"] == {"request_id": "r"}
    assert "omniroute" not in json.loads(encode_error(502, "c", "m", None, {}))["error"]


def test_an_error_in_a_stream_is_one_event_and_no_terminator() -> None:
    event = encode_stream_error(502, "upstream_cut", "line\nbreak", None, {"request_id": "r"})
    assert event.startswith(b"data: {")
    assert event.endswith(b"}\n\n")
    assert event.count(b"\n") == 2
    assert b"[DONE]" not in event


def test_the_official_client_raises_on_an_error_in_a_stream() -> None:
    chunk = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
    answer = chunk + encode_stream_error(502, "upstream_cut", "the provider cut the stream")
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, headers={"content-type": "text/event-stream"}, content=answer)
    )
    with openai.OpenAI(
        api_key="k", base_url="http://x.test/v1", http_client=httpx.Client(transport=transport)
    ) as client:
        stream = client.chat.completions.create(model="m", messages=[], stream=True)
        with pytest.raises(openai.APIError, match="the provider cut the stream"):
            list(stream)
