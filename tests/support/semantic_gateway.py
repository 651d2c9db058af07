"""The started product with a provider of vectors, its semantic cache switched on."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.embedding_server import EmbeddingServer
from tests.support.product import wait_for
from tests.support.real_gateway import RealGateway, running_gateway

VECTOR_KEY = "sk-vectors-0001"
PATIENT_MS = 5000
"""For machines that are busy; where a test is about lateness it says so."""

SCOPE_KEYS = ("sk-or-semantic-key-a", "sk-or-semantic-key-b")
"""Two keys of one cache scope."""
NO_LOG_KEY = "sk-or-semantic-key-c"


@contextmanager
def running_semantic_gateway(folder: Path, vectors: EmbeddingServer, **variables: str) -> Iterator[RealGateway]:
    """Two workers and a cache store; the models of vectors are `vec/small` and `vec/other`."""
    with running_gateway(folder, nodes={"claude": "anthropic_messages"}, **variables) as gateway:
        config = json.loads(gateway.config.read_text())
        node = {
            "id": "vec",
            "prefix": "vec",
            "dialect": "openai_chat",
            "base_url": vectors.base_url,
            "allow_private": True,
        }
        config["nodes"].append(node)
        config["connections"].append({"provider": "vec", "name": "vec", "api_key": VECTOR_KEY})
        config["prices"] = [{"model": "vec/small", "input": 2.0}, {"model": "local/m1", "input": 1.0, "output": 2.0}]
        gateway.reload(json.dumps(config))
        wait_for(lambda: any(one.get("prefix") == "vec" for one in _nodes(gateway)), 10)
        yield gateway


def _nodes(gateway: RealGateway) -> list[dict[str, Any]]:
    answer = gateway.admin.get("/api/provider-nodes").json()
    return answer["nodes"] if isinstance(answer, dict) else answer


def switch(gateway: RealGateway, **semantic: Any) -> None:
    """Change the settings of the semantic tier, and wait until every worker obeys them."""
    settings = {
        "mode": "on", "embeddings": "vec/small", "budget_ms": PATIENT_MS, "min_similarity": 0.2, "entries_per_scope": 256,
    }  # fmt: skip
    answer = gateway.admin.patch("/api/settings", json={"cache": {"mode": "on", "semantic": settings | semantic}})
    assert answer.status_code == 200, answer.text
    gateway.wait_taken_up()


def ask(gateway: RealGateway, text: str, *, system: str = "", **fields: Any) -> httpx.Response:
    """A question that may be answered from the cache."""
    before = [{"role": "system", "content": system}] if system else []
    fields = {"model": "local/m1", "temperature": 0, **fields}
    return gateway.chat(messages=[*before, {"role": "user", "content": text}], **fields)


def found(answer: httpx.Response) -> str:
    """Where the answer came from: MISS, HIT, SEMANTIC, or nothing for a request that the cache has no part in."""
    assert answer.status_code == 200, answer.text
    return answer.headers.get("x-omniroute-cache", "")
