"""A key with limits in the config file, two workers: exact refusals that say when to come back, and a record each."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.support.product import wait_for
from tests.support.real_gateway import KEY, MESSAGES, RealGateway, running_gateway

pytestmark = pytest.mark.process

RPM_KEY, OPEN_KEY = "sk-or-journey-key-of-20-a-minute", "sk-or-journey-key-of-3-at-a-time"
TPM_KEY = "sk-or-journey-key-of-few-tokens-a-minute"
RPM, MOST_OPEN, TPM = 20, 3, 2
SLOW = json.dumps({"fake": "stall-after:1"})


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with running_gateway(tmp_path_factory.mktemp("limits")) as running:
        config = json.loads(running.config.read_text())
        config["keys"] += [
            {"name": "rpm", "secret": RPM_KEY, "rpm": RPM},
            {"name": "open", "secret": OPEN_KEY, "concurrency": MOST_OPEN},
            {"name": "tpm", "secret": TPM_KEY, "tpm": TPM},
        ]
        running.reload(json.dumps(config))
        for key in (RPM_KEY, OPEN_KEY, TPM_KEY):
            wait_for(lambda key=key: models(running, key).status_code == 200, 10, lambda: running.product.errors)
        yield running


def models(gateway: RealGateway, key: str) -> httpx.Response:
    """Checks a key and takes nothing."""
    return gateway.client.get("/v1/models", headers={"authorization": f"Bearer {key}"})


def ask(gateway: RealGateway, key: str, request_id: str) -> httpx.Response:
    """On a connection of its own, so that both workers get their share."""
    with httpx.Client(base_url=gateway.url, timeout=60) as client:
        return client.post(
            "/v1/chat/completions",
            json={"model": "local/ok", "messages": MESSAGES},
            headers={"authorization": f"Bearer {key}", "x-request-id": request_id},
        )


class Streams:
    """Streams that stay open until they are left."""

    def __init__(self, gateway: RealGateway) -> None:
        self._gateway = gateway
        self.clients: list[httpx.Client] = []

    def open(self, key: str) -> httpx.Response:
        client = httpx.Client(base_url=self._gateway.url, timeout=60)
        self.clients.append(client)
        body = {"model": "local/m1", "messages": MESSAGES, "stream": True, "user": SLOW}
        asked = client.build_request(
            "POST", "/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"}
        )
        answer = client.send(asked, stream=True)
        if answer.status_code != 200:
            answer.read()
        return answer

    def leave(self, count: int) -> None:
        for client in self.clients[:count]:
            client.close()
        del self.clients[:count]


@pytest.fixture
def streams(gateway: RealGateway) -> Iterator[Streams]:
    opened = Streams(gateway)
    yield opened
    opened.leave(len(opened.clients))


def assert_refused(answer: httpx.Response, what: str, longest_s: int) -> None:
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= longest_s
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert (error["type"], error["code"], error["param"]) == ("rate_limit_error", "rate_limit_exceeded", None)
    assert what in error["message"]


def test_exactly_as_many_requests_a_minute_as_the_key_may_make(gateway: RealGateway) -> None:
    names = [gateway.new_id() for _ in range(3 * RPM)]
    mark = gateway.mark
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda name: ask(gateway, RPM_KEY, name), names))
    assert sum(answer.status_code == 200 for answer in answers) == RPM
    assert len(gateway.seen(mark)) == RPM, "the provider saw no more"
    refused = [answer for answer in answers if answer.status_code != 200]
    for answer in refused:
        assert_refused(answer, f"{RPM} requests a minute", 61)
    wait_for(lambda: len(gateway.rows(*names)) == len(names), 5)
    rows = gateway.rows(*names)
    assert {row["key_name"] for row in rows} == {"rpm"}
    assert sorted((row["status"], row["error"] or "") for row in rows) == sorted(
        [(200, "")] * RPM + [(429, "rate_limit_exceeded")] * 2 * RPM
    )
    assert {row["worker"] for row in rows if row["status"] == 200} == {row["worker"] for row in rows}
    assert len({row["worker"] for row in rows}) == 2, "both workers had a share"
    assert gateway.chat(key=KEY).status_code == 200, "another key is not touched"
    assert models(gateway, RPM_KEY).status_code == 200, "asking for the models takes nothing"


def test_exactly_as_many_streams_at_a_time_and_room_again_when_one_is_left(
    gateway: RealGateway, streams: Streams
) -> None:
    answers = [streams.open(OPEN_KEY) for _ in range(12)]
    assert [answer.status_code for answer in answers] == [200] * MOST_OPEN + [429] * (12 - MOST_OPEN)
    for answer in answers[MOST_OPEN:]:
        assert_refused(answer, f"{MOST_OPEN} requests at the same time", 1)
    streams.leave(1)
    wait_for(lambda: streams.open(OPEN_KEY).status_code == 200, 3)
    assert streams.open(OPEN_KEY).status_code == 429
    streams.leave(len(streams.clients))
    wait_for(lambda: gateway.chat(key=OPEN_KEY).status_code == 200, 3)


def test_tokens_that_were_used_count_for_a_minute_in_both_workers(gateway: RealGateway) -> None:
    """More than the limit in one request: it runs alone, and is a debt that the next ones are told of."""
    assert ask(gateway, TPM_KEY, gateway.new_id()).status_code == 200
    for _ in range(6):
        assert_refused(ask(gateway, TPM_KEY, gateway.new_id()), f"{TPM} tokens a minute", 61)


def test_streams_longer_than_the_lifetime_of_a_count_still_count(gateway: RealGateway, streams: Streams) -> None:
    for _ in range(MOST_OPEN):  # what the test before had open is given back a moment after its caller left
        wait_for(lambda: streams.open(OPEN_KEY).status_code == 200, 3)
    time.sleep(17)
    assert streams.open(OPEN_KEY).status_code == 429
