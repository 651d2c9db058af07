"""Errors as Ollama's clients read them."""

import json

from gateway.dialects.ollama.errors import encode_error, encode_stream_error


def test_an_error_is_one_text() -> None:
    assert json.loads(encode_error(404, "not_found", 'no "m" ü')) == {"error": 'no "m" ü'}


def test_details_of_ours_are_not_in_it() -> None:
    assert json.loads(encode_error(404, "not_found", "no", "model", {"attempts": 1})) == {"error": "no"}


def test_in_a_stream_it_is_a_line() -> None:
    assert encode_stream_error(502, "upstream_cut", "cut\nshort", None, {"a": 1}) == b'{"error":"cut\\nshort"}\n'
