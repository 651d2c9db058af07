"""Gemini takes one content without a list, and one part too: what is searched must not depend on it."""

from typing import Any

import pytest

from gateway.shaping.gemini import Gemini


@pytest.mark.parametrize(
    "body",
    [
        {"systemInstruction": {"parts": [{"text": "S"}]}, "contents": [{"parts": [{"text": "T"}]}]},
        {"system_instruction": {"parts": {"text": "S"}}, "contents": [{"parts": {"text": "T"}}]},
        {"systemInstruction": "S", "contents": {"role": "user", "parts": {"text": "T"}}},
    ],
    ids=["lists", "parts", "bare"],
)
def test_all_texts_are_found_however_they_are_wrapped(body: dict[str, Any]) -> None:
    found = list(Gemini().spots(body))
    assert [(spot.whose, spot.text) for spot in found] == [("system", "S"), ("user", "T")]
    for spot in found:
        spot.write("[TAKEN_OUT]")
    assert [spot.text for spot in Gemini().spots(body)] == ["[TAKEN_OUT]"] * 2
