"""A worker that loses Redis says so once, counts the time, and says when it is back."""

import asyncio
from collections.abc import Iterator

import pytest

from gateway.state.resp import RespClient
from gateway.tasks.local_mode import LocalMode
from gateway.telemetry.metrics import Metrics
from tests.gateway.state.conftest import until
from tests.support.real_valkey import RealValkey


@pytest.fixture
def own_server() -> Iterator[RealValkey]:
    with RealValkey() as server:
        yield server


def counted(metrics: Metrics, name: str, **labels: str) -> float:
    metrics.flush()
    return metrics.registry.get_sample_value(name, labels) or 0.0


async def test_local_mode_is_entered_and_left_with_what_redis_does(own_server: RealValkey) -> None:
    redis, metrics, now = RespClient(own_server.url), Metrics(), 100.0
    mode = LocalMode(redis, metrics, lambda: now)
    redis.start()
    await until(lambda: redis.is_up)
    mode.look()
    assert mode.told() == {"times": 0, "seconds": 0.0}, "the first connection is no return"
    own_server.kill()
    await until(lambda: not redis.is_up)
    mode.look()
    now = 107.5
    mode.look()
    own_server.start()
    await until(lambda: redis.is_up)
    now = 108.0
    mode.look()
    now = 200.0
    mode.look()
    assert mode.told() == {"times": 1, "seconds": 8.0}
    assert counted(metrics, "omniroute_redis_outages_total", cause="lost") == 1
    assert counted(metrics, "omniroute_redis_outages_total", cause="slow") == 0
    assert counted(metrics, "omniroute_local_mode_seconds_total") == 8.0
    await redis.close()


async def test_a_server_that_is_slow_is_an_outage_too(own_server: RealValkey) -> None:
    redis, metrics = RespClient(own_server.url, budget_s=0.01), Metrics()
    mode = LocalMode(redis, metrics, asyncio.get_running_loop().time)
    redis.start()
    await until(lambda: redis.is_up)
    own_server.freeze()
    await asyncio.gather(*[redis.call("PING") for _ in range(20)], return_exceptions=True)
    mode.look()
    own_server.thaw()
    assert not redis.is_up
    assert counted(metrics, "omniroute_redis_outages_total", cause="slow") == 1
    assert counted(metrics, "omniroute_redis_outages_total", cause="lost") == 0
    await redis.close()
