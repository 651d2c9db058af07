"""A dry run in the real process says what requests then do, and asks no provider."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.product import wait_for
from tests.support.real_gateway import FIRST_KEY, RealGateway, running_gateway

pytestmark = pytest.mark.process

WHY = {"X-OmniRoute-Explain": "true"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with running_gateway(tmp_path_factory.mktemp("simulate")) as running:
        config = json.loads(running.config.read_text())
        config["settings"]["resilience"] = {"cooldown_s": 30}
        config["combos"] += [
            {"name": "heavy", "strategy": "weighted", "models": [{"model": "local/m1", "weight": 1}, {"model": "local/m2", "weight": 1}]},
            {"name": "quick", "strategy": "latency", "models": ["one/shared-model", "two/shared-model"]},
            {"name": "turns", "strategy": "round-robin", "models": ["one/shared-model", "two/shared-model"]},
        ]  # fmt: skip
        running.reload(json.dumps(config))
        wait_for(lambda: running.chat("turns").status_code == 200, 10, lambda: running.product.errors)
        yield running


def simulate(gateway: RealGateway, **body: Any) -> dict[str, Any]:
    answer = gateway.admin.post("/api/routing/simulate", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def told(gateway: RealGateway, model: str, **headers: str) -> dict[str, Any]:
    """What a real request says of itself."""
    answer = gateway.chat(model, headers={**WHY, **headers})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = json.loads(answer.headers["x-omniroute-explain"])
    return document


def test_it_says_what_requests_then_do_and_asks_nobody(gateway: RealGateway) -> None:
    for model in ("local/m1", "pair/m2", "always-on", "exact-name", "wild-long-x"):
        mark = gateway.mark
        found = simulate(gateway, model=model)["routing"]
        assert gateway.seen(mark) == []
        real = told(gateway, model)
        assert [one["name"] for one in found["candidates"]] == [one["name"] for one in real["candidates"]]
        assert found["strategy"] == real["strategy"]


def test_a_conversation_goes_where_the_dry_run_says(gateway: RealGateway) -> None:
    for number in range(6):
        session = f"conversation-{number}"
        key = next(one for one in gateway.admin.get("/api/keys").json()["keys"] if one["name"] == "all")
        found = simulate(gateway, model="heavy", session=session, keyId=key["id"])["routing"]
        real = told(gateway, "heavy", **{"X-Session-Id": session})
        assert (found["hasAffinity"], real["has_affinity"]) == (True, True)
        assert [one["name"] for one in found["candidates"]] == [one["name"] for one in real["candidates"]]


def test_what_rests_for_the_workers_is_dropped_in_the_dry_run(gateway: RealGateway) -> None:
    gateway.fake.plan("status:429:retry-after=60", "ok", key=FIRST_KEY)
    assert gateway.chat("pair/m5").headers["x-omniroute-attempts"] == "2"
    found = simulate(gateway, model="pair/m5")["routing"]
    assert [one["name"] for one in found["candidates"]] == ["pair/m5 @second"]
    assert found["dropped"] == [{"name": "pair/m5 @first", "reason": "resting"}]
    calm = simulate(gateway, model="pair/m5", states={"isCalm": True})["routing"]
    assert [one["name"] for one in calm["candidates"]] == ["pair/m5 @first", "pair/m5 @second"]
    gateway.admin.post("/api/resilience/reset", json={})


def test_it_knows_how_fast_targets_were_just_now(gateway: RealGateway) -> None:
    """Nothing but what workers tell each other says it, and only while there is traffic."""

    def scores() -> dict[str, float]:
        assert gateway.chat("quick", stream=True).status_code == 200
        found: dict[str, float] = simulate(gateway, model="quick")["routing"]["scores"]
        return found

    wait_for(lambda: sum(score > 0 for score in scores().values()) == 2, 30, lambda: "two targets with a speed")


def test_no_turn_is_taken(gateway: RealGateway) -> None:
    gateway.chat("turns")
    time.sleep(0.2)  # the block is leased in the background
    first = simulate(gateway, model="turns")["turns"]
    for _ in range(20):
        assert simulate(gateway, model="turns")["turns"] == first
