"""A whole answer told as a stream, and a stream gathered into one answer, say the same."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cache.reshape import answer_of, batches_of
from gateway.dialects.codec import BrokenAnswer
from gateway.domain.chat import Answer, Citation, Image, Part, Refusal, Signature, Text, Thinking, ToolCall
from gateway.domain.events import Event, Finished, Started, StreamFailed, TextDelta, ToolCallDelta
from gateway.domain.usage import Usage

SIGNED = Signature("anthropic_messages", "c2ln")
words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)
parts = st.one_of(
    st.builds(Text, text=words, signature=st.sampled_from([None, SIGNED])),
    st.builds(Text, text=words, citations=st.just((Citation(url="https://a.example"),))),
    st.builds(Refusal, text=words),
    st.builds(Thinking, text=words, signature=st.sampled_from([None, SIGNED])),
    st.just(Thinking(signature=SIGNED, is_redacted=True)),
    st.builds(ToolCall, id=st.just("c"), name=words, arguments=words, signature=st.sampled_from([None, SIGNED])),
    st.just(Image(media_type="image/png", data="AAAA")),
)


def apart(found: list[Part]) -> tuple[Part, ...]:
    """No two texts in a row: a stream does not tell where one ends and the next begins."""
    kept: list[Part] = []
    for part in found:
        if not kept or type(part) is not type(kept[-1]) or not isinstance(part, Text | Refusal):
            kept.append(part)
    return tuple(kept)


answers = st.builds(
    Answer,
    parts=st.lists(parts, max_size=6).map(apart),
    finish=st.sampled_from(["stop", "length", "tool_calls"]),
    id=words,
    model=words,
    native_finish=words,
    usage=st.one_of(st.none(), st.just(Usage(input=3, output=2, cache_read=1))),
)


@settings(max_examples=300, deadline=None)
@given(answer=answers)
def test_there_and_back_is_the_same_answer(answer: Answer) -> None:
    assert answer_of(event for batch in batches_of(answer) for event in batch) == answer


def test_a_long_text_comes_in_pieces_cut_after_words() -> None:
    text = "one two three four five six seven eight nine ten " * 20
    pieces = [event.text for batch in batches_of(Answer((Text(text),), "stop")) for event in batch if isinstance(event, TextDelta)]  # fmt: skip
    assert "".join(pieces) == text
    assert len(pieces) > 15
    assert all(piece.endswith(" ") for piece in pieces)


def test_arguments_come_in_pieces_too() -> None:
    call = ToolCall("c", "f", '{"a":"' + "x" * 500 + '"}')
    deltas = [event for batch in batches_of(Answer((call,), "tool_calls")) for event in batch if isinstance(event, ToolCallDelta)]  # fmt: skip
    assert len(deltas) > 5
    assert "".join(delta.arguments for delta in deltas) == call.arguments


@pytest.mark.parametrize(
    "events",
    [[Started(), TextDelta("cut")], [Started(), StreamFailed("no")], []],
    ids=["cut", "failed", "nothing"],
)
def test_what_did_not_come_to_its_end_is_no_answer(events: list[Event]) -> None:
    with pytest.raises(BrokenAnswer):
        answer_of(events)


def test_interleaved_calls_are_gathered_by_their_index() -> None:
    calls = (ToolCall("a", "f", '{"n":1}'), ToolCall("b", "g", '{"n":2}'))
    batches: list[Any] = [event for batch in batches_of(Answer(calls, "tool_calls")) for event in batch]
    order = [0, 1, 4, 2, 5, 3, 6, 7]
    assert isinstance(batches[7], Finished)
    assert answer_of(batches[index] for index in order).parts == calls
