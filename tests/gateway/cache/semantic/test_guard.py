"""The guard says whether one answer serves two texts; what it does not know is a difference."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cache.semantic.guard import difference
from gateway.cache.semantic.reading import are_synonyms, read
from tests.gateway.cache.semantic.pairs import Pair, pairs
from tests.support.many import check_each

PAIRS = pairs()
SAME, OTHER = [pair for pair in PAIRS if pair.is_same], [pair for pair in PAIRS if not pair.is_same]


def is_hit(one: str, other: str) -> bool:
    return difference(read(one), read(other)) == ""


def shares(half: str) -> tuple[int, int]:
    """Paraphrases of a half, and how many of them are hits."""
    mine = [pair for pair in SAME if pair.half == half]
    return len(mine), sum(is_hit(pair.one, pair.other) for pair in mine)


def test_the_set_is_large_and_both_halves_are() -> None:
    assert min(len(SAME), len(OTHER)) >= 120
    for half in ("tune", "judge"):
        assert min(sum(pair.half == half for pair in group) for group in (SAME, OTHER)) >= 50


def test_a_near_miss_is_no_hit_either_way() -> None:
    def check(pair: Pair) -> None:
        assert not is_hit(pair.one, pair.other)
        assert not is_hit(pair.other, pair.one)

    check_each(OTHER, check)


def test_most_paraphrases_of_the_judged_half_are_hits() -> None:
    known, hits = shares("judge")
    assert hits / known >= 0.6, f"{hits} of {known}"


def test_the_guard_says_the_same_of_a_pair_either_way() -> None:
    def check(pair: Pair) -> None:
        assert is_hit(pair.one, pair.other) == is_hit(pair.other, pair.one)

    check_each(SAME, check)


def test_a_text_that_can_be_read_is_like_itself() -> None:
    def check(pair: Pair) -> None:
        for text in (pair.one, pair.other):
            assert is_hit(text, text)

    check_each(PAIRS, check)


WORDS = sorted({word for pair in PAIRS for text in pair[2:] for word in text.strip("?.!").split() if word.isalpha()})
SMALL = {
    "a",
    "an",
    "the",
    "is",
    "are",
    "was",
    "were",
    "do",
    "does",
    "did",
    "can",
    "would",
    "please",
    "there",
    "am",
}
"""Words that may come and go. All others count."""


UNPLACED = {"can", "cannot", "could", "may", "might", "must", "not", "should", "will", "would"}
"""Where the only one of them stands does not matter: why can't I, why can I not."""

SAME_ORDERS = {
    "explain", "describe", "tell", "show", "give", "name", "define", "state", "compute", "calculate", "what", "which", "please",
}  # fmt: skip
SAME_SUBJECTS = {"i", "we", "you", "one", "to", "do", "can", "would"}
"""In `how can i` and the like they ask the same; after `prime` a `number` says nothing more."""


def changes_nothing(old: str, new: str) -> bool:
    """Whether one word in the place of the other may still ask the same."""
    both = {old, new}
    sets = (SMALL | SAME_SUBJECTS | {"what", "which", "number"}, SAME_ORDERS)
    return old.rstrip("s") == new.rstrip("s") or are_synonyms(old, new) or any(both <= one for one in sets)


def test_another_word_in_its_place_is_no_hit() -> None:
    def check(pair: Pair) -> None:
        chance = random.Random(pair.one)
        words = pair.one.split()
        for index, word in enumerate(words):
            old = word.strip("?.,!;:").lower()
            if not old.isalpha():
                continue
            for new in [one.lower() for one in chance.sample(WORDS, 12)] + [
                "not",
                "never",
                "only",
                "some",
                "all",
                "no",
            ]:
                if not changes_nothing(old, new):
                    text = " ".join([*words[:index], word.lower().replace(old, new), *words[index + 1 :]])
                    assert not is_hit(pair.one, text), text

    check_each(PAIRS, check)


def test_a_word_more_that_limits_or_denies_is_no_hit() -> None:
    def check(pair: Pair) -> None:
        words = pair.one.split()
        for index in range(len(words) + 1):
            for new in ("not", "never", "only", "all", "some", "every", "no", "more", "less", "without"):
                text = " ".join([*words[:index], new, *words[index:]])
                assert not is_hit(pair.one, text), text

    check_each(PAIRS, check)


def test_two_content_words_changed_round_are_no_hit() -> None:
    def check(pair: Pair) -> None:
        words = [word.lower() for word in pair.one.strip("?.!").split()]
        last = words[-1]
        for index, first in enumerate(words[:-1]):
            if first == last or not (first.isalpha() and last.isalpha()) or {first, last} & (SMALL | UNPLACED):
                continue
            text = " ".join([*words[:index], last, *words[index + 1 : -1], first])
            assert not is_hit(pair.one, text), text

    check_each(PAIRS, check)


@pytest.mark.parametrize(
    "text",
    [
        "a\nb",
        "def f(x): return {x}",
        "see https://example.org",
        "x" * 401,
        "word " * 61,
        "",
        "   ",
        "a\tb",
        "<b>what</b>",
    ],
)
def test_what_is_no_plain_sentence_is_never_a_hit(text: str) -> None:
    assert difference(read(text), read(text)) == "unreadable"


@given(st.text(max_size=500))
def test_reading_never_fails(text: str) -> None:
    read(text)
    read(f"What is {text}'s {text}?")


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        ("How do I install Python 3.1?", "How do I install Python 3.10?", "numbers"),
        ("Which birds can fly?", "Which birds can not fly?", "negation"),
        ("Is the Nile longer than the Amazon?", "Is the Amazon longer than the Nile?", "order"),
        ("What is mitosis?", "What is meiosis?", "left_over"),
        ("What birds fly?", "Do birds fly?", "question"),
        ("Can I take it with food?", "Must I take it with food?", "modal"),
        ("Who is the president of Brazil?", "Who was the president of Brazil?", "time"),
        ("Which animals hunted?", "Which animals are hunted?", "voice"),
        ("Name the planet", "Name the planets", "amount"),
        ("What is a river of France?", "What is the river of France?", "article"),
        ("What is a synonym for big?", "What is a synonym for large?", "words_themselves"),
    ],
)
def test_the_first_difference_is_named(one: str, other: str, reason: str) -> None:
    assert difference(read(one), read(other)) == reason
