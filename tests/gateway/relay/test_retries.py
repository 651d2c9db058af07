"""Few calls beyond the first of each request, counted over a window; a quiet worker always may go on."""

import pytest

from gateway.domain.errors import UpstreamFailed
from gateway.domain.retrying import RetryBudget
from gateway.relay.attempt import Attempts, Committed
from gateway.relay.loop import Traffic, relay
from gateway.relay.retries import Retries
from gateway.telemetry.metrics import Metrics
from gateway.upstream.deadlines import Wheel
from tests.gateway.relay.test_attempt import NoPictures, exchange, silent
from tests.gateway.relay.test_loop import BUSY, GOOD, LIMITED, plan_of, traffic
from tests.support.catalogs import target
from tests.support.scripted_transport import ScriptedTransport


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def retries_of(budget: RetryBudget, clock: Clock | None = None) -> Retries:
    return Retries(lambda: budget, clock or Clock(), lambda: 0.5)


def made_of(retries: Retries, requests: int) -> int:
    """How many of so many requests, all of which fail, may go on."""
    made = 0
    for _ in range(requests):
        retries.requests += 1
        if not retries.is_spent:
            retries.made()
            made += 1
    return made


def test_a_fifth_of_the_requests_may_go_on() -> None:
    assert made_of(retries_of(RetryBudget(0.2, 0, 10)), 1000) == 200


def test_a_quiet_worker_always_may() -> None:
    assert made_of(retries_of(RetryBudget(0.2, 1.0, 10)), 10) == 10
    assert made_of(retries_of(RetryBudget(0.2, 1.0, 10)), 30) == 10


def test_the_window_slides() -> None:
    clock = Clock()
    retries = retries_of(RetryBudget(0.0, 1.0, 10), clock)
    assert made_of(retries, 50) == 10
    retries.turn()
    clock.now += 9.9
    assert made_of(retries, 5) == 0
    retries.turn()
    clock.now += 0.2
    assert made_of(retries, 50) == 10


def test_calm_requests_of_the_window_pay_for_those_that_fail() -> None:
    clock = Clock()
    retries = retries_of(RetryBudget(0.2, 0, 10), clock)
    retries.requests += 500
    retries.turn()
    clock.now += 5
    assert made_of(retries, 100) == 100
    clock.now += 6
    retries.turn()
    clock.now += 11
    assert made_of(retries, 100) == 20, "what is out of the window pays for nothing"


def test_slots_are_bounded_by_the_window() -> None:
    clock = Clock()
    retries = retries_of(RetryBudget(0.2, 10, 10), clock)
    for _ in range(10_000):
        clock.now += 0.25
        retries.requests += 1
        retries.turn()
    assert len(retries._past) <= 41


async def ask(retries: Retries, metrics: Metrics, **scripts: object) -> Committed:
    base = traffic()
    transport = ScriptedTransport({name: [script] for name, script in scripts.items()})  # type: ignore[dict-item]
    attempts = Attempts({"direct": transport}, Wheel(), NoPictures())
    try:
        return await relay(
            exchange(),
            plan_of(*(target(name) for name in scripts)),
            attempts,
            metrics,
            Traffic(base.standing, base.rests, base.slots, base.lines, retries),
            silent,
        )
    finally:
        await transport.close()


async def test_when_it_is_spent_the_first_cause_is_told_at_once_with_a_time_to_come_back() -> None:
    retries, metrics = retries_of(RetryBudget(0.0, 0.1, 10)), Metrics()
    assert (await ask(retries, metrics, a=BUSY, b=GOOD)).target.connection.name == "b"
    with pytest.raises(UpstreamFailed, match="busy") as error:
        await ask(retries, metrics, a=BUSY, b=GOOD)
    assert (error.value.status, error.value.code, error.value.retry_after_s) == (503, "upstream_unavailable", 2.0)
    assert [one.outcome for one in error.value.attempts] == ["server_error", "no_retry_budget"]
    assert metrics.retries.pending == {("made",): 1, ("refused",): 1}


async def test_what_the_provider_says_of_coming_back_is_kept() -> None:
    with pytest.raises(UpstreamFailed) as error:
        await ask(retries_of(RetryBudget(0.0, 0.0, 10)), Metrics(), a=LIMITED, b=GOOD)
    assert (error.value.status, error.value.retry_after_s) == (429, 7.0)


async def test_the_first_call_is_never_refused() -> None:
    metrics = Metrics()
    assert await ask(retries_of(RetryBudget(0.0, 0.0, 10)), metrics, a=GOOD, b=GOOD)
    assert metrics.retries.pending == {}
