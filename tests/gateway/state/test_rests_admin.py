"""The control plane lists what rests and resets it, and workers obey at once."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio
from redis import Redis

from gateway.state import keys
from gateway.state.rests_admin import breaker_bodies, provider_id, read_rests, reset_rests
from tests.gateway.state.test_rests import ONE, TWO, UNREACHABLE, Worker, outcome
from tests.support.catalogs import target
from tests.support.real_valkey import RealValkey


@pytest.fixture
async def admin(valkey: RealValkey) -> AsyncIterator["redis.asyncio.Redis"]:
    async with redis.asyncio.from_url(valkey.url) as client:
        yield client


@pytest.fixture
async def worker(valkey: RealValkey, connect: Any) -> Worker:
    return Worker(await connect(valkey.url, budget_s=2.0), "w1")


async def test_on_an_empty_server_nothing_rests(admin: "redis.asyncio.Redis") -> None:
    assert await read_rests(admin) == []
    assert await reset_rests(admin) == 0
    assert await reset_rests(admin, ["nobody"]) == 0


async def test_the_longest_rest_comes_first_and_says_what_it_is(admin: "redis.asyncio.Redis", worker: Worker) -> None:
    await worker.fail(one=target("c"), how=outcome("rate_limited", "connection_model", 60.0))
    await worker.fail(one=ONE, how=outcome("quota", "connection", 3_000.0))
    found = await read_rests(admin)
    assert [(state.scope, state.connection_id, state.model, state.why) for state in found] == [
        ("connection", "local-a", "", "quota"),
        ("connection_model", "local-c", "m1", "rate_limited"),
    ]
    assert found == sorted(worker.rests.states(), key=lambda state: -state.until)


async def test_breakers_have_the_shape_that_dashboards_know(admin: "redis.asyncio.Redis", worker: Worker) -> None:
    await worker.fail(one=target("c"), how=outcome("rate_limited", "connection", 60.0))
    for which in (ONE, TWO):
        await worker.fail(2, which, UNREACHABLE)
    bodies = breaker_bodies(await read_rests(admin))
    assert {(body["name"], body["scope"]) for body in bodies} == {
        ("local", "provider"),
        ("local-a", "connection"),
        ("local-b", "connection"),
    }
    assert {body["state"] for body in bodies} <= {"OPEN", "HALF_OPEN"}


async def test_a_reset_of_all_reaches_workers_with_the_news_and_without(
    admin: "redis.asyncio.Redis", worker: Worker, sync: Redis
) -> None:
    news = sync.pubsub()
    for hears in (True, False):
        await worker.fail(how=outcome("rate_limited", "connection", 60.0))
        await worker.rests.refresh()
        news.subscribe(keys.NEWS)
        news.get_message(timeout=1.0)
        assert await reset_rests(admin) == 1
        if hears:
            message = news.get_message(timeout=1.0)
            assert message is not None
            worker.rests.heard(message["data"])
        else:
            await worker.rests.refresh()
        assert worker.rest() is None
        news.unsubscribe()


async def test_one_connection_or_provider_is_reset_alone(admin: "redis.asyncio.Redis", worker: Worker) -> None:
    for which in (ONE, TWO):
        await worker.fail(2, which, UNREACHABLE)
    await worker.fail(how=outcome("rate_limited", "connection_model", 60.0))
    assert await reset_rests(admin, ["local-a"]) == 2
    assert {state.connection_id or state.provider for state in await read_rests(admin)} == {"local-b", "local"}
    assert await reset_rests(admin, [provider_id("local")]) == 1
    await worker.rests.refresh()
    assert worker.rest(ONE) is None
    assert worker.rest(TWO) is not None
