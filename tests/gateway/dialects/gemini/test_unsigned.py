"""Calls that nobody signed, of a provider of another dialect, and how envelopes are found in a request's bytes."""

from typing import Any

import msgspec
import pytest

from gateway.dialects.codec import Arrival, Stamp
from gateway.dialects.envelope import Envelopes
from gateway.dialects.gemini.codec import CALLER
from gateway.domain.chat import Answer, ChatRequest, Reasoning, Signature, Text, Thinking, ToolCall
from gateway.domain.dialect import ProviderDialect
from gateway.domain.events import Finished, Started, ToolCallDelta, ToolCallDone, ToolCallStarted

ENVELOPES = Envelopes(b"key")
CALLS = (ToolCall("call_1", "look"), ToolCall("call_2", "look"))
ASKED = ChatRequest(model="m", turns=(), reasoning=Reasoning(shows=True))


def stamp(answered_in: ProviderDialect | None) -> Stamp:
    return Stamp("0f" * 16, 1, "m", ENVELOPES, request=ASKED, answered_in=answered_in)


def whole(answered_in: ProviderDialect | None) -> list[dict[str, Any]]:
    body = CALLER.encode_response(Answer(parts=CALLS, finish="tool_calls"), stamp(answered_in))
    return msgspec.json.decode(body)["candidates"][0]["content"]["parts"]


def streamed(answered_in: ProviderDialect | None) -> list[dict[str, Any]]:
    encoder = CALLER.make_encoder(stamp(answered_in))
    written = encoder.feed([Started()])
    for index, call in enumerate(CALLS):
        begun = ToolCallStarted(index, call.id, call.name)
        written += encoder.feed([begun, ToolCallDelta(index, "{}"), ToolCallDone(index)])
    written += encoder.feed([Finished("tool_calls")])
    chunks = [msgspec.json.decode(event.removeprefix(b"data: ")) for event in written.split(b"\r\n\r\n") if event]
    parts = [part for chunk in chunks for part in chunk["candidates"][0]["content"]["parts"]]
    return [part for part in parts if "functionCall" in part]


def history_of(parts: list[dict[str, Any]]) -> bytes:
    results = [
        {"functionResponse": {"id": part["functionCall"]["id"], "name": "look", "response": {"result": "x"}}}
        for part in parts
        if "functionCall" in part
    ]
    first = {"role": "user", "parts": [{"text": "Hi"}]}
    contents = [first, {"role": "model", "parts": parts}, {"role": "user", "parts": results or [{"text": "And?"}]}]
    return msgspec.json.encode({"contents": contents})


@pytest.mark.parametrize("made", [whole, streamed])
def test_the_first_one_is_marked_when_another_dialect_answered_and_comes_back_unsigned(made):
    parts = made("openai_chat")
    assert ["thoughtSignature" in part for part in parts] == [True, False]
    body = history_of(parts)
    assert any(mark in body for mark in CALLER.envelope_marks)
    request = CALLER.decode_request(body, Arrival(model="m"), ENVELOPES)
    assert [part.signature for part in request.turns[1].parts] == [None, None]


@pytest.mark.parametrize("made", [whole, streamed])
@pytest.mark.parametrize("answered_in", ["gemini", None])
def test_they_stay_as_they_are_when_this_dialect_answered(made, answered_in):
    assert ["thoughtSignature" in part for part in made(answered_in)] == [False, False]


@pytest.mark.parametrize(
    "parts",
    [
        (Thinking("Hm.", Signature("anthropic_messages", "s", "p")), Text("Yes.")),
        (Thinking("", Signature("anthropic_messages", "s", "p"), is_redacted=True), Text("Yes.")),
        (ToolCall("call_1", "look", signature=Signature("openai_chat", "s", "p")),),
    ],
    ids=["thinking", "redacted", "call"],
)
def test_every_envelope_is_found_in_a_requests_bytes(parts):
    answer = CALLER.encode_response(Answer(parts=parts, finish="stop"), stamp("anthropic_messages"))
    body = history_of(msgspec.json.decode(answer)["candidates"][0]["content"]["parts"])
    assert any(mark in body for mark in CALLER.envelope_marks)
