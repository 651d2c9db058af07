"""The queue of bodies is bounded, never waits, and says what it dropped; nothing in it leaves unredacted."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from gateway.accounting.bodies import MAX_HELD_BYTES, BodyLog, Kept
from gateway.domain.bodies import decode_bodies
from gateway.state import keys
from gateway.state.resp import RespClient
from gateway.telemetry.metrics import Metrics
from tests.support.real_valkey import RealValkey

SECRET = "a-secret-of-a-connection"
KEPT = Kept(
    id="r1", at=1.0, asked=b'{"content": "a-secret-of-a-connection"}', asked_bytes=39, answered=b"{}", answered_bytes=2,
    is_stream=False, cap=65_536, secrets=frozenset({SECRET}), rule=None,
)  # fmt: skip


@pytest.fixture(scope="module")
def valkey() -> Iterator[RealValkey]:
    with RealValkey() as server:
        yield server


@pytest.fixture
async def redis(valkey: RealValkey) -> AsyncIterator[RespClient]:
    client = RespClient(valkey.url, budget_s=1.0)
    client.start()
    assert await client.wait_until_up(5)
    with valkey.client() as sync:
        sync.flushall()
    yield client
    await client.close()


def outcomes(metrics: Metrics) -> dict[str, float]:
    return {labels[0]: count for labels, count in metrics.stored_bodies.pending.items()}


async def test_what_is_handed_over_is_redacted(redis: RespClient, valkey: RealValkey) -> None:
    metrics = Metrics()
    log = BodyLog(redis, metrics)
    running = asyncio.create_task(log.run())
    log.offer(KEPT)
    async with asyncio.timeout(5):
        while not outcomes(metrics):
            await asyncio.sleep(0.01)
    running.cancel()
    with valkey.client() as sync:
        ((_, fields),) = sync.xrange(keys.BODIES)
    bodies = decode_bodies(zlib.decompress(fields[b"b"]))
    assert (bodies.id, bodies.asked, bodies.answered) == ("r1", '{"content": "[CREDENTIAL_REDACTED]"}', "{}")
    assert (outcomes(metrics), log.held_bytes) == ({"handed_over": 1}, 0)


async def test_more_than_the_queue_holds_is_dropped_and_counted(redis: RespClient) -> None:
    metrics = Metrics()
    log = BodyLog(redis, metrics)
    large = replace(KEPT, asked=b"x" * (1024 * 1024), asked_bytes=1024 * 1024, cap=1024 * 1024)
    for _ in range(20):
        log.offer(large)
    assert len(log) < 8
    assert log.held_bytes <= MAX_HELD_BYTES
    assert outcomes(metrics) == {"queue_full": 20 - len(log)}
    waiting = len(log)
    await log.close(10)
    assert (len(log), log.held_bytes) == (0, 0)
    assert outcomes(metrics) == {"queue_full": 20 - waiting, "handed_over": waiting}


async def test_a_full_stream_takes_no_more(redis: RespClient) -> None:
    metrics = Metrics()
    log = BodyLog(redis, metrics)
    for _ in range(10):
        log.offer(replace(KEPT, cap=1024 * 1024))
    await log.close(10)
    assert outcomes(metrics) == {"handed_over": 8, "stream_full": 2}


async def test_without_a_store_or_with_one_that_is_away_they_are_dropped_and_counted() -> None:
    for redis, outcome in ((None, "no_store"), (RespClient("unix:///tmp/no-such-server.sock"), "store_away")):
        metrics = Metrics()
        log = BodyLog(redis, metrics)
        log.offer(KEPT)
        await log.close(5)
        assert (outcomes(metrics), log.held_bytes) == ({outcome: 1}, 0)
