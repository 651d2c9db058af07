"""What all workers believe of targets, through the real process with two workers: speeds, uses, shares of each strategy."""

import json
import os
import signal
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
FAST, SLOW = "slow-first:0.1", "slow-first:1.0"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with running_gateway(tmp_path_factory.mktemp("view"), nodes=dict.fromkeys(EIGHT, "openai_chat")) as running:
        config = json.loads(running.config.read_text())
        [base] = {node["base_url"] for node in config["nodes"] if node["id"] == "up0"}
        config["nodes"].append(
            {"id": "many", "prefix": "many", "dialect": "openai_chat", "base_url": base, "allow_private": True}
        )
        config["connections"] += [{"provider": "many", "name": name, "api_key": f"sk-many-{name}"} for name in "abcd"]
        # Of its own: by least use, connections make up for what other tests sent to one more than to another.
        config["nodes"].append(
            {"id": "even", "prefix": "even", "dialect": "openai_chat", "base_url": base, "allow_private": True}
        )
        config["connections"] += [{"provider": "even", "name": name, "api_key": f"sk-even-{name}"} for name in "abcd"]
        models = [f"{name}/m1" for name in EIGHT]
        for name, tier in (("paid", "api-key"), ("gratis", "free")):
            config["connections"].append(
                {"provider": "many", "name": name, "api_key": f"sk-many-{name}", "tier": tier, "models": ["tiered"]}
            )
        for connection in config["connections"]:
            if connection["provider"] == "many" and "tier" not in connection:
                connection["models"] = ["m1"]
        config["prices"] = [{"model": "many/tiered", "input": 1000.0, "output": 1000.0}]
        config["settings"]["tier_budgets"] = {"api-key": {"usd": 0.1, "period": "total"}}
        config["combos"] += [
            {"name": "kept", "models": ["many/m1"], "config": {"account_strategy": "random", "affinity": True}},
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
            for strategy in ("round-robin", "random", "p2c")
        ] + [{"name": "by-least-used", "models": ["even/m1"], "config": {"account_strategy": "least-used"}}]  # fmt: skip
        running.reload(json.dumps(config))
        wait_for(lambda: ask(running, "any").status_code == 200, 10, lambda: running.product.errors)
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
        with httpx.Client(base_url=gateway.url, timeout=60, headers={"authorization": f"Bearer {KEY}"}) as client:
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
    assert sum(after.values()) > 40
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


# -- distributions: chi-square limits that a right one passes in all but one of 100,000 runs ---------------------------

RARE = {2: 23.1, 3: 25.9}
"""Degrees of freedom → chi-square above which a fair draw comes once in 100,000."""


@pytest.fixture(scope="module")
def calm(gateway: RealGateway) -> RealGateway:
    for key in KEYS:
        gateway.fake.plan("ok", key=key)
    return gateway


def test_random_models_share_alike(calm: RealGateway) -> None:
    assert chi_square(ask_often(calm, "any", 200), dict.fromkeys(KEYS[:4], 0.25)) < RARE[3]


def test_weighted_models_share_by_weight(calm: RealGateway) -> None:
    found = ask_often(calm, "heavy", 300)
    assert chi_square(found, dict(zip(KEYS[:3], (0.6, 0.3, 0.1), strict=True))) < RARE[2]


def test_random_connections_share_alike(calm: RealGateway) -> None:
    assert chi_square(ask_often(calm, "by-random", 200), {f"sk-many-{name}": 0.25 for name in "abcd"}) < RARE[3]


def test_connections_in_turn_differ_by_blocks_under_way_only(calm: RealGateway) -> None:
    found = ask_often(calm, "by-round-robin", 240)
    assert set(found) == {f"sk-many-{name}" for name in "abcd"}
    assert max(found.values()) - min(found.values()) <= 24, found


def test_the_least_used_connections_are_evened_out_over_both_workers(calm: RealGateway) -> None:
    """However late the workers hear of each other: what one has sent too much to one connection, both make up for."""

    def is_even_after_more() -> bool:
        for _ in range(4):
            assert ask(calm, "by-least-used").status_code == 200
        found = asked(calm, mark)
        spreads.append(max(found.values()) - min(found[f"sk-even-{name}"] for name in "abcd"))
        time.sleep(0.3)  # they tell each other four times a second
        return len(spreads) > 8 and max(spreads[-5:]) <= 3

    mark = calm.mark
    spreads: list[int] = []
    wait_for(is_even_after_more, 10, lambda: str(spreads))


def test_two_choices_leave_a_slow_connection_to_the_others(calm: RealGateway) -> None:
    calm.fake.plan("slow-first:1.5", key="sk-many-b")
    for name in "acd":
        calm.fake.plan("slow-first:0.01", key=f"sk-many-{name}")
    try:
        found = ask_often(calm, "by-p2c", 200)
    finally:
        for name in "abcd":
            calm.fake.plan(key=f"sk-many-{name}")
    assert found["sk-many-b"] <= 20, found
    assert all(found[f"sk-many-{name}"] > 0 for name in "acd"), found


# -- conversations -----------------------------------------------------------------------------------------------------


def test_a_conversation_keeps_its_connection_by_its_first_turns_whichever_worker_serves_it(calm: RealGateway) -> None:
    homes: Counter[str] = Counter()
    for number in range(12):
        turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"Conversation {number}"}]
        mark = calm.mark
        for _ in range(5):
            assert ask(calm, "kept", messages=turns).status_code == 200
            turns += [{"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "Go on."}]
        [home] = asked(calm, mark)
        homes[home] += 1
    assert len(homes) > 1, "conversations spread"


def test_without_a_wish_for_it_only_conversations_with_a_name_are_kept(calm: RealGateway) -> None:
    assert len(ask_often(calm, "by-random", 40)) == 4


# -- tiers -------------------------------------------------------------------------------------------------------------


def test_a_tier_whose_budget_is_spent_is_left_out_by_both_workers(gateway: RealGateway) -> None:
    """16 tokens cost 0.016 USD: seven requests spend 0.1."""
    mark = gateway.mark
    for _ in range(7):
        assert ask(gateway, "auto/tiered/tiered").status_code == 200
        time.sleep(0.02)
    assert asked(gateway, mark)["sk-many-paid"] == 7
    time.sleep(1.0)
    mark = gateway.mark
    found = ask_often(gateway, "auto/tiered/tiered", 20)
    assert found == {"sk-many-gratis": 20}, (found, mark)
    with httpx.Client(base_url=gateway.url, timeout=60) as client:
        answer = client.post(
            "/v1/chat/completions",
            json={"model": "auto/tiered/tiered", "messages": MESSAGES},
            headers={"authorization": f"Bearer {KEY}", "x-omniroute-explain": "true"},
        )
    dropped = json.loads(answer.headers["x-omniroute-explain"])["dropped"]
    assert {"name": "many/tiered", "reason": "tier_spent"} in dropped
    assert gateway.product.metrics()['omniroute_tier_spent_usd{tier="api-key"}'] == pytest.approx(0.112)
    assert ask(gateway, "many/tiered").status_code == 200, "a name that walks no tiers is served all the same"


def test_what_a_killed_worker_had_spent_stays_spent(gateway: RealGateway) -> None:
    """As the file stands it follows the test above; alone it spends the budget first."""
    for _ in range(7):
        ask(gateway, "auto/tiered/tiered")
    time.sleep(1.0)
    killed = gateway.product.workers()
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: len(set(gateway.product.workers()) - set(killed)) == 2, 20)
    wait_for(lambda: answers(gateway), 20)
    time.sleep(1.0)
    found = ask_often(gateway, "auto/tiered/tiered", 20)
    assert found == {"sk-many-gratis": 20}, found


def answers(gateway: RealGateway) -> bool:
    try:
        return ask(gateway, "any").status_code == 200
    except httpx.HTTPError:
        return False


# -- retries -----------------------------------------------------------------------------------------------------------


def test_when_everything_fails_further_calls_are_a_fifth_of_the_requests(gateway: RealGateway) -> None:
    config = json.loads(gateway.config.read_text())
    config["settings"]["retry_budget"] = {"share": 0.2, "floor_per_s": 0, "window_s": 2}
    gateway.reload(json.dumps(config))
    for key in KEYS[:4]:
        gateway.fake.plan("status:503", key=key)
    time.sleep(3.5)  # both workers have it, and calm requests are out of the window
    try:
        mark = gateway.mark
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: ask(gateway, "any"), range(300)))
        calls = len(gateway.seen(mark))
    finally:
        for key in KEYS[:4]:
            gateway.fake.plan("ok", key=key)
    assert {answer.status_code for answer in answers} == {503}
    refused = [answer for answer in answers if "no_retry_budget" in answer.text]
    assert refused
    assert all(1 <= int(answer.headers["retry-after"]) <= 3 for answer in refused)
    assert 300 < calls <= 300 * 1.25, calls
    metrics = gateway.product.metrics()
    assert metrics['omniroute_retries_total{verdict="refused"}'] > 0
