"""Strategies, rests and limits of connections through the real process with two workers: what one learns the other knows."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.support.product import wait_for
from tests.support.real_gateway import FIRST_KEY, KEY, MESSAGES, SECOND_KEY, RealGateway, running_gateway

pytestmark = pytest.mark.process

NARROW = "sk-node-narrow"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with running_gateway(tmp_path_factory.mktemp("routing"), nodes={"narrow": "openai_chat"}) as running:
        config = json.loads(running.config.read_text())
        config["settings"]["resilience"] = {
            "cooldown_s": 1,
            "open_s": 1,
            "open_max_s": 2,
            "ramp_s": 0.2,
            "window_s": 10,
        }
        config["settings"]["waiting"] = {"max_wait_s": 5}
        for connection in config["connections"]:
            if connection["name"] == "narrow":
                connection["max_concurrency"] = 2
        config["combos"] += [
            {"name": "turns", "strategy": "round-robin", "models": ["one/shared-model", "two/shared-model"]},
            {"name": "stubborn", "models": ["local/hiccup", "one/shared-model"], "config": {"max_retries": 1}},
            {"name": "least", "strategy": "least-used", "models": ["one/shared-model", "two/shared-model"]},
        ]
        running.reload(json.dumps(config))
        wait_for(lambda: ask(running, "turns").status_code == 200, 10, lambda: running.product.errors)
        running.wait_taken_up()
        yield running


def ask(gateway: RealGateway, model: str, **fields: object) -> httpx.Response:
    """On a connection of its own, so that both workers get their share."""
    with httpx.Client(base_url=gateway.url, timeout=60) as client:
        return client.post(
            "/v1/chat/completions",
            json={"model": model, "messages": MESSAGES, **fields},
            headers={"authorization": f"Bearer {KEY}"},
        )


def keys_asked(gateway: RealGateway, mark: int) -> Counter[str]:
    return Counter((record.header("authorization") or "").removeprefix("Bearer ") for record in gateway.seen(mark))


@pytest.mark.parametrize("combo", ["turns", "least"])
def test_turns_are_shared_out_evenly_over_both_workers(gateway: RealGateway, combo: str) -> None:
    mark = gateway.mark
    with ThreadPoolExecutor(4) as pool:
        assert {answer.status_code for answer in pool.map(lambda _: ask(gateway, combo), range(60))} == {200}
    asked = keys_asked(gateway, mark)
    assert sum(asked.values()) == 60
    assert abs(asked["sk-node-one"] - asked["sk-node-two"]) <= 12


def test_a_connection_that_is_told_to_wait_is_left_alone_by_both_workers(gateway: RealGateway) -> None:
    gateway.fake.plan("status:429:retry-after=600", "ok", key=FIRST_KEY)
    mark = gateway.mark
    first = ask(gateway, "pair/m1")
    assert (first.status_code, first.headers["x-omniroute-attempts"]) == (200, "2")
    time.sleep(0.1)
    for _ in range(12):
        answer = ask(gateway, "pair/m1")
        assert (answer.status_code, answer.headers["x-omniroute-attempts"]) == (200, "1")
    assert keys_asked(gateway, mark) == {FIRST_KEY: 1, SECOND_KEY: 13}
    assert gateway.admin.post("/api/resilience/reset", json={}).status_code == 200


def test_a_connection_that_was_told_to_wait_is_used_again_when_its_time_is_over(gateway: RealGateway) -> None:
    gateway.fake.plan("status:429:retry-after=1", "ok", key=FIRST_KEY)
    wait_for(lambda: ask(gateway, "pair/m2").headers["x-omniroute-attempts"] == "2", 5)
    mark = gateway.mark
    wait_for(lambda: ask(gateway, "pair/m2").status_code == 200 and keys_asked(gateway, mark)[FIRST_KEY] > 0, 10)


def test_a_request_waits_for_its_only_target_when_that_names_a_short_time(gateway: RealGateway) -> None:
    gateway.fake.plan("status:429:retry-after=1", "ok", model="back-in-a-second")
    answer = ask(gateway, "local/back-in-a-second")
    assert (answer.status_code, answer.headers["x-omniroute-attempts"]) == (200, "2")


def test_a_combo_has_a_failed_target_asked_again_before_the_next(gateway: RealGateway) -> None:
    gateway.fake.plan("status:500", "ok", model="hiccup")
    mark = gateway.mark
    answer = ask(gateway, "stubborn")
    assert (answer.status_code, answer.headers["x-omniroute-provider"]) == (200, "local")
    assert keys_asked(gateway, mark) == {"sk-node-local": 2}


def test_a_model_that_fails_again_and_again_is_tried_by_one_probe_alone(gateway: RealGateway) -> None:
    gateway.fake.plan("status:500", key=FIRST_KEY)
    mark = gateway.mark
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ask(gateway, "pair/m7"), range(40)))
    assert {answer.status_code for answer in answers} == {200}
    tried = keys_asked(gateway, mark)[FIRST_KEY]
    assert tried <= 20, "five failures open the breaker; what was under way counts too, and a probe each second"
    gateway.fake.plan("ok", key=FIRST_KEY)

    def is_first_again() -> bool:
        mark = gateway.mark
        for _ in range(5):
            ask(gateway, "pair/m7")
        return keys_asked(gateway, mark) == {FIRST_KEY: 5}

    wait_for(is_first_again, 10)


def test_when_all_of_it_rests_the_caller_is_told_when_to_come_back(gateway: RealGateway) -> None:
    gateway.fake.plan("status:429:retry-after=30", key="sk-node-only")
    gateway.fake.plan("status:429:retry-after=30", model="only-here")
    refused = ask(gateway, "two/only-here")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")
    resting = ask(gateway, "two/only-here")
    assert (resting.status_code, resting.json()["error"]["code"]) == (503, "all_resting")
    assert 25 <= int(resting.headers["retry-after"]) <= 30


def test_a_connection_has_no_more_open_requests_than_it_may(gateway: RealGateway) -> None:
    slow = json.dumps({"fake": "slow-first:0.3"})
    mark = gateway.mark
    most = 0

    def open_now() -> int:
        return sum(record.finished_at is None and record.closed_at is None for record in gateway.seen(mark))

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, gateway, "narrow/m1", user=slow) for _ in range(8)]
        while not all(one.done() for one in asked):
            most = max(most, open_now())
            time.sleep(0.005)
    assert {one.result().status_code for one in asked} == {200}
    assert most == 2


def test_an_operator_sees_what_rests_and_lets_it_go(gateway: RealGateway) -> None:
    gateway.fake.plan("status:429:retry-after=600", "ok", key=FIRST_KEY)
    assert ask(gateway, "pair/m3").headers["x-omniroute-attempts"] == "2"
    found = gateway.admin.get("/api/resilience").json()["cooldowns"]
    [resting] = [one for one in found if one["until"] > (time.time() + 300) * 1000]
    assert resting["reason"] == "rate_limited"
    answer = gateway.admin.post("/api/resilience/reset", json={"ids": [resting["connectionId"]]})
    assert (answer.status_code, answer.json()["reset"] >= 1) == (200, True)

    def is_first_again() -> bool:
        mark = gateway.mark
        answer = ask(gateway, "pair/m3")
        return answer.headers["x-omniroute-attempts"] == "1" and keys_asked(gateway, mark) == {FIRST_KEY: 1}

    wait_for(is_first_again, 5)
