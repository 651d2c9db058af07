"""The response cache through the started product: two workers, one cache store, callers of all dialects."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.product import wait_for
from tests.support.real_gateway import NARROW_KEY, RealGateway, content_of, running_gateway

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with running_gateway(tmp_path_factory.mktemp("cache")) as gateway:
        switch(gateway, mode="on")
        yield gateway


def switch(gateway: RealGateway, **cache: Any) -> None:
    """Change the settings, and wait until every worker obeys them."""
    answer = gateway.admin.patch("/api/settings", json={"cache": cache})
    assert answer.status_code == 200, answer.text
    gateway.wait_taken_up()


def ask(gateway: RealGateway, text: str, **fields: Any) -> httpx.Response:
    messages = [{"role": "user", "content": text}]
    return gateway.chat(messages=messages, **{"temperature": 0, **fields})


def test_the_second_of_two_equal_requests_is_answered_without_the_provider(gateway: RealGateway) -> None:
    first = ask(gateway, "twice")
    mark = gateway.mark
    second = ask(gateway, "twice")
    assert (first.headers["x-omniroute-cache"], second.headers["x-omniroute-cache"]) == ("MISS", "HIT")
    assert second.headers["x-omniroute-attempts"] == "0"
    assert second.content == first.content
    assert gateway.seen(mark) == []


def test_a_hit_leaves_a_row_that_cost_nothing_and_says_what_it_saved(gateway: RealGateway) -> None:
    ids = [gateway.new_id(), gateway.new_id()]
    for request_id in ids:
        ask(gateway, "counted once", headers={"x-request-id": request_id})
    first, second = (gateway.row(request_id) for request_id in ids)
    assert (first["cache"], first["input_tokens"], first["output_tokens"]) == ("", 11, 5)
    assert (second["cache"], second["input_tokens"], second["output_tokens"]) == ("hit", 0, 0)
    assert (second["saved_input_tokens"], second["saved_output_tokens"], second["cost_nano_usd"]) == (11, 5, 0)
    assert (second["attempts"], second["provider"]) == ([], "local")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"stream": True}),
        ({"stream": True}, {}),
        ({"stream": True}, {"stream": True}),
        ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
    ],
    ids=["whole-then-stream", "stream-then-whole", "stream-then-stream", "stream-then-stream-with-usage"],
)
def test_an_answer_is_found_whether_it_is_asked_for_whole_or_as_a_stream(
    gateway: RealGateway, before: dict[str, Any], after: dict[str, Any]
) -> None:
    text = f"shapes {before} {after}"
    ask(gateway, text, **before)
    mark = gateway.mark
    found = ask(gateway, text, **after)
    assert found.headers["x-omniroute-cache"] == "HIT"
    assert gateway.seen(mark) == []
    if after.get("stream"):
        assert content_of(found.content) == "Hello word1 word2 word3 word4"
        assert found.content.endswith(b"data: [DONE]\n\n")
        has_usage = b'"prompt_tokens":11' in found.content
        assert has_usage == ("stream_options" in after)
    else:
        assert found.json()["choices"][0]["message"]["content"] == "Hello word1 word2 word3 word4"
        assert found.json()["usage"]["prompt_tokens"] == 11


def test_what_was_kept_is_forgotten_by_every_worker_within_a_second(gateway: RealGateway) -> None:
    ask(gateway, "to be forgotten")
    assert ask(gateway, "to be forgotten").headers["x-omniroute-cache"] == "HIT"
    assert gateway.admin.delete("/api/cache/stats").status_code == 200
    wait_for(lambda: ask(gateway, "to be forgotten").headers["x-omniroute-cache"] == "MISS", 1.5)


def test_the_statistics_tell_hits_misses_and_what_was_saved(gateway: RealGateway) -> None:
    gateway.admin.delete("/api/cache")
    time.sleep(1.5)
    for _ in range(3):
        ask(gateway, "statistics")

    def stats() -> dict[str, Any]:
        found: dict[str, Any] = gateway.admin.get("/api/cache/stats").json()
        return found

    wait_for(lambda: (stats()["hits"], stats()["misses"], stats()["kept"]) == (2, 1, 1), 5, lambda: str(stats()))
    wait_for(lambda: stats()["saved"]["input"] >= 22, 5, lambda: str(stats()))
    assert stats()["store"]["up"] is True


@pytest.mark.parametrize(
    "fields",
    [{"temperature": 0.7}, {"temperature": None}, {"headers": {"x-omniroute-no-cache": "true"}}, {"n": 2}],
    ids=["warm", "not-said", "no-cache", "several"],
)
def test_a_request_that_wants_a_fresh_answer_gets_one(gateway: RealGateway, fields: dict[str, Any]) -> None:
    ask(gateway, "fresh", **fields)
    mark = gateway.mark
    again = ask(gateway, "fresh", **fields)
    assert "x-omniroute-cache" not in again.headers
    assert len(gateway.seen(mark)) == 1


def test_another_key_does_not_get_what_this_one_was_answered(gateway: RealGateway) -> None:
    ask(gateway, "mine", model="local/m1")
    other = ask(gateway, "mine", model="local/m1", key=NARROW_KEY)
    assert other.headers["x-omniroute-cache"] == "MISS"


@pytest.mark.parametrize(
    "model",
    [
        "local/cut-after:3", "local/clean-end-after:3", "local/status:500", "local/stream-error-second", "local/ends:error",
        "local/ends:sensitive",
    ],
)  # fmt: skip
def test_an_answer_that_is_not_whole_is_never_kept(gateway: RealGateway, model: str) -> None:
    ask(gateway, "broken", model=model, stream=True)
    mark = gateway.mark
    ask(gateway, "broken", model=model, stream=True)
    assert gateway.seen(mark), "it was answered from the cache"
