"""What workers tell each other arrives once at every other worker, within bounds."""

import time
from typing import Any

import pytest
from redis import Redis

from gateway.state import keys
from gateway.state.resp import RespClient, StateAway
from gateway.state.views import LIFETIME_S, MAX_ENTRIES, MAX_READ_BYTES, Views
from tests.gateway.state.conftest import until
from tests.support.real_valkey import RealValkey


async def views_of(connect: Any, url: str, worker: str) -> Views:
    return Views(await connect(url, budget_s=5.0), worker)


async def test_each_worker_hears_the_others_once_and_never_itself(valkey: RealValkey, connect: Any) -> None:
    one, two, three = [await views_of(connect, valkey.url, name) for name in ("w1", "w2", "w3")]
    assert await one.exchange(b"a") == []
    heard = await two.exchange(b"b")
    assert [(told.worker, told.message) for told in heard] == [("w1", b"a")]
    assert [(told.worker, told.message) for told in await one.exchange(b"")] == [("w2", b"b")]
    assert [told.message for told in await three.exchange(b"")] == [b"a", b"b"]
    assert await two.exchange(b"") == []
    assert await one.exchange(b"") == []


async def test_a_message_is_as_old_as_the_server_says(valkey: RealValkey, sync: Redis, connect: Any) -> None:
    sync.xadd(keys.VIEW, {"w": "w1", "m": b"x"}, id=f"{int(time.time() * 1000) - 3000}-0")
    [heard] = await (await views_of(connect, valkey.url, "w2")).exchange(b"")
    assert 2.9 < heard.age_s < 9.0


async def test_what_is_older_than_its_lifetime_is_neither_read_nor_kept(
    valkey: RealValkey, sync: Redis, connect: Any
) -> None:
    sync.xadd(keys.VIEW, {"w": "w1", "m": b"x"}, id=f"{int((time.time() - LIFETIME_S - 5) * 1000)}-0")
    views = await views_of(connect, valkey.url, "w2")
    assert await views.exchange(b"new") == []
    assert sync.xlen(keys.VIEW) == 1
    assert 0 < sync.pttl(keys.VIEW) <= LIFETIME_S * 1000


async def test_the_stream_holds_a_bounded_number(valkey: RealValkey, sync: Redis, connect: Any) -> None:
    views = await views_of(connect, valkey.url, "w1")
    for _ in range(20):
        await views.exchange(b"x")
    now = int(time.time() * 1000)
    with sync.pipeline() as pipeline:
        for number in range(MAX_ENTRIES):
            pipeline.xadd(keys.VIEW, {"w": "w2", "m": b"y"}, id=f"{now + 1000}-{number + 1}")
        pipeline.execute()
    await views.exchange(b"z")
    assert sync.xlen(keys.VIEW) == MAX_ENTRIES


async def test_much_is_read_in_pieces_and_nothing_twice(valkey: RealValkey, connect: Any) -> None:
    one, two = [await views_of(connect, valkey.url, name) for name in ("w1", "w2")]
    told = [b"%03d" % number + b"x" * (MAX_READ_BYTES // 4) for number in range(10)]
    for message in told:
        await one.exchange(message)
    heard: list[bytes] = []
    trips = 0
    while found := await two.exchange(b""):
        heard += [one.message for one in found]
        trips += 1
        assert sum(map(len, (one.message for one in found))) < 2 * MAX_READ_BYTES
    assert heard == told
    assert trips >= 2


async def test_an_empty_server_is_read_from_its_beginning(own_valkey: RealValkey, connect: Any) -> None:
    one, two = [await views_of(connect, own_valkey.url, name) for name in ("w1", "w2")]
    await two.exchange(b"a")
    with own_valkey.client() as sync:
        sync.xadd(keys.VIEW, {"w": "w4", "m": b"x"}, id=f"{int(time.time() * 1000) + 5000}-0")
    assert len(await one.exchange(b"")) == 2
    own_valkey.kill()
    await until(lambda: not one.is_up, 5.0)
    own_valkey.start()
    await until(lambda: one.is_up, 5.0)
    late = await views_of(connect, own_valkey.url, "w3")
    await late.exchange(b"b")
    assert [told.message for told in await one.exchange(b"")] == [b"b"]


async def test_without_redis_it_says_so() -> None:
    with pytest.raises(StateAway):
        await Views(RespClient("unix:///tmp/no-such-server.sock"), "w").exchange(b"a")
