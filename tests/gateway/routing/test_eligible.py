"""Only what is known speaks against a model."""

import pytest

from gateway.providers.spec import ModelSpec
from gateway.routing.eligible import BYTES_PER_TOKEN, NO_NEEDS, Needs, missing, needs_in, needs_of, nothing_can

TEXT_ONLY = ModelSpec("m", context=1000, capabilities=("tools",))


@pytest.mark.parametrize(
    ("needs", "facts", "lack"),
    [
        (Needs(vision=True), TEXT_ONLY, "vision"),
        (Needs(tools=True), TEXT_ONLY, ""),
        (Needs(structured=True), TEXT_ONLY, "structured"),
        (Needs(tools=True), ModelSpec("m", capabilities=("vision",)), "tools"),
        (Needs(tokens=1000), TEXT_ONLY, ""),
        (Needs(tokens=1001), TEXT_ONLY, "context"),
        (Needs(vision=True, tools=True, structured=True, tokens=10**9), None, ""),
        (Needs(vision=True, tools=True, structured=True, tokens=10**9), ModelSpec("m"), ""),
        (NO_NEEDS, TEXT_ONLY, ""),
    ],
)
def test_a_model_lacks_what_it_is_known_not_to_do(needs: Needs, facts: ModelSpec | None, lack: str) -> None:
    assert missing(needs, facts) == lack


@pytest.mark.parametrize(
    ("body", "needs"),
    [
        (b'{"model":"m","messages":[{"role":"user","content":"hi"}]}', (False, False, False)),
        (b'{"messages":[{"content":[{"type":"image_url","image_url":{"url":"data:"}}]}]}', (True, False, False)),
        (b'{"input":[{"content":[{"type":"input_image","image_url":"x"}]}]}', (True, False, False)),
        (b'{"messages":[{"content":[{"type": "image","source":{}}]}]}', (True, False, False)),
        (b'{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png"}}]}]}', (True, False, False)),
        (b'{"contents":[{"parts":[{"inlineData":{"mimeType":"audio/wav"}}]}]}', (False, False, False)),
        (b'{"messages":[],"tools":[{"type":"function"}]}', (False, True, False)),
        (b'{"messages":[],"tools":[]}', (False, False, False)),
        (b'{"messages":[],"tools": null}', (False, False, False)),
        (b'{"response_format":{"type":"json_schema","json_schema":{}}}', (False, False, True)),
        (b'{"generationConfig":{"responseSchema":{}}}', (False, False, True)),
        (b'{"messages":[{"content":"the field \\"image_url\\" and \\"tools\\""}]}', (False, False, False)),
    ],
)
def test_needs_are_seen_in_the_bytes_of_every_dialect(body: bytes, needs: tuple[bool, bool, bool]) -> None:
    seen = needs_in(body)
    assert (seen.vision, seen.tools, seen.structured) == needs


def test_tokens_are_guessed_low_and_not_at_all_from_pictures() -> None:
    assert needs_of(5000, max_tokens=100).tokens == 5000 // BYTES_PER_TOKEN + 100
    assert needs_of(5_000_000, vision=True, max_tokens=100).tokens == 0
    assert needs_of(5_000_000, vision=True, picture_bytes=4_990_000).tokens == 2000
    assert needs_of(10, picture_bytes=100, max_tokens=-5).tokens == 0


def test_the_answer_says_what_no_target_can() -> None:
    long = nothing_can(["context"], Needs(tokens=9000))
    assert (long.status, long.code) == (400, "context_length_exceeded")
    assert "9000 tokens" in long.message
    both = nothing_can(["vision", "tools", "vision"], Needs(vision=True))
    assert (both.status, both.code) == (400, "unsupported_by_target")
    assert both.message == "no target of this model can call tools or take pictures"
