"""How much output a request lets its answer have: the head says what the whole request says, or that it does not know."""

import json
from typing import Any

import pytest

from gateway.dialects.codec import IN_BODY
from gateway.dialects.envelope import Envelopes
from gateway.dialects.registry import CALLERS
from gateway.domain.dialect import CallerDialect
from gateway.domain.errors import BadRequest

ASKED: dict[CallerDialect, dict[str, Any]] = {
    "openai_chat": {"model": "m", "messages": [{"role": "user", "content": "x"}]},
    "anthropic_messages": {"model": "m", "messages": [{"role": "user", "content": "x"}]},
    "openai_responses": {"model": "m", "input": "x"},
}


@pytest.mark.parametrize(
    ("dialect", "said", "most"),
    [
        ("openai_chat", {}, 0),
        ("openai_chat", {"max_tokens": 7}, 7),
        ("openai_chat", {"max_completion_tokens": 8}, 8),
        ("openai_chat", {"max_completion_tokens": 8, "max_tokens": 7}, 8),
        ("openai_chat", {"max_completion_tokens": None, "max_tokens": 7}, 7),
        ("anthropic_messages", {"max_tokens": 9}, 9),
        ("openai_responses", {}, 0),
        ("openai_responses", {"max_output_tokens": 10}, 10),
    ],
)
def test_a_head_says_what_the_whole_request_says(dialect: CallerDialect, said: dict[str, Any], most: int) -> None:
    body = json.dumps({**ASKED[dialect], **said}).encode()
    assert CALLERS[dialect].read_head(body, IN_BODY).max_output == most
    assert (CALLERS[dialect].decode_request(body, IN_BODY, Envelopes(b"key")).max_tokens or 0) == most


@pytest.mark.parametrize("wrong", ["7", 0, -1, 1.5, True, [7]])
@pytest.mark.parametrize(
    ("dialect", "field"),
    [("openai_chat", "max_tokens"), ("anthropic_messages", "max_tokens"), ("openai_responses", "max_output_tokens")],
)
def test_what_is_no_limit_is_left_to_the_reader_of_the_whole_request(
    dialect: CallerDialect, field: str, wrong: object
) -> None:
    body = json.dumps({**ASKED[dialect], field: wrong}).encode()
    assert CALLERS[dialect].read_head(body, IN_BODY).max_output == -1
    with pytest.raises(BadRequest):
        CALLERS[dialect].decode_request(body, IN_BODY, Envelopes(b"key"))
