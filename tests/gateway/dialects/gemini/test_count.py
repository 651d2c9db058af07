"""`:countTokens`: what is counted, and the answer."""

import json
from typing import Any

import pytest

from gateway.dialects.codec import Arrival
from gateway.dialects.gemini.count import decode_count, encode_count
from gateway.domain.chat import Text, Turn
from gateway.domain.errors import BadRequest
from tests.support.traffic import ENVELOPES

CONTENTS = [{"role": "user", "parts": [{"text": "hi"}]}]
ARRIVAL = Arrival(model="m")


@pytest.mark.parametrize(
    "body",
    [
        {"contents": CONTENTS, "systemInstruction": "s", "tools": [{"functionDeclarations": [{"name": "f"}]}]},
        {"generateContentRequest": {"model": "models/m", "contents": CONTENTS, "systemInstruction": "s", "tools": [{"functionDeclarations": [{"name": "f"}]}]}},
        {"generate_content_request": {"contents": CONTENTS, "system_instruction": "s", "tools": {"function_declarations": {"name": "f"}}}},
    ],
)  # fmt: skip
def test_what_is_to_be_counted_stands_in_either_place(body: Any) -> None:
    request = decode_count(json.dumps(body).encode(), ARRIVAL, ENVELOPES)
    assert request.turns == (Turn("system", (Text("s"),)), Turn("user", (Text("hi"),)))
    assert (request.model, [tool.name for tool in request.tools]) == ("m", ["f"])


def test_a_history_that_is_not_complete_can_be_counted() -> None:
    contents = [*CONTENTS, {"role": "model", "parts": [{"functionCall": {"name": "f"}}]}, *CONTENTS]
    assert len(decode_count(json.dumps({"contents": contents}).encode(), ARRIVAL, ENVELOPES).turns) == 3


@pytest.mark.parametrize("body", [b"{}", b"[]", b"{", b'{"generateContentRequest":5}'])
def test_what_cannot_be_counted_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        decode_count(body, ARRIVAL, ENVELOPES)


def test_the_count() -> None:
    assert json.loads(encode_count(31)) == {"totalTokens": 31}
