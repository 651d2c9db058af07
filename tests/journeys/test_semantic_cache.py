"""Answers to the same question in other words, through the started product: two workers, one cache store."""

import itertools
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.embedding_server import EmbeddingServer, running_embeddings
from tests.support.product import wait_for
from tests.support.real_gateway import NARROW_KEY, RealGateway, content_of
from tests.support.semantic_gateway import VECTOR_KEY, ask, found, running_semantic_gateway, switch

pytestmark = pytest.mark.process

ONE, OTHER = "What is the capital of {}?", "Please tell me the capital of {}."


@pytest.fixture(scope="module")
def vectors() -> Iterator[EmbeddingServer]:
    with running_embeddings() as server:
        yield server


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory, vectors: EmbeddingServer) -> Iterator[RealGateway]:
    with running_semantic_gateway(tmp_path_factory.mktemp("semantic"), vectors) as gateway:
        switch(gateway)
        yield gateway


@pytest.fixture
def gateway(started: RealGateway, vectors: EmbeddingServer) -> Iterator[RealGateway]:
    yield started
    if vectors.delay_s or vectors.status != 200 or vectors.body is not None:
        vectors.delay_s, vectors.status, vectors.body = 0.0, 200, None


def test_the_same_question_in_other_words_is_answered_without_the_provider(gateway: RealGateway) -> None:
    first = ask(gateway, ONE.format("France"))
    mark = gateway.mark
    second = ask(gateway, OTHER.format("France"))
    assert (found(first), found(second)) == ("MISS", "SEMANTIC")
    assert second.headers["x-omniroute-attempts"] == "0"
    assert second.json()["choices"] == first.json()["choices"]
    assert gateway.seen(mark) == []


def test_both_workers_know_of_it(gateway: RealGateway) -> None:
    lands = iter(("Spain", "Portugal", "Austria", "Hungary", "Poland", "Latvia", "Serbia", "Ghana", "Kenya", "Oman"))

    def is_known_to_both() -> bool:
        land = next(lands)  # a miss is kept as it was asked: the next try needs another question
        ask(gateway, ONE.format(land))
        time.sleep(0.5)
        return {ask_anew(gateway, OTHER.format(land)) for _ in range(8)} == {"SEMANTIC"}

    wait_for(is_known_to_both, 10)


def ask_anew(gateway: RealGateway, text: str) -> str:
    """On a connection of its own, so that both workers get their share."""
    with httpx.Client(base_url=gateway.url, headers=gateway.client.headers, timeout=60) as client:
        messages = [{"role": "user", "content": text}]
        return found(
            client.post("/v1/chat/completions", json={"model": "local/m1", "temperature": 0, "messages": messages})
        )


def test_a_near_miss_asks_the_provider(gateway: RealGateway) -> None:
    ask(gateway, "Which birds can fly?")
    mark = gateway.mark
    assert found(ask(gateway, "Which birds can't fly?")) == "MISS"
    assert len(gateway.seen(mark)) == 1


@pytest.mark.parametrize(
    ("land", "change"),
    [
        ("Italy", {"model": "local/m2"}),
        ("Greece", {"max_tokens": 50}),
        ("Malta", {"seed": 7}),
        ("Egypt", {"system": "You are a pirate."}),
        ("Peru", {"tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]}),
        ("Chile", {"response_format": {"type": "json_object"}}),
        ("Cuba", {"key": NARROW_KEY}),
    ],
)
def test_what_else_differs_is_another_scope(gateway: RealGateway, land: str, change: dict[str, Any]) -> None:
    ask(gateway, ONE.format(land))
    assert found(ask(gateway, OTHER.format(land), **change)) == "MISS"
    assert found(ask(gateway, OTHER.format(land))) == "SEMANTIC"


def test_a_conversation_has_no_part_in_it(gateway: RealGateway, vectors: EmbeddingServer) -> None:
    ask(gateway, ONE.format("Norway"))
    asked = len(vectors.asked)
    before = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
    answer = gateway.chat(
        "local/m1", temperature=0, messages=[*before, {"role": "user", "content": OTHER.format("Norway")}]
    )
    assert found(answer) == "MISS"
    assert len(vectors.asked) == asked


def test_a_system_prompt_about_words_has_no_part_in_it(gateway: RealGateway, vectors: EmbeddingServer) -> None:
    asked = len(vectors.asked)
    for text in (ONE, OTHER):
        assert found(ask(gateway, text.format("Sweden"), system="Translate what the user says into French.")) == "MISS"
    assert len(vectors.asked) == asked


def test_what_the_cache_does_not_keep_is_not_looked_for(gateway: RealGateway, vectors: EmbeddingServer) -> None:
    asked = len(vectors.asked)
    assert found(ask(gateway, ONE.format("Ghana"), temperature=1)) == ""
    answer = gateway.chat(
        "local/m1", temperature=0, messages=[{"role": "user", "content": ONE.format("Ghana")}],
        headers={"x-omniroute-no-cache": "true"},
    )  # fmt: skip
    assert found(answer) == ""
    assert len(vectors.asked) == asked


def test_a_whole_answer_is_given_as_a_stream_to_who_asks_for_one(gateway: RealGateway) -> None:
    first = ask(gateway, ONE.format("Kenya"))
    second = ask(gateway, OTHER.format("Kenya"), stream=True)
    assert found(second) == "SEMANTIC"
    assert content_of(second.content) == first.json()["choices"][0]["message"]["content"]


def test_a_caller_of_another_dialect_is_answered_in_its_own(gateway: RealGateway) -> None:
    first = ask(gateway, ONE.format("Nepal"), max_tokens=100)
    answer = gateway.client.post(
        "/v1/messages",
        json={
            "model": "local/m1", "temperature": 0, "max_tokens": 100,
            "messages": [{"role": "user", "content": OTHER.format("Nepal")}],
        },
    )  # fmt: skip
    assert found(answer) == "SEMANTIC"
    assert answer.json()["content"][0]["text"] == first.json()["choices"][0]["message"]["content"]


def test_the_record_says_what_was_saved_and_the_vector_has_one_of_its_own(gateway: RealGateway) -> None:
    ask(gateway, ONE.format("Laos"))
    name = gateway.new_id()
    messages = [{"role": "user", "content": OTHER.format("Laos")}]
    answer = gateway.chat("local/m1", temperature=0, messages=messages, headers={"x-request-id": name})
    assert found(answer) == "SEMANTIC"
    row = gateway.row(name)
    assert (row["cache"], row["cost_nano_usd"], row["input_tokens"], row["output_tokens"]) == ("semantic", 0, 0, 0)
    assert row["saved_nano_usd"] > 0
    own = gateway.row(row["id"])
    assert (own["endpoint"], own["provider"], own["model"]) == ("semantic_embeddings", "vec", "small")
    assert own["input_tokens"] == 7
    assert own["cost_nano_usd"] == 7 * 2000
    assert own["key_name"] == row["key_name"]


def test_the_vector_is_asked_for_with_the_connections_key(gateway: RealGateway, vectors: EmbeddingServer) -> None:
    ask(gateway, ONE.format("Oman"))
    assert vectors.asked[-1] == ONE.format("Oman")
    assert vectors.headers[-1]["authorization"] == f"Bearer {VECTOR_KEY}"


def test_in_shadow_mode_the_provider_answers_and_the_would_be_hit_is_told_without_its_text(
    gateway: RealGateway,
) -> None:
    switch(gateway, mode="shadow")
    try:
        ask(gateway, ONE.format("Iceland"))
        mark = gateway.mark
        assert found(ask(gateway, OTHER.format("Iceland"))) == "MISS"
        assert len(gateway.seen(mark)) == 1
        wait_for(lambda: "semantic_would_hit" in gateway.product.errors + gateway.product.output, 5)
        said = gateway.product.errors + gateway.product.output
        assert "Iceland" not in said
    finally:
        switch(gateway)


def test_one_setting_changed_leaves_the_others_as_they_are(gateway: RealGateway) -> None:
    before = gateway.admin.get("/api/settings").json()["cache"]["semantic"]
    try:
        answer = gateway.admin.patch("/api/settings", json={"cache": {"semantic": {"mode": "shadow"}}})
        assert answer.status_code == 200, answer.text
        after = gateway.admin.get("/api/settings").json()["cache"]["semantic"]
        assert after == before | {"mode": "shadow"}
    finally:
        switch(gateway)


def test_what_was_found_is_counted(gateway: RealGateway) -> None:
    before = gateway.admin.get("/api/cache/stats").json()["semanticHits"]
    ask(gateway, ONE.format("Benin"))
    assert found(ask(gateway, OTHER.format("Benin"))) == "SEMANTIC"
    wait_for(lambda: gateway.admin.get("/api/cache/stats").json()["semanticHits"] > before, 5)


def test_switched_off_it_asks_for_no_vectors(gateway: RealGateway, vectors: EmbeddingServer) -> None:
    switch(gateway, mode="off")
    try:
        asked = len(vectors.asked)
        for text in (ONE, OTHER):
            assert found(ask(gateway, text.format("Angola"))) == "MISS"
        assert len(vectors.asked) == asked
    finally:
        switch(gateway)


def test_after_the_cache_was_emptied_nothing_is_found(gateway: RealGateway) -> None:
    ask(gateway, ONE.format("Bhutan"))
    assert found(ask(gateway, OTHER.format("Bhutan"))) == "SEMANTIC"
    assert gateway.admin.delete("/api/cache").status_code == 200
    # All workers forget within a second.
    wait_for(lambda: found(ask(gateway, OTHER.format("Bhutan"))) == "MISS", 1.5)


def test_a_vector_that_is_late_is_a_miss_and_soon_nobody_is_asked(
    gateway: RealGateway, vectors: EmbeddingServer
) -> None:
    switch(gateway, budget_ms=50)
    try:
        vectors.delay_s = 1.0
        for number in range(12):
            assert found(ask(gateway, ONE.format(f"Land {number}"))) == "MISS"
        asked = len(vectors.asked)
        for number in range(12):
            assert found(ask(gateway, OTHER.format(f"Land {number}"))) == "MISS"
        assert len(vectors.asked) <= asked + 2  # one more at most of each worker
    finally:
        vectors.delay_s = 0.0
        switch(gateway)


def test_a_provider_of_vectors_that_is_well_again_is_asked_again(
    gateway: RealGateway, vectors: EmbeddingServer
) -> None:
    vectors.status = 500
    for number in range(8):
        assert found(ask(gateway, ONE.format(f"Isle {number}"))) == "MISS"
    vectors.status = 200
    numbers = itertools.count()

    def is_found() -> bool:
        number = next(numbers)
        ask(gateway, ONE.format(f"Cape {number}"))
        return found(ask(gateway, OTHER.format(f"Cape {number}"))) == "SEMANTIC"

    wait_for(is_found, 15)


def test_a_model_of_vectors_that_nobody_has_is_a_miss(gateway: RealGateway) -> None:
    switch(gateway, embeddings="nowhere/none")
    try:
        for text in (ONE, OTHER):
            assert found(ask(gateway, text.format("Brazil"))) == "MISS"
    finally:
        switch(gateway)


def test_what_is_not_similar_enough_is_a_miss(gateway: RealGateway) -> None:
    ask(gateway, ONE.format("Norway"))
    switch(gateway, min_similarity=1.0)
    try:
        assert found(ask(gateway, OTHER.format("Norway"))) == "MISS"
    finally:
        switch(gateway)


def test_only_so_many_questions_of_a_scope_are_remembered(gateway: RealGateway) -> None:
    """The latest one; each of these is about a land of its own, so none is another's answer."""
    switch(gateway, entries_per_scope=1)
    try:
        for land in ("Peru", "Ghana", "Nepal"):
            ask(gateway, ONE.format(land), system="Of one scope.")
        looks = [found(ask(gateway, OTHER.format(land), system="Of one scope.")) for land in ("Nepal", "Peru")]
        assert looks == ["SEMANTIC", "MISS"]
    finally:
        switch(gateway)
