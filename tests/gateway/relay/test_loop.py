"""Targets are tried in the plan's order until one commits; every try is noted, and the first real cause told."""

import asyncio
import json
import time
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from gateway.domain.errors import CallerGone, UpstreamFailed
from gateway.domain.outcome import Outcome
from gateway.domain.rest import Resilience
from gateway.domain.retrying import RetryBudget
from gateway.domain.target import Target
from gateway.domain.timeouts import Timeouts
from gateway.domain.waiting import Waiting
from gateway.relay.attempt import Attempts, Committed
from gateway.relay.exchange import Exchange
from gateway.relay.loop import Traffic, relay
from gateway.relay.retries import Retries
from gateway.relay.standing import Standing
from gateway.relay.waiting import SlotLines
from gateway.routing.plan import Plan
from gateway.state.resp import RespClient
from gateway.state.rests import Rests
from gateway.state.slots import Slot, Slots
from gateway.telemetry.metrics import Metrics
from gateway.upstream.deadlines import Wheel
from gateway.upstream.seam import UpstreamFault
from tests.gateway.relay.test_attempt import DONE, HELLO, NoPictures, exchange, silent
from tests.support.catalogs import target
from tests.support.scripted_transport import ScriptedTransport, cut, head, stream, whole

GOOD = stream(HELLO, DONE)
BUSY = whole(503, b'{"error":{"message":"busy"}}')
LIMITED = whole(429, b'{"error":{"message":"slow down"}}', retry_after="7")
WRONG = whole(400, b'{"error":{"message":"bad temperature"}}', content_type="application/json")


def traffic(redis: RespClient | None = None, waiting: Waiting = Waiting()) -> Traffic:  # noqa: B008  (frozen)
    """What the loop asks about targets, with Redis away."""
    away = redis or RespClient("unix:///tmp/no-such-server.sock")
    rests = Rests(away, "w", time.monotonic, Resilience, lambda: 0.5)
    slots = Slots(away, "w", lambda: waiting)
    return Traffic(Standing(rests), rests, slots, SlotLines(slots, lambda: waiting))


def plan_of(*targets: Target) -> Plan:
    return Plan(targets, len(targets), "priority", "fill-first")


async def run(
    asked: Exchange,
    metrics: Metrics | None = None,
    *,
    goes_on_after: frozenset[str] = frozenset(),
    max_retries: int = 0,
    models: dict[str, str] | None = None,
    around: Traffic | None = None,
    **scripts: Any,
) -> tuple[Committed, ScriptedTransport]:
    """`models`: what targets have another name than `m1` for. A tuple of scripts is played call by call."""
    transport = ScriptedTransport(
        {name: list(script) if isinstance(script, tuple) else [script] for name, script in scripts.items()}
    )
    attempts = Attempts({"direct": transport}, Wheel(), NoPictures())
    targets = (replace(target(name), model=(models or {}).get(name, "m1")) for name in scripts)
    plan = msgspec.structs.replace(plan_of(*targets), goes_on_after=goes_on_after, max_retries=max_retries)
    attempts.wheel.add(asked.watch)
    try:
        return await relay(asked, plan, attempts, metrics or Metrics(), around or traffic(), silent), transport
    finally:
        await transport.close()


async def test_the_first_target_that_commits_answers() -> None:
    asked, metrics = exchange(), Metrics()
    committed, transport = await run(asked, metrics, a=BUSY, b=[cut("refused")], c=GOOD, d=GOOD)
    assert committed.target.connection.name == "c"
    assert asked.target is committed.target
    assert [request.connection.name for request in transport.requests] == ["a", "b", "c"]
    assert [(one.connection_id, one.outcome) for one in asked.attempts] == [
        ("local-a", "server_error"), ("local-b", "unreachable"), ("local-c", "committed"),
    ]  # fmt: skip
    assert metrics.attempts.pending == {
        ("local", "server_error"): 1, ("local", "unreachable"): 1, ("local", "committed"): 1,
    }  # fmt: skip


async def test_every_target_gets_the_same_request() -> None:
    _, transport = await run(exchange(), a=BUSY, b=GOOD)
    assert transport.requests[0].body == transport.requests[1].body
    assert json.loads(transport.requests[0].body)["model"] == "m1"


async def test_when_all_fail_the_first_cause_is_told_with_all_attempts() -> None:
    with pytest.raises(UpstreamFailed, match="slow down") as error:
        await run(exchange(), a=LIMITED, b=BUSY)
    failed = error.value
    assert (failed.status, failed.code, failed.retry_after_s) == (429, "rate_limit_exceeded", 7.0)
    assert [one.outcome for one in failed.attempts] == ["rate_limited", "server_error"]
    assert [one.status for one in failed.attempts] == [429, 503]
    assert failed.body == b""


def soon(status: int = 429, after: str = "0.05") -> list[Any]:
    return whole(status, b'{"error":{"message":"in a moment"}}', retry_after=after)


async def test_who_says_when_to_come_back_is_asked_again_when_nothing_else_is_left() -> None:
    for scripts in ({"a": (soon(), GOOD)}, {"a": (soon(), GOOD), "b": BUSY}, {"a": BUSY, "b": (soon(503), GOOD)}):
        asked = exchange()
        committed, transport = await run(asked, **scripts)
        assert asked.attempts[-1].outcome == "committed"
        assert len(transport.requests) == len(asked.attempts) == len(scripts) + 1
        assert isinstance(scripts[committed.target.connection.name], tuple)


async def test_the_one_that_comes_back_first_is_waited_for() -> None:
    committed, transport = await run(exchange(), a=(soon(after="3"), GOOD), b=(soon(after="0.05"), GOOD))
    assert committed.target.connection.name == "b"
    assert [request.connection.name for request in transport.requests] == ["a", "b", "b"]


async def test_a_request_waits_for_a_target_once_and_not_for_long() -> None:
    with pytest.raises(UpstreamFailed) as error:
        await run(exchange(), a=soon())
    assert (error.value.status, len(error.value.attempts)) == (429, 2)
    with pytest.raises(UpstreamFailed) as error:
        await run(exchange(), a=(soon(after="6"), GOOD))
    assert (error.value.retry_after_s, len(error.value.attempts)) == (6.0, 1)


async def test_a_wait_that_would_pass_the_deadline_or_the_budget_of_calls_is_not_begun() -> None:
    spent = traffic()
    spent = replace(spent, retries=Retries(lambda: RetryBudget(share=0, floor_per_s=0), time.monotonic, lambda: 0.5))
    hasty = exchange(timeouts=Timeouts(total_s=2.0))
    for asked, around in ((hasty, traffic()), (exchange(), spent)):
        with pytest.raises(UpstreamFailed) as error:
            await run(asked, around=around, a=(soon(after="4"), GOOD))
        assert [one.outcome for one in error.value.attempts] == ["rate_limited"]


async def test_a_caller_who_leaves_while_his_target_is_waited_for_causes_no_further_attempt() -> None:
    asked = exchange()
    asyncio.get_running_loop().call_later(0.05, asked.caller_left)
    with pytest.raises(CallerGone):
        await run(asked, a=(soon(after="4"), GOOD))
    assert [one.outcome for one in asked.attempts] == ["rate_limited"]


async def test_a_combo_may_have_a_failed_target_asked_again_before_the_next() -> None:
    asked = exchange()
    committed, transport = await run(asked, max_retries=1, a=BUSY, b=(BUSY, GOOD), c=GOOD)
    assert committed.target.connection.name == "b"
    assert [request.connection.name for request in transport.requests] == ["a", "a", "b", "b"]
    assert [one.outcome for one in asked.attempts] == ["server_error"] * 3 + ["committed"]


@pytest.mark.parametrize("script", [LIMITED, [60.0], [cut("refused")], WRONG], ids=["429", "silence", "refused", "400"])
async def test_what_another_try_would_not_help_is_not_tried_again(script: Any) -> None:
    asked = exchange(timeouts=Timeouts(headers_s=0.1, first_event_s=0.1, first_event_reasoning_s=0.1))
    with pytest.raises(UpstreamFailed) as error:
        await run(asked, max_retries=3, a=script)
    assert len(error.value.attempts) == 1


async def test_a_rest_that_has_become_long_since_the_plan_was_made_is_not_waited_for() -> None:
    around = traffic()
    hint = Outcome(name="rate_limited", cools="connection", then="next", status=429, code="", retry_after_s=600.0)
    await around.rests.report(replace(target("a"), model="m1"), hint)
    async with asyncio.timeout(30):
        with pytest.raises(UpstreamFailed) as error:
            await run(exchange(), around=around, a=GOOD)
    assert (error.value.code, error.value.attempts[0].outcome) == ("all_resting", "resting")


async def test_a_request_waits_for_slots_no_longer_than_one_wait_in_all() -> None:
    around, full = traffic(waiting=Waiting(max_wait_s=0.2)), {}
    for name in ("a", "b"):
        full[name] = replace(target(name, max_concurrency=1), model="m1")
        assert isinstance(await around.lines.take(full[name].connection, f"long-{name}"), Slot)
    with pytest.raises(UpstreamFailed) as error:
        await relay(exchange(), plan_of(*full.values()), Attempts({}, Wheel(), NoPictures()), Metrics(), around, silent)
    assert (error.value.status, [one.outcome for one in error.value.attempts]) == (429, ["no_slot"] * 2)
    assert ["waited" in one.error for one in error.value.attempts] == [True, False]


async def test_the_callers_own_mistake_stops_the_loop_and_is_told_in_the_providers_words() -> None:
    asked = exchange()
    with pytest.raises(UpstreamFailed) as error:
        await run(asked, a=BUSY, b=WRONG, c=GOOD)
    assert (error.value.status, error.value.code) == (400, "invalid_request")
    assert error.value.body == b'{"error":{"message":"bad temperature"}}'
    assert error.value.content_type == "application/json"
    assert [one.outcome for one in asked.attempts] == ["server_error", "caller_error"]


async def test_one_deadline_covers_all_attempts_of_a_request() -> None:
    asked = exchange(timeouts=Timeouts(headers_s=0.2, first_event_s=0.2, first_event_reasoning_s=5.0, total_s=0.3))
    with pytest.raises(UpstreamFailed) as error:
        await run(asked, a=[60.0], b=[60.0], c=GOOD)
    assert (error.value.status, error.value.code) == (504, "upstream_timeout")
    assert [(one.connection_id, one.outcome) for one in asked.attempts] == [
        ("local-a", "silent"), ("local-b", "silent")
    ]  # fmt: skip


TOO_LONG = whole(400, b'{"error":{"code":"context_length_exceeded","message":"too long"}}')
NO_PREFILL = whole(400, b'{"error":{"message":"This model does not support assistant message prefill."}}')
LENGTH = frozenset({"context_length"})


async def test_a_combo_goes_on_with_another_model_where_it_is_told_to() -> None:
    asked = exchange()
    models = {"a": "m1", "b": "m1", "c": "m2"}
    committed, transport = await run(asked, goes_on_after=LENGTH, models=models, a=TOO_LONG, b=GOOD, c=GOOD)
    assert committed.target.model == "m2"
    assert [request.connection.name for request in transport.requests] == ["a", "c"], (
        "the same model is not asked again"
    )
    assert [one.outcome for one in asked.attempts] == ["context_length", "committed"]


async def test_what_the_caller_can_mend_is_told_when_going_on_does_not_help() -> None:
    models = {"a": "m0", "b": "m1", "c": "m2"}
    with pytest.raises(UpstreamFailed) as error:
        await run(exchange(), goes_on_after=LENGTH, models=models, a=BUSY, b=TOO_LONG, c=BUSY)
    assert (error.value.status, error.value.code) == (400, "context_length_exceeded")
    assert len(error.value.attempts) == 3


async def test_going_on_is_for_what_was_asked_for_alone() -> None:
    with pytest.raises(UpstreamFailed) as error:
        await run(exchange(), goes_on_after=frozenset({"content_policy"}), a=TOO_LONG, b=GOOD)
    assert len(error.value.attempts) == 1


async def test_a_refused_prefill_is_no_cause_beside_a_real_one() -> None:
    for scripts in ({"a": BUSY, "b": NO_PREFILL}, {"a": NO_PREFILL, "b": BUSY}):
        with pytest.raises(UpstreamFailed) as error:
            await run(exchange(), **scripts)
        assert (error.value.status, error.value.code) == (503, "upstream_unavailable")
    with pytest.raises(UpstreamFailed) as error:
        await run(exchange(), a=NO_PREFILL)
    assert (error.value.status, b"prefill" in error.value.body) == (400, True)


async def test_a_fault_of_ours_stops_the_loop() -> None:
    with pytest.raises(UpstreamFailed) as error:
        await run(exchange(), a=UpstreamFault("no_capacity", "full"), b=GOOD)
    assert (error.value.status, error.value.code) == (503, "overloaded")


async def test_a_caller_who_left_causes_no_further_attempt() -> None:
    asked = exchange()
    with pytest.raises(CallerGone):
        await run(asked, a=[lambda _: asked.caller_left(), head()], b=GOOD)
    assert [one.outcome for one in asked.attempts] == ["caller_left"]
    assert asked.target is not None


async def test_a_caller_who_left_as_an_attempt_failed_causes_no_further_one() -> None:
    asked = exchange()
    asked.has_caller_left = True
    with pytest.raises(CallerGone):
        await run(asked, a=UpstreamFault("refused", "no"), b=GOOD)
    assert len(asked.attempts) == 1


async def test_long_texts_of_providers_are_cut_in_the_record() -> None:
    asked = exchange()
    with pytest.raises(UpstreamFailed):
        await run(asked, a=whole(500, json.dumps({"error": {"message": "x" * 5000}}).encode()))
    assert len(asked.attempts[0].error) <= 300
