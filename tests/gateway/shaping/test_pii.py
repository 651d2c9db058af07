"""Personal data: what is found, what is not, and that a stream cut anywhere gives away nothing."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.chat import Citation
from gateway.domain.events import CitationAdded, Event, Finished, TextDelta, ThinkingDelta, ToolCallDelta, UsageTold
from gateway.domain.shaping import Pii
from gateway.domain.usage import Usage
from gateway.shaping.pii import MAX_HELD, Redactor, StreamRedactor, safe_cut
from gateway.shaping.scan import without_overlaps

TEXT = (
    "Mail john.doe@example.com, card 4111 1111 1111 1111, IBAN DE89 3704 0044 0532 0130 00 IS MINE, "
    "call +1 (415) 555-2671 or 415-555-2671, ssn 123-45-6789, cpf 529.982.247-25, cnpj 11.222.333/0001-81, "
    "from 203.0.113.9 with AKIAIOSFODNN7EXAMPLE and sk-proj-abc123def456ghi789jkl0."
)
CLEAN = (
    "Mail [EMAIL_REDACTED], card [CARD_REDACTED], IBAN [IBAN_REDACTED] IS MINE, "
    "call [PHONE_REDACTED] or [PHONE_REDACTED], ssn [SSN_REDACTED], cpf [CPF_REDACTED], cnpj [CNPJ_REDACTED], "
    "from [IP_REDACTED] with [AWS_KEY_REDACTED] and [API_KEY_REDACTED]."
)


def clean(text: str) -> str:
    redactor = Redactor(())
    return redactor.redacted(text, without_overlaps(redactor.search(text, 0, len(text))))


def streamed(pieces: list[str]) -> str:
    machine = StreamRedactor(Pii(output="redact"), Redactor(()))
    out: list[Event] = []
    for piece in pieces:
        out += machine.feed([TextDelta(piece)])
    out += machine.feed([Finished("stop")])
    assert isinstance(out[-1], Finished)
    return "".join(event.text for event in out if isinstance(event, TextDelta))


def test_every_kind_is_replaced() -> None:
    assert clean(TEXT) == CLEAN


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112 fails Luhn", "12345678901 is no CPF", "11111111111 is none either",
        "released 2024-01-02 at 10:20:30", "version 1.24.3 of std::vector", "127.0.0.1 is this machine",
        "order 1700000000000 of 1,234,567.89", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "user@localhost", "sk-learn",
        "000-12-3456", "GB29 NWBK 6016 1331 9268 18", "@dan see #4111",
    ],
)  # fmt: skip
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert clean(text) == text


@given(st.lists(st.integers(min_value=0, max_value=len(TEXT)), max_size=40))
def test_a_stream_cut_anywhere_is_as_clean_as_the_whole(cuts: list[int]) -> None:
    at = sorted({0, len(TEXT), *cuts})
    assert streamed([TEXT[start:end] for start, end in itertools.pairwise(at)]) == CLEAN


def test_a_stream_of_single_characters_is_clean() -> None:
    assert streamed(list(TEXT)) == CLEAN


@pytest.mark.parametrize("between", [UsageTold(Usage(input=1)), CitationAdded(Citation())], ids=["usage", "citation"])
def test_what_is_told_between_the_pieces_of_a_text_does_not_end_it(between: Event) -> None:
    """Gemini tells the usage so far with every piece."""
    machine = StreamRedactor(Pii(output="redact"), Redactor(()))
    out = [one for letter in TEXT for one in machine.feed([TextDelta(letter), between])]
    out += machine.feed([Finished("stop")])
    assert "".join(event.text for event in out if isinstance(event, TextDelta)) == CLEAN
    assert out.count(between) == len(TEXT)
    assert out[-1] == Finished("stop")


@given(st.text(alphabet="a 1@.\nA+-", max_size=700))
def test_never_more_than_the_bound_is_held_and_words_are_not(text: str) -> None:
    assert len(text) - safe_cut(text) <= MAX_HELD
    assert safe_cut("Hello there ") == len("Hello there ")


def test_arguments_and_thoughts_pass_unless_asked_for() -> None:
    events: list[Event] = [ThinkingDelta("a@b.co"), ToolCallDelta(0, '{"to":"a@b.co"}')]
    assert StreamRedactor(Pii(output="redact"), Redactor(())).feed(list(events)) == events
    machine = StreamRedactor(Pii(output="redact", reasoning=True, tool_arguments=True), Redactor(()))
    out = machine.feed([*events, Finished("stop")])
    assert "a@b.co" not in repr(out)
    assert repr(out).count("EMAIL_REDACTED") == 2
