"""Whether one answer serves two texts. No similarity of vectors can say so: near misses differ by one word.

Pure. Everything must be the same but what is known to change nothing; a difference that is not known is a difference.
"""

from typing import Literal

from gateway.cache.semantic.reading import Reading, are_synonyms

Reason = Literal[
    "", "unreadable", "words_themselves", "question", "numbers", "negation", "modal", "time", "voice", "left_over", "order",
    "amount", "article",
]  # fmt: skip
"""Why two texts are not the same; empty = they are. `left_over`: content words of one that the other lacks."""

_NUMBER_IS_FREE = frozenset({"how", "how to", "why"})
"""Of these questions one thing and many things have the same answer: how magnets work, how a magnet works."""


def difference(one: Reading | None, other: Reading | None) -> Reason:
    """The first difference that counts, or "" when one answer serves both."""
    if one is None or other is None:
        return "unreadable"
    if one.is_verbatim or other.is_verbatim:
        return "" if one.is_verbatim and other.is_verbatim and one.raw == other.raw else "words_themselves"
    if one.numbers != other.numbers:
        return "numbers"
    if one.negations != other.negations:
        return "negation"
    if one.sequence != other.sequence:
        return "order" if sorted(one.sequence) == sorted(other.sequence) else "left_over"
    if one.kind != other.kind:
        return "question"
    if one.modals != other.modals:
        return "modal"
    if one.time != other.time:
        return "time"
    if one.is_passive != other.is_passive:
        return "voice"
    return _small_differences(one, other)


def _small_differences(one: Reading, other: Reading) -> Reason:
    for mine, theirs in zip(one.articles, other.articles, strict=True):
        if mine and theirs and mine != theirs and one.kind not in _NUMBER_IS_FREE:
            return "article"
    if one.kind in _NUMBER_IS_FREE:
        return ""
    is_same = all(are_synonyms(mine, theirs) for mine, theirs in zip(one.forms, other.forms, strict=True))
    return "" if is_same else "amount"
