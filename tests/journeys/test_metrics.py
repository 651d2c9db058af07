"""Metrics of two workers together: exact sums, counters that never fall, series that callers cannot multiply."""

import json
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import pytest

from tests.support.product import wait_for
from tests.support.real_gateway import RealGateway, running_gateway

pytestmark = pytest.mark.process

REQUESTS = 'omniroute_requests_total{endpoint="/v1/chat/completions",error="",provider="local",status="200"}'
WHERE = 'endpoint="/v1/chat/completions",kind="unary",provider="local"'
DURATIONS = f"omniroute_request_duration_seconds_count{{{WHERE}}}"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with running_gateway(tmp_path_factory.mktemp("metrics")) as made:
        wait_for(lambda: made.product.metrics().get(DURATIONS) == 1, 5)  # what its start has asked
        yield made


def served(gateway: RealGateway, count: int, model: str = "local/ok") -> int:
    """How many of so many requests, at once and over connections of their own, were answered: both workers get some."""

    def ask(_: int) -> bool:
        headers = {"connection": "close"}
        try:
            return gateway.chat(model, headers=headers).status_code == 200
        except httpx.HTTPError:
            return False

    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(ask, range(count)))


def series(gateway: RealGateway) -> set[str]:
    return set(gateway.product.metrics())


def test_the_figures_of_two_workers_are_one_exact_sum(gateway: RealGateway) -> None:
    before = gateway.product.metrics()
    assert served(gateway, 40) == 40
    wait_for(lambda: gateway.product.metrics()[REQUESTS] - before[REQUESTS] >= 40, 5)
    after = gateway.product.metrics()
    assert after[REQUESTS] - before[REQUESTS] == 40
    assert after[DURATIONS] - before[DURATIONS] == 40
    assert _buckets(after)[-1] == after[DURATIONS]
    assert _buckets(after) == sorted(_buckets(after))


def test_counters_never_fall_while_workers_are_killed(gateway: RealGateway) -> None:
    """A counter that falls looks like a restart, and Prometheus would count everything before it twice."""
    last: dict[str, float] = {}
    answered, before = 0, gateway.product.metrics()
    for _ in range(3):
        victims = gateway.product.workers()
        answered += served(gateway, 10)
        wait_for(lambda: gateway.product.metrics()[REQUESTS] - before[REQUESTS] >= answered, 5)  # noqa: B023  (called at once)
        os.kill(victims[0], signal.SIGKILL)
        for _ in range(5):
            last = _none_fell(last, gateway.product.metrics())
        wait_for(lambda: len(set(gateway.product.workers()) - {victims[0]}) == 2, 10)  # noqa: B023  (called at once)
        wait_for(gateway.product.answers, 10)
    answered += served(gateway, 20)
    wait_for(lambda: gateway.product.metrics()[REQUESTS] - before[REQUESTS] >= answered, 5)
    after = _none_fell(last, gateway.product.metrics())
    assert after[REQUESTS] - before[REQUESTS] == after[DURATIONS] - before[DURATIONS]
    assert after["omniroute_worker_restarts_total"] == 3


def test_what_callers_send_makes_no_new_series(gateway: RealGateway) -> None:
    name = 'omniroute_unpriced_tokens_total{model="other",provider="local"}'
    for _ in range(2):  # the second time each worker has told all of the first
        asked = _asked(gateway)
        for model in (f"local/usage:{_usage(0)}", "nobody/has-it", "local/ok", f"local/{uuid4().hex}") * 4:
            gateway.chat(model, headers={"connection": "close"})
        wait_for(lambda: _asked(gateway) >= asked + 16, 5)  # noqa: B023  (called at once)
    before, tokens = series(gateway), gateway.product.metrics()[name]
    for number in range(50):
        assert gateway.chat(f"local/{uuid4().hex}").status_code == 200
        assert gateway.chat(f"local/usage:{_usage(number)}").status_code == 200
        assert gateway.chat(f"nobody/{uuid4().hex}").status_code == 404
        assert (
            gateway.chat("local/ok", headers={"x-request-id": uuid4().hex, "user-agent": uuid4().hex}).status_code
            == 200
        )
    wait_for(lambda: gateway.product.metrics()[name] - tokens >= 50 * 16, 5)
    assert {one for one in series(gateway) - before if "omniroute_" in one} == set()


def _asked(gateway: RealGateway) -> float:
    return sum(
        value for name, value in gateway.product.metrics().items() if name.startswith("omniroute_requests_total{")
    )


def test_what_is_shed_is_counted(gateway: RealGateway) -> None:
    name = 'omniroute_shed_requests_total{class="interactive",reason="open_requests"}'
    good = gateway.config.read_text()
    assert gateway.product.metrics()[name] == 0
    config = json.loads(good)
    config["settings"]["waiting"] = {"max_open": 1}
    gateway.reload(json.dumps(config))

    def is_counted() -> bool:
        served(gateway, 8, "local/slow-headers:0.1")
        return gateway.product.metrics()[name] >= 1

    wait_for(is_counted, 10, lambda: gateway.product.errors[-2000:])


def _usage(number: int) -> str:
    return f'{{"prompt_tokens":{100 + number},"completion_tokens":5,"prompt_tokens_details":{{"cached_tokens":8}}}}'


def _buckets(figures: dict[str, float]) -> list[float]:
    """The cumulated buckets, by their upper bounds."""
    found = {
        float(edge[1]): value
        for name, value in figures.items()
        if name.startswith("omniroute_request_duration_seconds_bucket")
        and 'kind="unary"' in name
        and 'provider="local"' in name
        and (edge := re.search(r'le="([^"]+)"', name))
    }
    return [found[edge] for edge in sorted(found)]


def _none_fell(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    fallen = {
        name: (value, after.get(name))
        for name, value in before.items()
        if re.match(r"omniroute_\w+_(?:total|count|sum|bucket)\b", name) and after.get(name, -1.0) < value - 1e-9
    }
    assert fallen == {}
    return after
