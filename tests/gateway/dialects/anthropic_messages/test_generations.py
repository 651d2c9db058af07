"""What generations of models differ in, written as their provider's data file says."""

import json

import pytest

from gateway.dialects.anthropic_messages.codec import PROVIDER
from gateway.dialects.codec import Destination, Encoded
from gateway.domain.chat import ChatRequest, Reasoning, Signature, Text, Thinking, ToolCall, ToolResult, Turn

SIGNED = Thinking("Let me look.", Signature("anthropic_messages", "c2lnbmVk", "acme"))
LOOP = (
    Turn("user", (Text("Where?"),)),
    Turn("assistant", (SIGNED, ToolCall("c1", "look"))),
    Turn("user", (ToolResult("c1", (Text("here"),)),)),
)


def encoded(*quirks: str, reasoning: Reasoning | None = None, **settings: float) -> Encoded:
    request = ChatRequest(model="m", turns=LOOP, reasoning=reasoning, **settings)  # type: ignore[arg-type]
    return PROVIDER.encode_request(request, Destination("there", "acme", 64_000, frozenset(quirks)))


@pytest.mark.parametrize("settings", [{"temperature": 0.5}, {"top_p": 0.5}, {"top_k": 5}])
def test_sampling_is_left_out_with_a_note_where_it_is_refused(settings: dict[str, float]) -> None:
    (name,) = settings
    plain, newer = encoded(**settings), encoded("no_sampling", **settings)
    assert name in json.loads(plain.body)
    assert name not in json.loads(newer.body)
    assert any(note.startswith(f"{name}:") for note in newer.notes)


@pytest.mark.parametrize("quirks", [(), ("adaptive_thinking",), ("adaptive_thinking", "thinks_by_default")])
def test_signed_thoughts_of_a_round_of_tools_go_back_though_nobody_asked(quirks: tuple[str, ...]) -> None:
    body = encoded(*quirks).body
    assert b"c2lnbmVk" in body
    assert "thinking" not in json.loads(body)


def test_what_thinking_forbids_is_left_out_where_it_is_the_default() -> None:
    found = encoded("adaptive_thinking", "thinks_by_default", temperature=0.5)
    assert "temperature" not in json.loads(found.body)
    assert "temperature: it must be 1 while thinking" in found.notes


def test_a_model_that_thinks_by_default_can_be_told_not_to() -> None:
    body = json.loads(encoded("adaptive_thinking", "thinks_by_default", reasoning=Reasoning(effort="none")).body)
    assert body["thinking"] == {"type": "disabled"}


def test_a_model_that_always_thinks_is_asked_for_the_least() -> None:
    found = encoded("adaptive_thinking", "always_thinks", reasoning=Reasoning(effort="none"))
    body = json.loads(found.body)
    assert "thinking" not in body
    assert body["output_config"] == {"effort": "low"}
    assert "thinking: this model always thinks" in found.notes
    assert b"c2lnbmVk" in found.body
