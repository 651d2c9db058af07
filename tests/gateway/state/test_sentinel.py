"""Both clients find the primary of now through real Sentinels, after its death and after its return as a replica."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from redis.exceptions import RedisError

from gateway.state.address import Address, NoPrimary, find_primary
from gateway.state.client import make_client
from gateway.state.resp import Script, StateAway
from tests.support.product import free_port
from tests.support.real_sentinel import RealSentinel

LEASE = Script("take_lease")


@pytest.fixture
def sentinel() -> Iterator[RealSentinel]:
    with RealSentinel() as running:
        yield running


@pytest.mark.parametrize("by_freezing", [False, True], ids=["killed", "frozen"])
async def test_after_a_failover_both_clients_talk_to_the_new_primary(
    sentinel: RealSentinel, connect: Any, by_freezing: bool
) -> None:
    client = await connect(sentinel.url, connect_s=0.5)
    other = make_client(sentinel.url, socket_connect_timeout=0.5, socket_timeout=0.5)
    async with other:
        assert await client.run(LEASE, ("lease",), ("mine", 60_000)) == 1
        assert await other.get("lease") == b"mine"
        first_id, before = client.run_id, sentinel.primary()
        sentinel.fail_over(by_freezing=by_freezing)

        async def is_served() -> bool:
            with suppress(StateAway):
                return bool(await client.run(LEASE, ("lease",), ("mine", 60_000)) == 1)
            return False

        async def other_is_served() -> bool:
            with suppress(RedisError, OSError):
                return await other.get("lease") == b"mine"
            return False

        await until_true(is_served, 15)
        await until_true(other_is_served, 15)
        assert client.run_id != first_id, "another process: what it may have lost is sent again"
        if by_freezing:  # a primary that comes back is made a replica; nobody may go on with it
            sentinel.thaw(before)
            assert await client.run(LEASE, ("lease",), ("mine", 60_000)) == 1


async def test_a_server_that_was_made_a_replica_is_left(sentinel: RealSentinel, connect: Any) -> None:
    client = await connect(sentinel.url)
    async with make_client(sentinel.url) as other:
        await other.set("a", 1)
        sentinel.hand_over()

        async def both_write_there() -> bool:
            """For a moment the old primary takes writes that are lost."""
            with suppress(StateAway, RedisError, OSError):
                await client.call("SET", "b", 1)
                await other.set("c", 1)
            with sentinel.client(sentinel.primary()) as now:
                return (now.get("b"), now.get("c")) == (b"1", b"1")

        await until_true(both_write_there, 15)


async def test_without_any_sentinel_it_says_why() -> None:
    port = free_port()
    with pytest.raises(NoPrimary, match=f"'main' was not found .*{port}"):
        await find_primary(Address(f"redis+sentinel://127.0.0.1:{port}/main"))


async def test_a_name_that_no_sentinel_knows_is_told(sentinel: RealSentinel) -> None:
    with pytest.raises(NoPrimary, match="'other' was not found"):
        await find_primary(Address(sentinel.url.replace("/shared", "/other")))


async def until_true(wish: Any, within: float) -> None:
    async with asyncio.timeout(within):
        while not await wish():
            await asyncio.sleep(0.02)
