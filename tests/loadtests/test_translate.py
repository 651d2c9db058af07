"""The benchmark of translation measures what it says: the same conversation and the same answer in every dialect."""

import pytest

from gateway.dialects.codec import Arrival
from gateway.domain.events import TextDelta
from loadtests.translate import (
    BODY_BYTES,
    CALLERS,
    CHUNKS,
    ENVELOPES,
    MESSAGES,
    ORIGIN,
    PROVIDERS,
    Cost,
    bodies,
    pairs,
    streams,
    table,
)


@pytest.mark.parametrize("dialect", CALLERS)
def test_every_caller_asks_the_same_conversation(dialect):
    body = bodies()[dialect]
    arrival = Arrival(model="here", is_stream=True) if dialect == "gemini" else Arrival()
    request = CALLERS[dialect].decode_request(body, arrival, ENVELOPES)
    assert BODY_BYTES * 0.8 < len(body) < BODY_BYTES * 1.3
    assert MESSAGES * 0.7 < len(request.turns) <= MESSAGES + 1
    assert len(request.tools) == 3


@pytest.mark.parametrize("dialect", PROVIDERS)
def test_every_provider_answers_chunk_by_chunk(dialect):
    decoder = PROVIDERS[dialect].make_decoder(ORIGIN)
    events = [event for chunk in streams()[dialect] for event in decoder.feed(chunk)]
    assert sum(isinstance(event, TextDelta) for event in events) == CHUNKS


def test_no_dialect_is_translated_to_itself():
    assert all(caller != provider for caller, provider in pairs())
    assert len(pairs()) == len(CALLERS) * len(PROVIDERS) - len(PROVIDERS)


@pytest.mark.parametrize(
    ("request_ms", "chunk_us", "is_over"), [(1.5, 9.0, False), (1.51, 1.0, True), (0.1, 9.1, True)]
)
def test_a_pair_that_passes_a_limit_is_said(request_ms, chunk_us, is_over):
    cost = Cost("ollama", "gemini", request_ms, chunk_us)
    assert cost.is_over is is_over
    assert ("over" in table([cost])) is is_over
