"""Answers of `POST /responses/input_tokens`."""

import msgspec


def encode_count(tokens: int) -> bytes:
    """How many input tokens a request has."""
    return msgspec.json.encode({"object": "response.input_tokens", "input_tokens": tokens})
