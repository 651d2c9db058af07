"""The pairs of the guard through the started product, with vectors of a real small model."""

from collections.abc import Iterator

import pytest

from tests.gateway.cache.semantic.pairs import Pair, pairs
from tests.support.embedding_server import running_embeddings
from tests.support.minilm import minilm, why_missing
from tests.support.real_gateway import RealGateway
from tests.support.semantic_gateway import ask, found, running_semantic_gateway, switch

pytestmark = [pytest.mark.process, pytest.mark.skipif(bool(why_missing()), reason=why_missing() or "it is there")]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with (
        running_embeddings(minilm()) as vectors,
        running_semantic_gateway(tmp_path_factory.mktemp("pairs"), vectors) as started,
    ):
        switch(started, min_similarity=0.7)
        yield started


@pytest.fixture(scope="module")
def hits(gateway: RealGateway) -> list[tuple[Pair, bool]]:
    """Each pair of the judged half, in a scope of its own, and whether its second text was given the first one's answer."""
    judged = []
    for number, pair in enumerate(one for one in pairs() if one.half == "judge"):
        system = f"Case {number}."
        first = found(ask(gateway, pair.one, system=system))
        judged.append((pair, found(ask(gateway, pair.other, system=system)) == "SEMANTIC"))
        assert first == "MISS", pair
    return judged


@pytest.mark.timeout(600)
def test_no_near_miss_is_answered_with_the_other_ones_answer(hits: list[tuple[Pair, bool]]) -> None:
    near_misses = [(pair, is_hit) for pair, is_hit in hits if not pair.is_same]
    assert len(near_misses) >= 50
    assert [pair for pair, is_hit in near_misses if is_hit] == []


@pytest.mark.timeout(600)
def test_most_paraphrases_are_answered_without_the_provider(hits: list[tuple[Pair, bool]]) -> None:
    paraphrases = [is_hit for pair, is_hit in hits if pair.is_same]
    print(f"\n{sum(paraphrases)} of {len(paraphrases)} paraphrases are hits")
    assert sum(paraphrases) / len(paraphrases) >= 0.6


@pytest.mark.timeout(600)
def test_in_one_scope_no_question_finds_the_answer_of_another_one(gateway: RealGateway) -> None:
    texts = list(dict.fromkeys(pair.one for pair in pairs() if pair.half == "judge"))
    for text in texts:
        ask(gateway, text, system="Be brief.")
    mixed = [pair for pair in pairs() if pair.half == "judge" and not pair.is_same]
    same = {pair.other for pair in pairs() if pair.is_same} | {pair.one for pair in pairs()}
    wrong = [
        pair.other
        for pair in mixed
        if pair.other not in same and found(ask(gateway, pair.other, system="Be brief.")) == "SEMANTIC"
    ]
    assert wrong == []
