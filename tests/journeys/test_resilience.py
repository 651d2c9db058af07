"""Rules of what rests, and limits, changed while the product runs: each is seen in what it then does, by both workers."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.support.product import wait_for
from tests.support.real_gateway import FIRST_KEY, KEY, MESSAGES, SECOND_KEY, RealGateway, running_gateway

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with running_gateway(tmp_path_factory.mktemp("resilience")) as running:
        answer = running.admin.post(
            "/api/providers", json={"provider": "unconnected", "name": "api", "apiKey": "sk-node-api"}
        )
        assert answer.status_code == 201, answer.text
        yield running


@pytest.fixture(autouse=True)
def clean(gateway: RealGateway) -> Iterator[None]:
    yield
    gateway.admin.patch(
        "/api/resilience",
        json={
            "rules": {"pair": None, "refusing": None, "unconnected": None},
            "defaults": {"requestsPerMinute": 0, "minTimeBetweenRequests": 0, "concurrentRequests": 0},
        },
    )
    gateway.fake.plan("ok", key=FIRST_KEY)
    gateway.admin.post("/api/resilience/reset", json={})
    gateway.admin.post("/api/rate-limits/reset", json={})


def change(gateway: RealGateway, **body: Any) -> None:
    answer = gateway.admin.patch("/api/resilience", json=body)
    assert (answer.status_code, answer.json().get("published")) == (200, True), answer.text
    gateway.wait_taken_up()


def ask(gateway: RealGateway, model: str, **fields: Any) -> httpx.Response:
    """On a connection of its own, so that both workers get their share."""
    with httpx.Client(base_url=gateway.url, timeout=60) as client:
        return client.post(
            "/v1/chat/completions",
            json={"model": model, "messages": MESSAGES, **fields},
            headers={"authorization": f"Bearer {KEY}"},
        )


def rests(gateway: RealGateway) -> list[dict[str, Any]]:
    """What rests now; `left`: seconds."""
    found = gateway.admin.get("/api/resilience").json()
    now = time.time()
    return [{**one, "left": one["until"] / 1000 - now} for one in found["breakers"] + found["cooldowns"]]


Seconds = tuple[float, float]


@pytest.mark.parametrize(
    ("rules", "fails_with", "left"),
    [
        pytest.param({"cooldown_s": 40, "cooldown_max_s": 120}, "status:429", (15, 40), id="cooldown_s"),
        pytest.param({"cooldown_s": 40, "cooldown_max_s": 12}, "status:429", (4, 12), id="cooldown_max_s"),
        pytest.param({"retry_after_max_s": 50}, "status:429:retry-after=600", (40, 50), id="retry_after_max_s"),
        pytest.param({"auth_s": 44, "auth_max_s": 600}, "status:401", (34, 44), id="auth_s"),
        pytest.param({"auth_s": 44, "auth_max_s": 21}, "status:401", (11, 21), id="auth_max_s"),
        pytest.param({"quota_s": 55, "retry_after_max_s": 600}, "status:402", (45, 55), id="quota_s"),
        pytest.param({"quota_max_s": 66}, "status:402:retry-after=90000", (56, 66), id="quota_max_s"),
        pytest.param({"unknown_model_s": 33}, "status:404", (23, 33), id="unknown_model_s"),
        pytest.param({"failures": 1, "open_s": 31, "open_max_s": 90}, "status:500", (21, 31), id="open_s"),
        pytest.param({"failures": 1, "open_s": 31, "open_max_s": 19}, "status:500", (9, 19), id="open_max_s"),
    ],
)
def test_a_rest_lasts_as_long_as_the_providers_own_rule_says(
    gateway: RealGateway, rules: dict[str, float], fails_with: str, left: Seconds
) -> None:
    model = f"pair/{fails_with.replace(':', '-')}-{left[1]:.0f}"
    gateway.fake.plan(fails_with, key=FIRST_KEY)
    assert ask(gateway, model).headers["x-omniroute-attempts"] == "2"
    assert [one for one in rests(gateway) if one["left"] > 3] == [], "the rules for all others let nothing rest"
    gateway.admin.post("/api/resilience/reset", json={})  # a second cooldown in a row lasts longer
    change(gateway, rules={"pair": rules})
    assert ask(gateway, model).headers["x-omniroute-attempts"] == "2"
    [one] = [one for one in rests(gateway) if one["left"] > 3]
    assert left[0] <= one["left"] <= left[1] + 0.5
    assert {ask(gateway, model).headers["x-omniroute-attempts"] for _ in range(6)} == {"1"}, "both leave it alone"


def test_where_a_provider_names_no_time_the_caller_is_told_when_the_first_target_is_back(gateway: RealGateway) -> None:
    change(gateway, rules={"pair": {"cooldown_s": 40, "cooldown_max_s": 40}})
    for key in (FIRST_KEY, SECOND_KEY):
        gateway.fake.plan("status:429", key=key)
    answer = ask(gateway, "pair/no-hint")
    gateway.fake.plan("ok", key=SECOND_KEY)
    assert (answer.status_code, answer.headers["x-omniroute-attempts"]) == (429, "2")
    assert 15 <= int(answer.headers["retry-after"]) <= 40


def attempts(gateway: RealGateway, model: str, count: int) -> list[str]:
    return [ask(gateway, model).headers["x-omniroute-attempts"] for _ in range(count)]


def test_a_breaker_opens_at_as_many_failures_as_the_rule_says(gateway: RealGateway) -> None:
    gateway.fake.plan("status:500", key=FIRST_KEY)
    for failures in (2, 4):
        change(gateway, rules={"pair": {"failures": failures, "open_s": 60, "open_max_s": 60, "window_s": 60}})
        tried = attempts(gateway, f"pair/after-{failures}", 8)
        assert tried[:failures] == ["2"] * failures
        assert tried[-1] == "1"
        assert tried.count("2") <= failures + 1, "the other worker may not have heard when the next one comes"


def test_failures_outside_the_window_do_not_count(gateway: RealGateway) -> None:
    gateway.fake.plan("status:500", key=FIRST_KEY)
    for window_s, opens in ((0.2, False), (60, True)):
        rules = {"failures": 2, "open_s": 60, "open_max_s": 60, "window_s": window_s}
        change(gateway, rules={"pair": rules})
        model = f"pair/window-{window_s}"
        ask(gateway, model)
        time.sleep(0.5)
        ask(gateway, model)
        assert any(one.get("name", "").endswith(model.removeprefix("pair/")) for one in rests(gateway)) is opens


def test_failures_that_are_too_small_a_share_do_not_count(gateway: RealGateway) -> None:
    for share, opens in ((1.0, False), (0.0, True)):
        rules = {"failures": 2, "open_s": 60, "open_max_s": 60, "window_s": 60, "failure_share": share}
        change(gateway, rules={"pair": rules})
        model = f"pair/share-{share}"
        with httpx.Client(base_url=gateway.url, headers={"authorization": f"Bearer {KEY}"}, timeout=60) as one_worker:
            for behaviour in ("status:500", "ok", "ok", "ok", "ok", "status:500"):
                gateway.fake.plan(behaviour, key=FIRST_KEY)
                one_worker.post("/v1/chat/completions", json={"model": model, "messages": MESSAGES})
        found = [one for one in rests(gateway) if one.get("name", "").endswith(model.removeprefix("pair/"))]
        assert bool(found) is opens


def test_a_connection_that_cannot_be_reached_rests_after_as_many_failures_as_the_rule_says(
    gateway: RealGateway,
) -> None:
    assert ask(gateway, "refusing/m1").status_code == 502
    assert rests(gateway) == []
    rules = {"connect_failures": 1, "open_s": 60, "open_max_s": 60, "window_s": 60, "provider_connections": 2}
    change(gateway, rules={"refusing": rules})
    assert ask(gateway, "refusing/m1").status_code == 502
    assert {one["scope"] for one in rests(gateway)} == {"connection"}
    gateway.admin.post("/api/resilience/reset", json={})
    change(gateway, rules={"refusing": {**rules, "provider_connections": 1}})
    assert ask(gateway, "refusing/m1").status_code == 502
    assert {one["scope"] for one in rests(gateway)} == {"connection", "provider"}
    assert ask(gateway, "refusing/m1").json()["error"]["code"] == "all_resting"


def test_a_breaker_that_closes_ramps_as_long_as_the_rule_says(gateway: RealGateway) -> None:
    for ramp_s, is_listed in ((60, True), (0, False)):
        rules = {"failures": 1, "open_s": 0.3, "open_max_s": 0.3, "window_s": 60, "ramp_s": ramp_s}
        change(gateway, rules={"pair": rules})
        model = f"pair/ramp-{ramp_s}"
        gateway.fake.plan("status:500", "ok", key=FIRST_KEY)
        ask(gateway, model)
        time.sleep(0.4)
        wait_for(lambda model=model: ask(gateway, model) and state(gateway, model) != "HALF_OPEN", 5)  # type: ignore[misc]
        assert (state(gateway, model) == "CLOSED") is is_listed


def state(gateway: RealGateway, model: str) -> str:
    """Of the breaker of a model; empty when there is none."""
    name = model.removeprefix("pair/")
    return next((str(one["state"]) for one in rests(gateway) if one.get("name", "").endswith(name)), "")


def test_another_probe_is_let_through_when_one_has_said_nothing_for_as_long_as_the_rule_says(
    gateway: RealGateway,
) -> None:
    for probe_s, probes in ((60, 1), (0.4, 2)):
        rules = {"failures": 1, "open_s": 0.3, "open_max_s": 0.3, "window_s": 60, "probe_s": probe_s}
        change(gateway, rules={"pair": rules})
        model = f"pair/probe-{probe_s}"
        gateway.fake.plan("status:500", key=FIRST_KEY)
        ask(gateway, model)
        gateway.fake.plan("slow-first:3", key=FIRST_KEY)
        time.sleep(0.4)
        mark = gateway.mark
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(ask, gateway, model)
            time.sleep(1.2)
            second = pool.submit(ask, gateway, model)
            assert {first.result().status_code, second.result().status_code} == {200}
        asked = [one for one in gateway.seen(mark) if one.header("authorization") == f"Bearer {FIRST_KEY}"]
        assert len(asked) == probes


def test_concurrency_adapts_where_the_profile_switches_it_on(gateway: RealGateway) -> None:
    def limit() -> float:
        found = gateway.admin.get("/api/rate-limits").json()["connections"]
        return next(float(one["adaptiveLimit"]) for one in found if one["name"] == "api")

    gateway.fake.plan("status:429:retry-after=0", "ok", key="sk-node-api")
    ask(gateway, "unconnected/m1")
    assert limit() == 0, "off for all: nothing is counted"
    change(gateway, rules={"unconnected": {"adapts_concurrency": True}})
    gateway.fake.plan("status:429:retry-after=0", "ok", key="sk-node-api")
    wait_for(lambda: ask(gateway, "unconnected/m1") is not None and limit() > 0, 5)
    assert limit() == 14, "20 to begin with, cut to 70 % by one 429"
    change(gateway, rules={"unconnected": {"adapts_concurrency": False}})
    gateway.admin.post("/api/rate-limits/reset", json={})
    ask(gateway, "unconnected/m1")
    assert limit() == 0


def most_open(gateway: RealGateway, model: str) -> int:
    gateway.fake.plan("slow-first:0.3", key="sk-node-api")
    mark, most = gateway.mark, 0
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(ask, gateway, model) for _ in range(6)]
        while not all(one.done() for one in asked):
            most = max(most, sum(one.finished_at is None and one.closed_at is None for one in gateway.seen(mark)))
            time.sleep(0.005)
    gateway.fake.plan("ok", key="sk-node-api")
    assert {one.result().status_code for one in asked} == {200}
    return most


def test_default_limits_hold_a_connection_that_has_none_until_they_are_switched_off_there(gateway: RealGateway) -> None:
    wait_for(lambda: most_open(gateway, "unconnected/m1") > 2, 5)
    change(gateway, defaults={"concurrentRequests": 2})
    assert most_open(gateway, "unconnected/m1") <= 2
    found = gateway.admin.get("/api/rate-limits").json()["connections"]
    api = next(one for one in found if one["name"] == "api")
    assert (api["enabled"], api["maxConcurrency"]) == (True, 2)
    off = gateway.admin.post("/api/rate-limits", json={"connectionId": api["connectionId"], "enabled": False})
    assert off.status_code == 200
    gateway.wait_taken_up()
    wait_for(lambda: most_open(gateway, "unconnected/m1") > 2, 5)
    gateway.admin.post("/api/rate-limits", json={"connectionId": api["connectionId"], "enabled": True})
    managed = next(one for one in found if one["managed"])
    refused = gateway.admin.post("/api/rate-limits", json={"connectionId": managed["connectionId"], "enabled": False})
    assert refused.status_code == 409


@pytest.mark.parametrize(
    ("defaults", "reason"),
    [({"minTimeBetweenRequests": 30_000}, "gap"), ({"requestsPerMinute": 1}, "rpm")],
)
def test_default_gaps_and_rates_hold_too(gateway: RealGateway, defaults: dict[str, int], reason: str) -> None:
    change(gateway, defaults=defaults)
    answers = [ask(gateway, "unconnected/m1") for _ in range(3)]  # a new minute may begin once in between
    assert answers[0].status_code == 200
    assert (answers[2].status_code, f"({reason})" in answers[2].text) == (429, True)


def test_health_shows_a_breaker_and_its_reset_lets_requests_through(gateway: RealGateway) -> None:
    change(gateway, rules={"pair": {"failures": 1, "open_s": 60, "open_max_s": 60}})
    gateway.fake.plan("status:500", "ok", key=FIRST_KEY)
    ask(gateway, "pair/health")
    [(name, breaker)] = gateway.health()["providerHealth"].items()
    assert (name.endswith("/health"), breaker["state"], breaker["failures"]) == (True, "OPEN", 1)
    assert gateway.admin.delete("/api/monitoring/health").json()["success"] is True
    is_tried: Callable[[], bool] = lambda: len(gateway.seen(mark)) > 0  # noqa: E731
    mark = gateway.mark
    wait_for(lambda: ask(gateway, "pair/health").status_code == 200 and is_tried(), 5)
    assert gateway.health()["providerHealth"] == {}
    assert gateway.seen(mark)[0].header("authorization") == f"Bearer {FIRST_KEY}"
