"""What nobody kept is not looked for, on a real Valkey; whenever a worker may not have heard of everything, it looks."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

import pytest
from msgspec import structs

from gateway.cache.known import Known
from gateway.cache.store import CacheStore
from gateway.runtime import RuntimeHolder
from gateway.state.resp import RespClient
from gateway.tasks.follow_kept import KeptNews
from gateway.tasks.runner import Runner
from gateway.telemetry.metrics import Metrics
from tests.gateway.cache.test_responses import ENTRY
from tests.gateway.cache.test_store import trips
from tests.gateway.state.conftest import until
from tests.support.real_valkey import RealValkey

KEPT = structs.replace(ENTRY, body=b"Hello", expires_at=time.time() + 86_400)
ONE, OTHER = "1" * 40, "2" * 40


@dataclass
class Worker:
    """A store's client that hears what is kept."""

    client: RespClient
    store: CacheStore
    following: Runner

    @property
    def known(self) -> Known:
        return self.store.known


class Switch:
    """Stands for the configuration: whether any request may be answered from the cache."""

    is_ready = True

    def __init__(self) -> None:
        self.caching: object | None = object()

    def current(self) -> SimpleNamespace:
        return SimpleNamespace(caching=self.caching)


@pytest.fixture
def switch() -> Switch:
    return Switch()


@pytest.fixture
async def workers(own_valkey: RealValkey, switch: Switch) -> AsyncIterator[list[Worker]]:
    """Two of them."""
    started = []
    for name in ("a", "b"):
        client = RespClient(own_valkey.url, budget_s=5.0)
        client.start()
        assert await client.wait_until_up(30)
        store = CacheStore(client, Metrics(), time.time)
        news = KeptNews(
            own_valkey.url, client, store.known, cast("RuntimeHolder", switch), name, echo_s=0.5, reconnect_s=0.05
        )
        following = Runner()
        following.start("follow_kept", news.run)
        started.append(Worker(client, store, following))
    yield started
    for worker in started:
        await worker.following.stop()
        await worker.client.close()


async def test_an_answer_that_nobody_kept_costs_no_trip_and_one_that_another_worker_kept_is_found(
    workers: list[Worker], own_valkey: RealValkey
) -> None:
    keeper, asker = workers
    assert keeper.store.put(ONE, KEPT)
    await until(lambda: keeper.known.is_whole and asker.known.is_whole)
    await until(lambda: len(asker.known) == 1)
    before = trips(own_valkey)
    assert [await asker.store.get(OTHER) for _ in range(20)] == [None] * 20
    assert trips(own_valkey) == before
    assert await asker.store.get(ONE) == KEPT
    assert keeper.store.put(OTHER, KEPT)
    await until(lambda: len(asker.known) == 2)
    assert await asker.store.get(OTHER) == KEPT


async def test_what_is_kept_before_a_worker_begins_is_known_to_it(
    workers: list[Worker], own_valkey: RealValkey, switch: Switch
) -> None:
    keeper, asker = workers
    await until(lambda: keeper.known.is_whole)
    await asker.following.stop()
    assert not asker.known.is_whole, "who does not hear looks"
    assert keeper.store.put(ONE, KEPT)
    await until(lambda: keeper.store.unsent_bytes == 0)
    assert await asker.store.get(ONE) == KEPT
    late = Known()
    news = KeptNews(own_valkey.url, asker.client, late, cast("RuntimeHolder", switch), "late")
    following = Runner()
    following.start("follow_kept", news.run)
    try:
        await until(lambda: late.is_whole)
        assert (late.may_have(ONE), late.may_have(OTHER), len(late)) == (True, False, 1)
    finally:
        await following.stop()


async def test_a_worker_that_does_not_hear_itself_looks_until_it_does(
    workers: list[Worker], own_valkey: RealValkey
) -> None:
    await until(lambda: all(worker.known.is_whole for worker in workers))
    own_valkey.freeze()
    try:
        await until(lambda: not any(worker.known.is_whole for worker in workers))
        assert all(worker.known.may_have(OTHER) for worker in workers)
    finally:
        own_valkey.thaw()
    await until(lambda: all(worker.known.is_whole for worker in workers))


async def test_with_the_cache_off_nobody_listens_and_nothing_is_held(workers: list[Worker], switch: Switch) -> None:
    assert workers[0].store.put(ONE, KEPT)
    await until(lambda: all(worker.known.is_whole for worker in workers))
    switch.caching = None
    await until(lambda: not any(worker.known.is_whole or len(worker.known) for worker in workers))
