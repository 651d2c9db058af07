"""What all workers believe of targets, through the real process with two workers: speeds, uses, shares of each strategy."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.support.product import wait_for
from tests.support.real_gateway import KEY, MESSAGES, RealGateway, running_gateway

pytestmark = pytest.mark.process

EIGHT = [f"up{number}" for number in range(8)]
KEYS = [f"sk-node-{name}" for name in EIGHT]
FAST, SLOW = "slow-first:0.04", "slow-first:0.4"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with running_gateway(tmp_path_factory.mktemp("view"), nodes=dict.fromkeys(EIGHT, "openai_chat")) as running:
        config = json.loads(running.config.read_text())
        [base] = {node["base_url"] for node in config["nodes"] if node["id"] == "up0"}
        config["nodes"].append(
            {"id": "many", "prefix": "many", "dialect": "openai_chat", "base_url": base, "allow_private": True}
        )
        config["connections"] += [{"provider": "many", "name": name, "api_key": f"sk-many-{name}"} for name in "abcd"]
        models = [f"{name}/m1" for name in EIGHT]
        config["combos"] += [
            {"name": "fastest", "strategy": "latency", "models": models},
            {"name": "fresh", "strategy": "latency", "models": [f"{name}/fresh" for name in EIGHT[:4]]},
            {"name": "any", "strategy": "random", "models": models[:4]},
            {
                "name": "heavy",
                "strategy": "weighted",
                "models": [{"model": models[0], "weight": 60}, {"model": models[1], "weight": 30}, {"model": models[2], "weight": 10}],
            },
        ] + [
            {"name": f"by-{strategy}", "models": ["many/m1"], "config": {"account_strategy": strategy}}
            for strategy in ("round-robin", "random", "least-used", "p2c")
        ]  # fmt: skip
        running.reload(json.dumps(config))
        wait_for(lambda: ask(running, "any").status_code == 200, 10, lambda: running.product.errors)
        time.sleep(0.5)  # both workers have it
        yield running


def ask(gateway: RealGateway, model: str, **fields: object) -> httpx.Response:
    """On a connection of its own, so that both workers get their share."""
    with httpx.Client(base_url=gateway.url, timeout=20) as client:
        return client.post(
            "/v1/chat/completions",
            json={"model": model, "messages": MESSAGES, **fields},
            headers={"authorization": f"Bearer {KEY}"},
        )


def ask_often(gateway: RealGateway, model: str, times: int, at_once: int = 4, **fields: object) -> Counter[str]:
    """Which credentials the provider was then shown, and how often. All must be answered."""
    mark = gateway.mark
    with ThreadPoolExecutor(at_once) as pool:
        answers = list(pool.map(lambda _: ask(gateway, model, **fields), range(times)))
    assert {answer.status_code for answer in answers} == {200}
    return asked(gateway, mark)


def asked(gateway: RealGateway, mark: int) -> Counter[str]:
    return Counter((record.header("authorization") or "").removeprefix("Bearer ") for record in gateway.seen(mark))


def ask_until(gateway: RealGateway, model: str, is_over: Callable[[], bool], at_once: int = 6) -> None:
    """Traffic without a pause from several callers."""

    def go_on() -> None:
        with httpx.Client(base_url=gateway.url, timeout=20, headers={"authorization": f"Bearer {KEY}"}) as client:
            while not is_over():
                client.post("/v1/chat/completions", json={"model": model, "messages": MESSAGES}).raise_for_status()

    with ThreadPoolExecutor(at_once) as pool:
        for done in [pool.submit(go_on) for _ in range(at_once)]:
            done.result()


def chi_square(found: Counter[str], expected: dict[str, float]) -> float:
    total = sum(found.values())
    return sum((found[name] - total * share) ** 2 / (total * share) for name, share in expected.items())


def test_one_of_eight_that_turns_ten_times_slower_is_left_by_both_workers(gateway: RealGateway) -> None:
    for key in KEYS:
        gateway.fake.plan(FAST, key=key)
    started = time.monotonic()
    ask_until(gateway, "fastest", lambda: time.monotonic() - started > 2.0)
    before = asked(gateway, 0)
    assert set(KEYS) <= set(before), "all were tried"
    victim = KEYS[3]
    gateway.fake.plan(SLOW, key=victim)
    turned = time.monotonic()
    mark = 0

    def is_over() -> bool:
        nonlocal mark
        since = time.monotonic() - turned
        if not mark and since > 3.0:
            mark = gateway.mark
        return since > 6.0

    ask_until(gateway, "fastest", is_over)
    after = asked(gateway, mark)
    assert sum(after.values()) > 50
    assert after[victim] < 0.05 * sum(after.values()), after


def test_what_one_worker_found_slow_the_other_need_not_find_out(gateway: RealGateway) -> None:
    """Each worker alone would try every slow one once."""
    for key in KEYS[:4]:
        gateway.fake.plan("slow-first:0.02" if key == KEYS[0] else "slow-first:0.5", key=key)
    mark = gateway.mark
    for _ in range(14):
        assert ask(gateway, "fresh").status_code == 200
        time.sleep(0.7)  # to tell it, and to hear of it
    found = asked(gateway, mark)
    assert set(found) == set(KEYS[:4])
    assert sum(found[key] for key in KEYS[1:4]) <= 4, found
