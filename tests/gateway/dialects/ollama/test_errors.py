"""Errors as Ollama's clients read them."""

import json

from gateway.dialects.ollama.errors import encode_error


def test_an_error_is_one_text() -> None:
    assert json.loads(encode_error(404, "not_found", 'no "m" ü')) == {"error": 'no "m" ü'}
