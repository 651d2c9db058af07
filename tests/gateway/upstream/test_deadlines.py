"""Limits are met by one coarse wheel, with the time given; a caller that does not read is not the provider's fault."""

import asyncio

import pytest

from gateway.upstream.deadlines import TICK_S, Watch, Wheel
from gateway.upstream.seam import UpstreamCall, UpstreamFault


def new_call() -> UpstreamCall:
    call = UpstreamCall(lambda: None, lambda: None)
    call.feed_head(200, {})
    return call


def watch(stall_s: float = 120.0) -> tuple[Watch, list[str]]:
    noted: list[str] = []
    return Watch(stall_s, lambda: noted.append("stalled")), noted


def kind_of(call: UpstreamCall) -> str:
    return call.fault.kind if isinstance(call.fault, UpstreamFault) else ""


def test_each_phase_has_its_own_limit() -> None:
    one, _ = watch()
    call = new_call()
    one.begin(call, "headers_timeout", due=10.0, total_due=100.0)
    one.tick(9.9)
    assert not call.is_over
    one.enter("first_event_timeout", due=20.0)
    one.tick(19.9)
    assert not call.is_over
    one.tick(20.0)
    assert kind_of(call) == "first_event_timeout"


def test_the_total_limit_counts_in_every_phase() -> None:
    one, _ = watch()
    call = new_call()
    one.begin(call, "headers_timeout", due=1000.0, total_due=50.0)
    one.tick(50.0)
    assert kind_of(call) == "total_timeout"


async def test_a_gap_starts_again_at_every_read() -> None:
    one, _ = watch()
    call = new_call()
    one.begin(call, "headers_timeout", due=10.0, total_due=1000.0)
    one.enter("gap_timeout", due=30.0, gap_s=10.0)
    reading = asyncio.ensure_future(call.read())
    await asyncio.sleep(0)
    one.tick(29.0)
    call.feed(b"x")
    await reading
    reading = asyncio.ensure_future(call.read())
    await asyncio.sleep(0)
    one.tick(35.0)
    one.tick(44.9)
    assert not call.is_over
    one.tick(45.0)
    assert kind_of(call) == "gap_timeout"
    with pytest.raises(UpstreamFault):
        await reading


def test_a_gap_does_not_count_while_nobody_reads() -> None:
    one, _ = watch()
    call = new_call()
    one.begin(call, "headers_timeout", due=1.0, total_due=10_000.0)
    one.enter("gap_timeout", due=10.0, gap_s=10.0)
    for now in range(0, 1000, 10):
        one.tick(float(now))
    assert not call.is_over


def test_a_new_call_begins_with_fresh_limits() -> None:
    one, _ = watch()
    first, second = new_call(), new_call()
    one.begin(first, "headers_timeout", due=10.0, total_due=100.0)
    one.enter("gap_timeout", due=20.0, gap_s=5.0)
    one.begin(second, "headers_timeout", due=40.0, total_due=100.0)
    one.tick(39.0)
    assert not second.is_over
    assert not first.is_over
    one.tick(40.0)
    assert kind_of(second) == "headers_timeout"


def test_a_call_that_is_over_is_left_alone() -> None:
    one, _ = watch()
    call = new_call()
    one.begin(call, "headers_timeout", due=10.0, total_due=20.0)
    call.feed_end()
    one.tick(100.0)
    assert call.fault is None


def test_a_caller_that_takes_nothing_is_told_once() -> None:
    one, noted = watch(stall_s=5.0)
    one.sending_since = 10.0
    one.tick(15.0)
    assert noted == []
    one.tick(15.1)
    one.tick(30.0)
    assert noted == ["stalled"]


def test_nudges_come_when_due_and_set_the_next() -> None:
    one, _ = watch()
    at: list[float] = []

    def nudge() -> None:
        at.append(one.nudge_due)
        one.nudge_due += 5.0

    one.on_nudge, one.nudge_due = nudge, 5.0
    for now in range(20):
        one.tick(float(now))
    assert at == [5.0, 10.0, 15.0]


def test_the_caller_is_watched_from_the_first_tick_on() -> None:
    one, _ = watch()
    begun: list[int] = []
    one.begin_watching_caller = lambda: begun.append(1)
    one.tick(1.0)
    one.tick(2.0)
    assert begun == [1]


async def test_the_wheel_ends_a_silent_call_within_two_ticks_and_then_sleeps() -> None:
    wheel, (one, _) = Wheel(), watch()
    call = new_call()
    one.begin(call, "headers_timeout", due=0.0, total_due=0.0)
    wheel.add(one)
    await asyncio.sleep(2 * TICK_S + 0.02)
    assert kind_of(call) == "headers_timeout"
    wheel.release(one)
    assert wheel.watches == set()
    await asyncio.sleep(TICK_S + 0.02)
    assert wheel._timer is None


async def test_a_released_call_that_still_closes_is_watched_until_it_has() -> None:
    wheel, (one, _) = Wheel(), watch()
    call = new_call()
    one.begin(call, "gap_timeout", due=0.0, total_due=0.0)
    wheel.add(one)
    wheel.release(one)
    assert wheel.watches == {one}
    await asyncio.sleep(3 * TICK_S)
    assert call.is_over
    assert wheel.watches == set()
