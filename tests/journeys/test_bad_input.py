"""Providers whose headers make no sense, and files that do not, through the real process: nothing waits without bound."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.product import wait_for
from tests.support.real_gateway import FIRST_KEY, RealGateway, running_gateway

pytestmark = pytest.mark.process

OWN_S = 20
"""What a 429 without a word rests here, at most; half of that at least."""
MOST_S = 300


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with running_gateway(tmp_path_factory.mktemp("bad-input")) as running:
        config = json.loads(running.config.read_text())
        config["settings"]["resilience"] = {"cooldown_s": OWN_S, "retry_after_max_s": MOST_S}
        config["combos"].append({"name": "evenly", "strategy": "weighted", "models": [{"model": "local/m1", "weight": 0}, {"model": "local/m2", "weight": 0}]})  # fmt: skip
        running.reload(json.dumps(config))
        wait_for(lambda: running.chat("evenly").status_code == 200, 10, lambda: running.product.errors)
        running.wait_taken_up()
        yield running


@pytest.fixture(autouse=True)
def clean(gateway: RealGateway) -> Iterator[None]:
    yield
    gateway.fake.plan("ok", key=FIRST_KEY)
    gateway.admin.post("/api/resilience/reset", json={})


def rest_s(gateway: RealGateway, model: str) -> float:
    """How long the first connection rests after what it has just said; the second one answers."""
    for _ in range(50):
        answer = gateway.chat(model)
        assert answer.status_code == 200
        if answer.headers["x-omniroute-attempts"] == "2":
            break
        time.sleep(0.05)  # this worker has not heard yet that nothing rests any more
    assert answer.headers["x-omniroute-attempts"] == "2"
    [cooldown] = gateway.admin.get("/api/resilience").json()["cooldowns"]
    return float(cooldown["until"]) / 1000 - time.time()


@pytest.mark.parametrize(
    "value",
    ["", "-1", "-1000000000", "soon", "NaN", "inf", "1e9", "0x10", "1000000000", "12 parsecs", "9" * 100,
     "Wed, 31 Dec 2025 00 GMT", "9999-12-31", "1970-01-01", "2001-09-09"],
)  # fmt: skip
def test_an_absurd_retry_after_is_as_if_it_were_not_said(gateway: RealGateway, value: str) -> None:
    gateway.fake.plan(f"status:429:retry-after={value}", key=FIRST_KEY)
    assert OWN_S / 2 - 3 <= rest_s(gateway, "pair/absurd") <= OWN_S + 1


@pytest.mark.parametrize("value", ["999999999", "86401", "99999h"])
def test_a_retry_after_that_is_far_too_long_is_bounded(gateway: RealGateway, value: str) -> None:
    gateway.fake.plan(f"status:429:retry-after={value}", key=FIRST_KEY)
    assert MOST_S - 5 <= rest_s(gateway, "pair/long") <= MOST_S + 1


@pytest.mark.parametrize("value", ["many", "-5", "NaN", "1e400", "9" * 100, ""])
def test_limits_that_are_no_numbers_teach_nothing(gateway: RealGateway, value: str) -> None:
    gateway.fake.plan(
        f"status:500:x-ratelimit-limit-requests={value}:x-ratelimit-remaining-requests={value}:x-ratelimit-reset-requests={value}",
        "ok",
        key=FIRST_KEY,
    )
    for _ in range(3):
        assert gateway.chat("pair/odd").status_code == 200
    found = gateway.admin.get("/api/rate-limits").json()["connections"]
    assert {one["learnedGapMs"] for one in found} == {0}


def test_a_window_that_never_ends_slows_a_connection_for_no_longer_than_its_bound(gateway: RealGateway) -> None:
    gateway.fake.plan(
        "status:500:x-ratelimit-limit-requests=100:x-ratelimit-remaining-requests=0:x-ratelimit-reset-requests=999999999",
        "ok",
        key=FIRST_KEY,
    )
    gateway.chat("pair/slowed")

    def learned() -> dict[str, Any]:
        found = gateway.admin.get("/api/rate-limits").json()["connections"]
        return next((one for one in found if one["learnedGapMs"]), {})

    wait_for(lambda: bool(learned()), 5)
    assert learned()["learnedGapMs"] <= 60_000
    assert learned()["learnedUntil"] / 1000 - time.time() <= 3_600 + 1
    gateway.admin.post("/api/rate-limits/reset", json={})
    assert learned() == {}


def test_weights_that_are_all_zero_share_evenly(gateway: RealGateway) -> None:
    asked = [gateway.chat("evenly").headers["x-omniroute-model"] for _ in range(60)]
    assert 12 <= asked.count("m1") <= 48


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"combos": [{"name": "a", "models": ["b"]}, {"name": "b", "models": ["a"]}]}, "circle"),
        ({"combos": [{"name": "a", "models": ["nobody/m1"]}]}, "names neither a provider nor a node nor a combo"),
        ({"combos": [{"name": "a", "models": [{"model": "local/m1", "weight": -1}]}]}, "weight"),
        ({"aliases": [{"pattern": "x", "target": "y"}, {"pattern": "y", "target": "x"}]}, "leads back to itself"),
        ({"settings": {"resilience": {"failures": 0}}}, "settings.resilience.failures"),
    ],
)
def test_a_file_that_makes_no_sense_changes_nothing_and_health_names_the_line(
    gateway: RealGateway, entry: dict[str, Any], words: str
) -> None:
    good = gateway.config.read_text()
    try:
        gateway.reload(json.dumps({**json.loads(good), **entry}, indent=1))
        wait_for(lambda: words in gateway.health()["config"]["error"], 10, lambda: str(gateway.health()["config"]))
        assert "line " in gateway.health()["config"]["error"]
        assert gateway.chat("always-on").status_code == 200
    finally:
        gateway.reload(good)
    wait_for(lambda: not gateway.health()["config"]["error"], 10)
