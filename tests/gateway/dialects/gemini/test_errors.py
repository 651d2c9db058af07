"""Errors as Google's SDKs read them."""

import json

import pytest

from gateway.dialects.gemini.errors import encode_error


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (400, "INVALID_ARGUMENT"), (401, "UNAUTHENTICATED"), (403, "PERMISSION_DENIED"), (404, "NOT_FOUND"),
        (405, "INVALID_ARGUMENT"), (408, "DEADLINE_EXCEEDED"), (409, "ABORTED"), (413, "INVALID_ARGUMENT"),
        (415, "INVALID_ARGUMENT"), (429, "RESOURCE_EXHAUSTED"), (500, "INTERNAL"), (501, "UNIMPLEMENTED"),
        (502, "UNAVAILABLE"), (503, "UNAVAILABLE"), (504, "DEADLINE_EXCEEDED"), (418, "UNKNOWN"),
    ],
)  # fmt: skip
def test_each_status_has_its_word(status: int, word: str) -> None:
    error = json.loads(encode_error(status, "our_code", "what happened"))["error"]
    assert (error["code"], error["status"], error["message"]) == (status, word, "what happened")
    assert error["details"][0]["reason"] == "our_code"
