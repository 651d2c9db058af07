"""Samples are made while somebody watches, few of them, and forgotten when nobody does."""

import asyncio
import time

import pytest

from gateway.accounting.monitor import MAX_A_SECOND, MAX_LEASE_S, MAX_WAITING, Monitor, Watched
from gateway.domain.sample import Sample
from gateway.state.resp import RespClient
from gateway.telemetry.metrics import Metrics

SAMPLE = Sample(
    id="r1", at=1.0, endpoint="/v1/chat/completions", dialect="openai_chat", requested_model="m", key_name="k", is_stream=False,
    status=200, error="", duration_ms=1.0, attempts=1, provider="p", model="m", target_dialect="", passed_on=False, dropped=(),
    asked="", asked_bytes=2, sent="", answered="", answered_bytes=2,
)  # fmt: skip
WATCHED = Watched(SAMPLE, None, b"{}", b"{}", frozenset())


@pytest.fixture
async def monitor() -> Monitor:
    return Monitor(RespClient("unix:///tmp/no-such-server.sock"), Metrics(), lambda: 1000.0)


async def test_nothing_is_taken_before_somebody_watches_or_after(monitor: Monitor) -> None:
    assert not monitor.is_watched
    monitor.offer(WATCHED)
    assert len(monitor) == 0
    monitor.hear("10")
    assert monitor.is_watched
    monitor.offer(WATCHED)
    assert len(monitor) == 1
    monitor.forget()
    assert (monitor.is_watched, len(monitor)) == (False, 0)


async def test_a_lease_ends_by_itself(monitor: Monitor) -> None:
    monitor.hear("0.01")
    async with asyncio.timeout(30):
        while monitor.is_watched:
            await asyncio.sleep(0.01)


async def test_no_lease_is_longer_than_the_longest_and_none_is_made_of_nonsense(monitor: Monitor) -> None:
    for nonsense in ("", "soon", "nan?"):
        monitor.hear(nonsense)
        assert not monitor.is_watched
    monitor.hear("1e9")
    assert monitor._lease is not None
    assert monitor._lease.when() <= asyncio.get_running_loop().time() + MAX_LEASE_S
    monitor.forget()


async def test_so_many_a_second_are_taken_and_the_others_counted() -> None:
    now, metrics = [1000.0], Metrics()
    monitor = Monitor(RespClient("unix:///tmp/no-such-server.sock"), metrics, lambda: now[0])
    monitor.hear("10")
    assert [monitor.takes() for _ in range(MAX_A_SECOND + 3)].count(True) == MAX_A_SECOND
    assert metrics.samples.pending == {("skipped",): 3}
    now[0] += 1
    assert monitor.takes()
    monitor.forget()


async def test_what_waits_is_bounded(monitor: Monitor) -> None:
    monitor.hear("10")
    for _ in range(MAX_WAITING + 5):
        monitor.offer(WATCHED)
    assert len(monitor) == MAX_WAITING
    assert not monitor.takes()
    monitor.forget()


async def test_without_redis_a_sample_is_lost_and_nothing_breaks() -> None:
    metrics = Metrics()
    monitor = Monitor(RespClient("unix:///tmp/no-such-server.sock"), metrics, time.monotonic)
    running = asyncio.create_task(monitor.run())
    monitor.hear("10")
    monitor.offer(WATCHED)
    async with asyncio.timeout(30):
        while not metrics.samples.pending:
            await asyncio.sleep(0.01)
    assert metrics.samples.pending == {("store_away",): 1}
    running.cancel()
    monitor.forget()
