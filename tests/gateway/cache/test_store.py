"""Kept answers on a real Valkey: who looks for them, and how often."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import cast

import pytest
from msgspec import structs

from gateway.cache.entry import Entry
from gateway.cache.store import CacheStore
from gateway.state.resp import NotSent, RespClient
from gateway.telemetry.metrics import Metrics
from tests.gateway.cache.test_responses import ENTRY
from tests.gateway.state.conftest import until
from tests.support.real_valkey import RealValkey

KEY = "a" * 40


@pytest.fixture
def kept() -> Entry:
    return structs.replace(ENTRY, body=b"Hello", expires_at=time.time() + 100)


@pytest.fixture
async def store(own_valkey: RealValkey) -> AsyncIterator[CacheStore]:
    client = RespClient(own_valkey.url, budget_s=5.0)
    client.start()
    await until(lambda: client.is_up)
    yield CacheStore(client, Metrics(), time.time)
    await client.close()


def trips(valkey: RealValkey) -> int:
    with valkey.client() as client:
        return int(client.info("commandstats").get("cmdstat_get", {"calls": 0})["calls"])


async def test_equal_requests_at_the_same_moment_look_for_an_answer_once(
    store: CacheStore, kept: Entry, own_valkey: RealValkey
) -> None:
    assert store.put(KEY, kept)
    await until(lambda: store.unsent_bytes == 0)
    before = trips(own_valkey)  # the client asks for itself too
    found = await asyncio.gather(*(store.get(KEY) for _ in range(200)), store.get("b" * 40))
    assert found == [kept] * 200 + [None]
    assert (trips(own_valkey) - before, store.looks) == (2, 0)
    assert await store.get(KEY) == kept
    assert trips(own_valkey) - before == 3


async def test_who_leaves_while_it_looks_takes_nobody_along(store: CacheStore, own_valkey: RealValkey) -> None:
    own_valkey.freeze()
    try:
        looks = [asyncio.create_task(store.get(KEY)) for _ in range(4)]
        await asyncio.sleep(0.01)
        looks[0].cancel()
        looks[2].cancel()
        await asyncio.sleep(0.01)
    finally:
        own_valkey.thaw()
    ended = await asyncio.gather(*looks, return_exceptions=True)
    assert [isinstance(one, asyncio.CancelledError) for one in ended] == [True, False, True, False]
    assert (ended[1], ended[3], store.looks) == (None, None, 0)


class Batches:
    """Stands for a client that has just tried a store which was slow: what is sent by itself after a batch is refused."""

    is_up = True

    def __init__(self) -> None:
        self.sent: list[Sequence[bytes]] = []

    def send_all(self, commands: Sequence[bytes], tell: Callable[[int], None]) -> None:
        self.sent.append(commands)

    def send(self, *command: object) -> None:
        raise NotSent("waiting before the next try")


async def test_what_is_kept_is_told_in_the_same_batch(kept: Entry) -> None:
    client = Batches()
    store = CacheStore(cast("RespClient", client), Metrics(), time.time)
    assert store.put(KEY, kept)
    assert store.put("b" * 40, kept)
    store.flush()
    [batch] = client.sent
    assert [command.split(b"\r\n")[2] for command in batch] == [b"SET", b"SET", b"PUBLISH"]
    assert batch[-1].endswith(b"\xaa\xaa\xaa\xbb\xbb\xbb\r\n")
