"""Under a status of 200 only a completion is an answer."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.openai_chat.response import read_answer
from gateway.domain.usage import Usage


def test_a_completion_is_an_answer_with_its_usage() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}
    reading = read_answer(json.dumps({"choices": [{"message": {"content": "x"}}], "usage": usage}).encode())
    assert reading.kind == "answer"
    assert reading.usage == Usage(input=7, output=3, cache_read=2)


@pytest.mark.parametrize("usage", [None, "7", [], {}, {"prompt_tokens": None}])
def test_an_answer_without_counts_has_no_usage(usage: object) -> None:
    reading = read_answer(json.dumps({"choices": [{}], "usage": usage}).encode())
    assert (reading.kind, reading.usage) == ("answer", None)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "empty"),
        (b" \r\n", "empty"),
        (b"{}", "empty"),
        (b'{"choices":[]}', "empty"),
        (b'{"choices":null,"error":null}', "empty"),
        (b"<!doctype html><title>Just a moment</title>", "not_json"),
        (b'{"choices":[{"message":{"content":"cut', "not_json"),
        (b"[]", "not_json"),
        (b'{"choices":"text"}', "not_json"),
        (b'data: {"choices":[]}\n\n', "not_json"),
        (b'{"choices":[{"x":"\xff"}]}', "answer"),
        (b'{"error":{"message":"exploded"}}', "error"),
        (b'{"error":"exploded"}', "error"),
        (b'{"error":{"message":"exploded"},"choices":[{}]}', "error"),
        (b'{"error":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not_json"),
    ],
)
def test_what_is_no_answer_is_told_by_its_kind(body: bytes, kind: str) -> None:
    assert read_answer(body).kind == kind


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"code": 429, "message": "slow down"}, 429),
        ({"status": 503, "code": "busy"}, 503),
        ({"code": 200}, 0),
        ({"code": "429"}, 0),
        ({"code": True}, 0),
        ("text", 0),
    ],
)
def test_a_status_inside_an_error_is_found(error: object, status: int) -> None:
    assert read_answer(json.dumps({"error": error}).encode()).error_status == status


@settings(deadline=None, database=None, max_examples=300)
@given(st.binary(max_size=60) | st.binary(max_size=20).map(lambda noise: b'{"choices":[{}],"error":"' + noise + b'"}'))
def test_any_bytes_are_judged(body: bytes) -> None:
    assert read_answer(body).kind in ("answer", "error", "empty", "not_json")
