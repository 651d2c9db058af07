"""Reasoning that nobody signed, of a provider of another dialect: no provider of this dialect must look for it."""

import msgspec
import pytest

from gateway.dialects.codec import Arrival, Stamp
from gateway.dialects.envelope import Envelopes
from gateway.dialects.openai_responses.codec import CALLER
from gateway.domain.chat import Answer, Text, Thinking
from gateway.domain.dialect import ProviderDialect
from gateway.domain.events import Finished, Started, TextDelta, ThinkingDelta, ThinkingDone

ENVELOPES = Envelopes(b"key")


def stamp(answered_in: ProviderDialect | None) -> Stamp:
    return Stamp("0f" * 16, 1, "m", ENVELOPES, answered_in=answered_in)


def whole(answered_in: ProviderDialect | None) -> bytes:
    answer = Answer(parts=(Thinking("Hm."), Text("Yes.")), finish="stop")
    return CALLER.encode_response(answer, stamp(answered_in))


def streamed(answered_in: ProviderDialect | None) -> bytes:
    encoder = CALLER.make_encoder(stamp(answered_in))
    events = [Started(), ThinkingDelta("Hm."), ThinkingDone(), TextDelta("Yes."), Finished("stop")]
    written = encoder.feed(events)
    completed = written.split(b"event: response.completed\ndata: ")[1]
    return msgspec.json.encode(msgspec.json.decode(completed)["response"])


@pytest.mark.parametrize("made", [whole, streamed])
def test_it_is_marked_when_another_dialect_answered_and_comes_back_unsigned(made):
    output = msgspec.json.decode(made("openai_chat"))["output"]
    assert output[0]["encrypted_content"].startswith("OMROMROMROMR1.")
    body = msgspec.json.encode({"model": "m", "input": [*output, {"role": "user", "content": "And?"}]})
    assert any(mark in body for mark in CALLER.envelope_marks)
    request = CALLER.decode_request(body, Arrival(), ENVELOPES)
    assert request.turns[0].parts[0] == Thinking("Hm.")
    assert request.notes == ()


@pytest.mark.parametrize("made", [whole, streamed])
@pytest.mark.parametrize("answered_in", ["openai_responses", None])
def test_it_stays_as_it_is_when_this_dialect_answered(made, answered_in):
    assert "encrypted_content" not in msgspec.json.decode(made(answered_in))["output"][0]
