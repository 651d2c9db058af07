"""Trips to a real server: in order, within their budget, and failing fast when it is slow or gone."""

import asyncio
import time
from typing import Any

import hiredis
import pytest

from gateway.state import resp
from gateway.state.resp import RespClient, Script, StateAway
from tests.gateway.state.conftest import until
from tests.support.fault_proxy import FaultProxy
from tests.support.real_valkey import RealValkey


async def test_answers_come_in_the_order_of_the_questions(valkey: RealValkey, connect: Any) -> None:
    client = await connect(valkey.url)
    futures = [client.send("ECHO", str(i)) for i in range(2_000)]
    assert client.waiting == 2_000
    assert [await future for future in futures] == [str(i).encode() for i in range(2_000)]
    assert client.waiting == 0


async def test_every_kind_of_argument_and_answer_passes(valkey: RealValkey, connect: Any) -> None:
    client = await connect(valkey.url)
    blob = bytes(range(256)) * 4_000
    assert await client.call("SET", "k", blob) == b"OK"
    assert await client.call("GET", "k") == blob
    assert await client.call("GET", "absent") is None
    assert await client.call("INCRBY", "n", 5) == 5
    assert await client.call("ECHO", 1.5) == b"1.5"
    assert await client.call("MGET", "n", "absent") == [b"5", None]
    with pytest.raises(hiredis.ReplyError, match="WRONGTYPE"):
        await client.call("HGET", "n", "f")
    assert isinstance(await client.send("HGET", "n", "f"), hiredis.ReplyError)


async def test_a_password_and_a_database_are_used_on_tcp() -> None:
    with RealValkey(password="hunter2") as server:
        client = RespClient(server.url)
        client.start()
        await until(lambda: client.is_up)
        await client.call("SET", "here", "1")
        with server.client() as sync:
            assert sync.connection_pool.connection_kwargs["db"] == 3
            assert sync.get("here") == b"1"
        wrong = RespClient(server.url.replace("hunter2", "wrong"))
        wrong.start()
        await asyncio.sleep(0.1)
        assert not wrong.is_up
        await wrong.close()
        await client.close()


async def test_a_script_that_the_server_has_lost_is_loaded_again(valkey: RealValkey, connect: Any) -> None:
    client = await connect(valkey.url)
    script = Script("take")
    for _ in range(2):
        assert await client.run(
            script, ("k", "epoch", "inflight", "minute", "open"), (1, "id", "note", 0, 0, "w", 15)
        ) == [-1]
        await client.call("SCRIPT", "FLUSH")
    assert await client.run(script, ("k", "epoch", "inflight", "minute", "open"), (1, "id", "note", 0, 0, "w", 15)) == [
        -1
    ]
    assert await client.call("SCRIPT", "EXISTS", script.sha) == [1]


async def test_who_waits_for_the_first_connection_can_make_trips_at_once(valkey: RealValkey) -> None:
    client = RespClient(valkey.url)
    assert not await client.wait_until_up(0.0)
    client.start()
    assert await client.wait_until_up(10.0)
    assert await client.call("PING") == b"PONG"
    await client.close()


async def test_nobody_waits_longer_than_wished_for_a_server_that_is_away() -> None:
    client = RespClient("redis://127.0.0.1:1/0")
    client.start()
    assert not await client.wait_until_up(0.05)
    await client.close()


async def test_without_a_server_a_trip_fails_at_once() -> None:
    client = RespClient("unix:///tmp/no-such-server.sock")
    client.start()
    await asyncio.sleep(0.02)
    assert not client.is_up
    with pytest.raises(StateAway):
        client.send("PING")
    await client.close()


async def test_a_frozen_server_costs_a_budget_then_nothing_and_is_found_again(
    own_valkey: RealValkey, connect: Any
) -> None:
    client = await connect(own_valkey.url)
    own_valkey.freeze()
    try:
        for _ in range(resp.MISSES_TO_OPEN):
            started = time.monotonic()
            with pytest.raises(StateAway, match="budget"):
                await client.call("PING")
            assert 0.04 <= time.monotonic() - started < 20
        assert not client.is_up
        started = time.monotonic()
        for _ in range(1_000):
            with pytest.raises(StateAway, match="too slow"):
                client.send("PING")
        assert time.monotonic() - started < 10, "a thousand budgets are fifty seconds"
    finally:
        own_valkey.thaw()
    await asyncio.sleep(resp.OPEN_S + 0.1)
    assert await client.call("ECHO", "back") == b"back"
    assert client.is_up
    assert [await client.call("ECHO", str(i)) for i in range(10)] == [str(i).encode() for i in range(10)]


async def test_many_trips_at_once_to_a_frozen_server_all_end_within_the_budget(
    own_valkey: RealValkey, connect: Any
) -> None:
    client = await connect(own_valkey.url)
    own_valkey.freeze()
    try:
        started = time.monotonic()
        answers = await asyncio.gather(*[client.call("PING") for _ in range(500)], return_exceptions=True)
        assert all(isinstance(answer, StateAway) for answer in answers)
        assert time.monotonic() - started < 20, "five hundred budgets are twenty-five seconds"
    finally:
        own_valkey.thaw()


async def test_a_late_answer_is_dropped_and_does_not_shift_the_others(valkey: RealValkey, connect: Any) -> None:
    client = await connect(valkey.url)
    late = asyncio.ensure_future(client.call("BLPOP", "never", "0.2", budget_s=0.05))
    with pytest.raises(StateAway):
        await late
    assert await client.call("ECHO", "mine", budget_s=1.0) == b"mine"
    cancelled = asyncio.ensure_future(client.call("BLPOP", "never", "0.1", budget_s=1.0))
    await asyncio.sleep(0.01)
    cancelled.cancel()
    assert await client.call("ECHO", "mine too", budget_s=1.0) == b"mine too"


async def test_a_killed_server_fails_waiting_trips_and_another_one_is_told_apart(
    own_valkey: RealValkey, connect: Any
) -> None:
    client = await connect(own_valkey.url)
    ups: list[bool] = []
    client.on_up = ups.append
    first_id = client.run_id
    waiting = asyncio.ensure_future(client.call("BLPOP", "never", "0", budget_s=5.0))
    await asyncio.sleep(0.02)
    own_valkey.kill()
    with pytest.raises(StateAway, match="lost"):
        await asyncio.wait_for(waiting, 1)
    assert not client.is_up
    own_valkey.start()
    await until(lambda: client.is_up)
    assert await client.call("PING") in (b"PONG", "PONG")
    assert client.run_id != first_id
    assert ups == [True]


async def test_the_same_server_after_a_cut_is_the_same(connect: Any) -> None:
    with RealValkey(password="pw") as server:
        port = int(server.url.rpartition(":")[2].partition("/")[0])
        async with FaultProxy("127.0.0.1", port) as proxy:
            client = await connect(server.url.replace(f":{port}/", f":{proxy.port}/"))
            ups: list[bool] = []
            client.on_up = ups.append
            proxy.reset_all()
            await until(lambda: ups == [False])
            assert await client.call("PING", budget_s=1.0) is not None


async def test_the_queue_is_bounded(own_valkey: RealValkey, connect: Any) -> None:
    client = await connect(own_valkey.url)
    own_valkey.freeze()
    try:
        for _ in range(resp.MAX_WAITING):
            client.send("PING").add_done_callback(lambda done: done.cancelled() or done.exception())
        with pytest.raises(StateAway, match="too many"):
            client.send("PING")
    finally:
        own_valkey.thaw()
    await until(lambda: client.waiting == 0, within=10)


async def test_bytes_that_are_no_resp_end_the_connection(connect: Any) -> None:
    """Whatever listens there, garbage is an outage and no crash."""

    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(garbage, "127.0.0.1", 0)
    client = RespClient(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    client.start()
    await asyncio.sleep(0.1)
    assert not client.is_up
    await client.close()
    server.close()


@pytest.mark.parametrize("answer", ["LOADING server is loading", "OOM no memory", "READONLY replica", "MISCONF disk"])
async def test_answers_that_mean_an_outage_are_one(answer: str) -> None:
    with pytest.raises(StateAway):
        resp._checked(hiredis.ReplyError(answer))
