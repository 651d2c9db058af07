"""An envelope opens to what was sealed, and to nothing that was not."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.envelope import MARK, PREFIX, Envelopes
from gateway.domain.chat import Signature

CALM = settings(deadline=None, database=None, max_examples=200)
OURS, THEIRS = Envelopes(b"k" * 32), Envelopes(b"x" * 32)
SIGNATURES = st.builds(
    Signature,
    dialect=st.sampled_from(["openai_chat", "openai_responses", "anthropic_messages", "gemini"]),
    data=st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    provider=st.sampled_from(["", "anthropic", "node-1"]),
    id=st.sampled_from(["", "rs_1"]),
)
SEALED = OURS.seal(Signature("anthropic_messages", "EqQB", "anthropic"))


@CALM
@given(SIGNATURES)
def test_what_is_sealed_opens(signature: Signature) -> None:
    assert OURS.open(OURS.seal(signature)) == signature


@CALM
@given(SIGNATURES)
def test_it_is_told_by_its_prefix_and_can_stand_in_a_header_or_a_url(signature: Signature) -> None:
    sealed = OURS.seal(signature)
    assert sealed.startswith(PREFIX)
    assert sealed.encode().startswith(MARK)
    assert all(character.isalnum() or character in "-_." for character in sealed)


def test_the_same_signature_gives_the_same_envelope_so_that_prompt_caches_stay_warm() -> None:
    assert OURS.seal(Signature("gemini", "a")) == Envelopes(b"k" * 32).seal(Signature("gemini", "a"))


def test_another_key_does_not_open_it() -> None:
    assert THEIRS.open(SEALED) is None


@CALM
@given(st.integers(0, len(SEALED) - 1), st.characters(exclude_categories=["Cs"]))
def test_a_changed_envelope_does_not_open(place: int, character: str) -> None:
    changed = SEALED[:place] + character + SEALED[place + 1 :]
    assert OURS.open(changed) == (OURS.open(SEALED) if changed == SEALED else None)


@pytest.mark.parametrize(
    "text",
    [
        "", PREFIX, f"{PREFIX}.", f"{PREFIX}abc", f"{PREFIX}abc.def", SEALED[:-1], SEALED + "a", SEALED + "=", " " + SEALED,
        SEALED.upper(), SEALED.replace(".", "", 1), SEALED + "." + SEALED, f"{PREFIX}ü.ü", f"{PREFIX}\ud83d.\ud83d", "EqQB",
    ],
)  # fmt: skip
def test_what_is_no_envelope_of_ours_does_not_open(text: str) -> None:
    assert OURS.open(text) is None


@CALM
@given(st.text(), st.booleans())
def test_opening_anything_never_fails(text: str, has_prefix: bool) -> None:
    OURS.open(PREFIX + text if has_prefix else text)


def test_a_checksum_over_what_is_no_signature_does_not_open() -> None:
    """As an older or newer gateway with the same key might have sealed."""
    for content in (b"{}", b"[]", b"rubbish", b'{"dialect":"morse","data":"a"}', b""):
        payload = base64.urlsafe_b64encode(content).rstrip(b"=")
        assert OURS.open(f"{PREFIX}{payload.decode()}.{OURS._checksum(payload)}") is None
