"""`temperature: 0` is seen in the one pass that routing makes anyway, in every dialect and however it is written."""

import json
from typing import Any

import pytest

from gateway.dialects.codec import Arrival
from gateway.dialects.registry import CALLERS
from gateway.domain.dialect import CallerDialect

SAID = [{"role": "user", "content": "Hello"}]
BODIES: dict[CallerDialect, dict[str, Any]] = {
    "openai_chat": {"model": "m", "messages": SAID},
    "openai_responses": {"model": "m", "input": "Hello"},
    "anthropic_messages": {"model": "m", "messages": SAID, "max_tokens": 9},
    "gemini": {"contents": [{"parts": [{"text": "Hello"}]}]},
    "ollama": {"model": "m", "messages": SAID},
}
PLACE = {"gemini": "generationConfig", "ollama": "options"}


def is_cold(dialect: CallerDialect, **fields: Any) -> bool:
    body = json.dumps({**BODIES[dialect], **fields}).encode()
    arrival = Arrival("m", False) if dialect == "gemini" else Arrival()
    return CALLERS[dialect].read_head(body, arrival).is_cold


def said(dialect: CallerDialect, temperature: Any) -> dict[str, Any]:
    place = PLACE.get(dialect)
    return {place: {"temperature": temperature}} if place else {"temperature": temperature}


@pytest.mark.parametrize("dialect", BODIES)
@pytest.mark.parametrize("temperature", [0, 0.0, -0.0])
def test_a_zero_is_a_zero_however_it_is_written(dialect: CallerDialect, temperature: float) -> None:
    assert is_cold(dialect, **said(dialect, temperature))


@pytest.mark.parametrize("dialect", BODIES)
@pytest.mark.parametrize("temperature", [None, 1, 1e-9, False, "0", [], {}, [0]])
def test_anything_else_is_none(dialect: CallerDialect, temperature: Any) -> None:
    assert not is_cold(dialect, **said(dialect, temperature))


@pytest.mark.parametrize("dialect", BODIES)
def test_a_request_that_does_not_say_it_or_says_it_elsewhere_is_not_cold(dialect: CallerDialect) -> None:
    assert not is_cold(dialect)
    assert not is_cold(dialect, metadata={"temperature": 0})
    if dialect in PLACE:
        assert not is_cold(dialect, temperature=0)
        assert not is_cold(dialect, **{PLACE[dialect]: "temperature"})


def test_gemini_is_read_in_both_spellings() -> None:
    assert is_cold("gemini", generation_config={"temperature": 0})
