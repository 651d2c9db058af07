"""Answers to the same question in other words, through the started product: two workers, one cache store."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.embedding_server import EmbeddingServer, running_embeddings
from tests.support.real_gateway import RealGateway, running_gateway

pytestmark = pytest.mark.process

PATIENT_MS = 5000
"""For machines that are busy; where a test is about lateness it says so."""


@pytest.fixture(scope="module")
def vectors() -> Iterator[EmbeddingServer]:
    with running_embeddings() as server:
        yield server


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory, vectors: EmbeddingServer) -> Iterator[RealGateway]:
    with running_gateway(tmp_path_factory.mktemp("semantic")) as gateway:
        config = json.loads(gateway.config.read_text())
        config["nodes"].append(
            {
                "id": "vec",
                "prefix": "vec",
                "dialect": "openai_chat",
                "base_url": vectors.base_url,
                "allow_private": True,
            }
        )
        config["connections"].append({"provider": "vec", "name": "vec", "api_key": "sk-vectors-0001"})
        config["prices"] = [*config.get("prices", ()), {"model": "vec/small", "input": 2.0}]
        gateway.reload(json.dumps(config))
        yield gateway


@pytest.fixture
def gateway(started: RealGateway, vectors: EmbeddingServer) -> RealGateway:
    vectors.delay_s, vectors.status, vectors.body = 0.0, 200, None
    switch(
        started,
        mode="on",
        semantic={"mode": "on", "embeddings": "vec/small", "budget_ms": PATIENT_MS, "min_similarity": 0.2},
    )
    return started


def switch(gateway: RealGateway, **cache: Any) -> None:
    """Change the settings, and wait until every worker obeys them."""
    answer = gateway.admin.patch("/api/settings", json={"cache": cache})
    assert answer.status_code == 200, answer.text
    time.sleep(1.0)


def ask(gateway: RealGateway, text: str, *, system: str = "", **fields: Any) -> httpx.Response:
    before = [{"role": "system", "content": system}] if system else []
    return gateway.chat(messages=[*before, {"role": "user", "content": text}], **{"temperature": 0, **fields})


def found(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return answer.headers.get("x-omniroute-cache", "")


def test_the_same_question_in_other_words_is_answered_without_the_provider(gateway: RealGateway) -> None:
    first = ask(gateway, "What is the capital of France?")
    mark = gateway.mark
    second = ask(gateway, "Please tell me the capital of France.")
    assert (found(first), found(second)) == ("MISS", "SEMANTIC")
    assert second.headers["x-omniroute-attempts"] == "0"
    assert second.json()["choices"] == first.json()["choices"]
    assert gateway.seen(mark) == []
