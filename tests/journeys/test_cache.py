"""The response cache through the started product: two workers, one cache store, callers of all dialects."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.real_gateway import RealGateway, running_gateway

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
    time.sleep(1.0)


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
