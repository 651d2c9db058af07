"""What an operator does through the API, seen by callers of the started product. Nothing comes from a config file."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.operated import FIRST, SECOND, TAKEN_UP_S, Operated, becomes, running_operated
from tests.support.product import wait_for

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    with running_operated(tmp_path_factory.mktemp("operator")) as operated:
        yield operated


@pytest.fixture(autouse=True)
def calm(operated: Operated) -> Iterator[None]:
    """What one test made rest is not felt by the next."""
    yield
    operated.do("POST", "/api/resilience/reset", {})
    operated.fake.forget_requests()


def test_a_model_that_was_added_is_listed_to_callers(operated: Operated) -> None:
    operated.do("POST", "/api/provider-models", {"provider": "pair", "modelId": "brand-new", "maxOutput": 50}, 201)

    def listed() -> set[str]:
        return {one["id"] for one in operated.caller.get("/v1/models").json()["data"]}

    wait_for(lambda: "pair/brand-new" in listed(), TAKEN_UP_S)
    operated.do("DELETE", "/api/provider-models?provider=pair&model=brand-new")
    wait_for(lambda: "pair/brand-new" not in listed(), TAKEN_UP_S)


def test_connections_and_combos_are_tried_through_the_workers_port(operated: Operated) -> None:
    rows = operated.do("GET", "/api/providers")["connections"]
    assert operated.do("POST", f"/api/providers/{rows[0]['id']}/test")["valid"] is True
    summary = operated.do("POST", "/api/providers/test-batch", {"mode": "all"})["summary"]
    assert summary == {"total": 4, "passed": 4, "failed": 0, "untested": 0}
    found = operated.do("POST", "/api/combos/test", {"comboName": "goes-on"})
    assert (found["resolvedBy"], [one["status"] for one in found["results"]]) == ("pair/m2", ["error", "ok"])


def test_the_order_of_connections_is_that_in_which_callers_get_them(operated: Operated) -> None:
    rows = [one for one in operated.do("GET", "/api/providers")["connections"] if one["provider"] == "pair"]
    ids = [one["id"] for one in sorted(rows, key=lambda one: one["priority"])]
    operated.do("POST", "/api/providers/reorder", {"provider": "pair", "ids": ids[::-1]})
    becomes(operated.used, {SECOND})
    operated.do("POST", "/api/providers/reorder", {"provider": "pair", "ids": ids})
    becomes(operated.used, {FIRST})


def test_a_connection_that_is_switched_off_is_not_asked(operated: Operated) -> None:
    rows = {one["name"]: one["id"] for one in operated.do("GET", "/api/providers")["connections"]}
    operated.do("PUT", f"/api/providers/{rows['first']}", {"isActive": False})
    becomes(operated.used, {SECOND})
    operated.do("PUT", f"/api/providers/{rows['first']}", {"isActive": True})
    becomes(operated.used, {FIRST})


def test_defaults_of_combos_are_obeyed_by_workers(operated: Operated) -> None:
    operated.do("PATCH", "/api/settings/combo-defaults", {"comboDefaults": {"system_prompt": "Of all combos."}})

    def prompt() -> str:
        operated.fake.forget_requests()
        operated.chat("goes-on")
        return str(operated.fake.requests[-1].json()["messages"][0]["content"])

    becomes(prompt, "Of all combos.")
    operated.do("PATCH", "/api/settings/combo-defaults", {"comboDefaults": {"system_prompt": None}})
    becomes(prompt, "Hello")


def test_what_a_provider_tells_of_its_limits_is_a_bar_with_its_reset(operated: Operated) -> None:
    told = "x-ratelimit-limit-requests=200:x-ratelimit-remaining-requests=150:x-ratelimit-reset-requests=90s"
    narrow = next(one for one in operated.do("GET", "/api/providers")["connections"] if one["name"] == "narrow")

    def bars() -> dict[str, Any]:
        found = operated.do("GET", f"/api/usage/quota?connectionId={narrow['id']}")
        return {one["name"]: one for one in found["quotas"]}

    assert bars()["openRequests"]["limit"] == 1
    assert operated.chat(f"narrow/with-headers:{told}").status_code == 200
    wait_for(lambda: "providerRequests" in bars(), 20)  # workers tell it every 5 s
    bar = bars()["providerRequests"]
    assert (bar["used"], bar["limit"], bar["remainingPercentage"]) == (50, 200, 75.0)
    assert bar["resetsAt"] == pytest.approx(bar["toldAt"] + 90)


def test_the_product_looks_at_its_own_database_and_stores(operated: Operated) -> None:
    wait_for(lambda: operated.do("GET", "/api/storage/health")["database"]["integrity"], 30)
    shown = operated.do("GET", "/api/storage/health")
    assert shown["database"]["integrity"]["ok"] is True
    assert shown["stateStore"]["writesLast"] is True
    assert 0 < shown["stateStore"]["usedShare"] < 0.5
    assert shown["cacheStore"]["up"] is True


def test_the_way_through_a_proxy_and_a_refused_credential_are_seen(operated: Operated) -> None:
    fake = operated.fake
    operated.do("POST", "/api/provider-nodes", {"prefix": "far", "baseUrl": fake.base_url, "allowPrivate": True}, 201)
    secret = "hunter2-of-the-proxy"
    body = {
        "provider": "far", "name": "far", "apiKey": "sk-operator-far-0003",
        "proxy": f"http://me:{secret}@127.0.0.1:{fake.port}",
    }  # fmt: skip
    far = operated.do("POST", "/api/providers", body, 201)["connection"]["id"]
    wait_for(lambda: operated.chat("far/ok").status_code == 200, TAKEN_UP_S)

    def entries() -> list[dict[str, Any]]:
        return list(operated.do("GET", "/api/usage/proxy-logs")["logs"])

    wait_for(entries, TAKEN_UP_S)
    assert {(one["connectionId"], one["level"], one["status"]) for one in entries()} == {(far, "connection", "success")}
    assert entries()[0]["proxy"] == {"type": "http", "host": "127.0.0.1", "port": fake.port}
    assert secret not in str(operated.do("GET", "/api/usage/logs"))

    def state() -> str:
        found = operated.do("GET", "/api/token-health")["connections"]
        return str(next(one["state"] for one in found if one["connectionId"] == far))

    wait_for(lambda: state() == "healthy", TAKEN_UP_S)
    operated.chat("far/status:401")
    wait_for(lambda: state() == "refused", TAKEN_UP_S)
    operated.do("DELETE", f"/api/providers/{far}")
    operated.do("DELETE", "/api/provider-nodes/far")


def test_the_log_of_all_processes_can_be_looked_at(operated: Operated) -> None:
    def seen(field: str) -> set[str]:
        return {line[field] for line in operated.do("GET", "/api/logs/console?limit=2000")["lines"]}

    wait_for(lambda: len(seen("process")) >= 3, 60)  # admin and two workers, each of which tells it every second
    wait_for(lambda: {"admin_ready", "configuration_swapped"} <= seen("event"), 60)
    assert SECOND not in str(operated.do("GET", "/api/logs/console?limit=2000"))


def test_the_ledger_tells_what_was_used_saved_and_how_long_it_took(operated: Operated) -> None:
    usage = '{"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120, "prompt_tokens_details": {"cached_tokens": 40}, "completion_tokens_details": {"reasoning_tokens": 5}}'
    operated.do("PATCH", "/api/pricing", {"pair": {"*": {"input": 1, "output": 2}}})
    asked = [{"role": "user", "content": "What does the ledger say?"}]
    wait_for(
        lambda: (
            operated.chat(f"pair/usage:{usage}", messages=asked, temperature=0).headers.get("x-omniroute-cache")
            == "HIT"
        ),
        TAKEN_UP_S,
    )

    def of_model() -> dict[str, Any]:
        models = operated.do("GET", "/api/usage/analytics?range=1d")["byModel"]
        return next((one for one in models if one["name"].startswith("pair/usage:")), {})

    wait_for(lambda: of_model().get("cached"), TAKEN_UP_S)
    found = of_model()
    misses = found["requests"] - found["cached"]
    assert found["tokens"] == {
        "input": 100 * misses, "output": 20 * misses, "cacheRead": 40 * misses, "cacheWrite": 0, "reasoning": 5 * misses,
    }  # fmt: skip
    assert (found["saved"]["input"], found["saved"]["output"]) == (100 * found["cached"], 20 * found["cached"])
    times = operated.do("GET", "/api/provider-metrics")["metrics"]["pair"]
    for measure in ("durationMs", "firstByteMs"):
        assert 0 < times[measure]["p50"] <= times[measure]["p95"] <= times[measure]["p99"]
