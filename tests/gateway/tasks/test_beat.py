"""The small loops: metrics flushed, the worker's life told, the drain notice followed."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from gateway.runtime import RuntimeHolder
from gateway.state import keys
from gateway.state.resp import RespClient
from gateway.tasks import beat
from gateway.tasks.beat import beat_heart, flush_metrics, follow_drain, watch_lag
from gateway.telemetry.metrics import Metrics
from gateway.upstream.seam import UpstreamFault
from tests.gateway.relay.test_attempt import exchange
from tests.gateway.state.conftest import until
from tests.support.real_valkey import RealValkey
from tests.support.scripted_transport import ScriptedTransport, head


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beat, "FLUSH_S", 0.02)


async def ended(task: "asyncio.Future[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_metrics_are_flushed_with_fresh_gauges_and_the_loops_lag() -> None:
    metrics, sets = Metrics(), []
    flushing = asyncio.ensure_future(flush_metrics(metrics, lambda: sets.append(1)))
    await asyncio.sleep(0.03)
    time.sleep(0.1)  # holds the loop
    await asyncio.sleep(0.05)
    assert len(sets) >= 2
    lag = metrics.registry.get_sample_value("omniroute_event_loop_lag_seconds")
    assert lag is not None
    await ended(flushing)


async def test_a_loop_that_is_held_is_told_by_how_much() -> None:
    lags: list[float] = []
    watching = asyncio.ensure_future(watch_lag(lags.append))
    await asyncio.sleep(0)
    time.sleep(beat.LAG_LOOK_S + 0.1)  # holds the loop
    await asyncio.sleep(0.01)
    assert lags
    assert 0.1 <= lags[0] < 1
    await ended(watching)


async def test_a_workers_life_is_told_with_a_lifetime() -> None:
    with RealValkey() as server:
        redis = RespClient(server.url)
        redis.start()
        beating = asyncio.ensure_future(beat_heart(redis, "w1", RuntimeHolder(), lambda: {"times": 1, "seconds": 2.5}))
        with server.client() as sync:
            await until(lambda: sync.exists(keys.worker("w1")) == 1)
            assert 0 < sync.ttl(keys.worker("w1")) <= keys.WORKER_TTL_S
            life = json.loads(sync.get(keys.worker("w1")))
            assert set(life) == {"pid", "host", "started_at", "revision", "local_mode"}
            assert sync.sismember(keys.WORKERS, "w1")
        await ended(beating)
        await redis.close()


CLOCK_SET_BACK = '{"deadline": 99999999999, "seconds": 0.1}'


@pytest.mark.parametrize("text", ['{"deadline": %s}', CLOCK_SET_BACK, "{", "[1]", "{}", '{"deadline": "soon"}'])
async def test_a_drain_notice_begins_the_drain_and_its_deadline_ends_what_runs(tmp_path: Path, text: str) -> None:
    notice, begun, asked = tmp_path / "draining", [], exchange()
    transport = ScriptedTransport({"a": [[head(), 60.0]]})
    from gateway.upstream.seam import UpstreamRequest
    from tests.support.catalogs import connection

    asked.call = await transport.start(UpstreamRequest(connection(), "http://x.test", (), b"", 1.0))
    following = asyncio.ensure_future(follow_drain(notice, lambda: begun.append(1), {asked}))
    await asyncio.sleep(0.05)
    assert begun == []
    deadline = time.time() + 0.15
    notice.write_text(text % deadline if "%" in text else text)
    await until(lambda: begun == [1])
    await until(lambda: asked.call is not None and asked.call.is_over)
    if "%" in text:
        assert time.time() >= deadline
    assert isinstance(asked.call.fault, UpstreamFault)
    assert asked.call.fault.kind == "draining"
    await ended(following)
    await transport.close()
