"""The scripts of the request path, on a real server, with two clients that race."""

import asyncio
from typing import Any

import pytest
from redis import Redis

from gateway.state.resp import Script
from tests.support.real_valkey import RealValkey

TAKE, SETTLE = Script("take"), Script("settle")
KEYS = ("key", "epoch", "inflight")


@pytest.fixture
async def pair(valkey: RealValkey, connect: Any) -> tuple[Any, Any]:
    return await connect(valkey.url, budget_s=5.0), await connect(valkey.url, budget_s=5.0)


async def test_take_admits_and_notes_the_request(pair: Any, sync: Redis) -> None:
    sync.hset("key", mapping={"v": 3, "e": "entry"})
    for _ in range(2):  # twice with one id is once
        assert await pair[0].run(TAKE, KEYS, (3, "id", "note")) == [1]
    assert sync.hgetall("inflight") == {b"id": b"note"}


@pytest.mark.parametrize(
    ("entry", "epoch", "version", "answer"),
    [
        ({"v": 4, "e": "newer"}, True, 3, [2, b"newer"]),
        ({"v": 3, "e": "older"}, True, 4, [2, b"older"]),
        (None, True, 3, [0]),
        (None, False, 3, [-1]),
        ({"v": 3, "e": "x"}, False, 3, [1]),
    ],
)
async def test_take_takes_nothing_when_the_key_is_another(
    pair: Any, sync: Redis, entry: Any, epoch: bool, version: int, answer: list[object]
) -> None:
    if entry:
        sync.hset("key", mapping=entry)
    if epoch:
        sync.set("epoch", "1")
    assert await pair[0].run(TAKE, KEYS, (version, "id", "note")) == answer
    assert sync.hlen("inflight") == (1 if answer == [1] else 0)


async def test_two_clients_take_while_the_key_changes_under_them(pair: Any, sync: Redis) -> None:
    sync.hset("key", mapping={"v": 1, "e": "one"})

    async def take(client: Any, name: str) -> list[Any]:
        return [await client.run(TAKE, KEYS, (1, f"{name}{i}", "note")) for i in range(200)]

    async def change() -> None:
        await asyncio.sleep(0.01)
        await pair[0].call("HSET", "key", "v", 2, "e", "two")

    first, second, _ = await asyncio.gather(take(pair[0], "a"), take(pair[1], "b"), change())
    for answers in (first, second):
        admitted = [answer == [1] for answer in answers]
        assert admitted == sorted(admitted, reverse=True)  # never again once it has changed
    admitted = sum(answer == [1] for answer in (*first, *second))
    assert sync.hlen("inflight") == admitted


async def test_settle_appends_and_forgets_at_once(pair: Any, sync: Redis) -> None:
    sync.hset("inflight", mapping={"id": "note", "other": "note"})
    assert await pair[0].run(SETTLE, ("records", "inflight"), ("id", "record", 10)) == 1
    assert [fields for _, fields in sync.xrange("records")] == [{b"r": b"record"}]
    assert sync.hkeys("inflight") == [b"other"]


async def test_two_clients_settle_up_to_the_bound_and_not_beyond(pair: Any, sync: Redis) -> None:
    ids = [f"{name}{i}" for name in "ab" for i in range(100)]
    sync.hset("inflight", mapping=dict.fromkeys(ids, "note"))

    async def settle(client: Any, name: str) -> list[Any]:
        return [await client.run(SETTLE, ("records", "inflight"), (f"{name}{i}", "r", 120)) for i in range(100)]

    answers = [answer for some in await asyncio.gather(settle(pair[0], "a"), settle(pair[1], "b")) for answer in some]
    assert (answers.count(1), answers.count(0)) == (120, 80)
    assert sync.xlen("records") == 120
    assert sync.hlen("inflight") == 80, "a note stays until its record is safe"


def test_scripts_are_named_by_their_digest() -> None:
    assert len(TAKE.sha) == 40
    assert TAKE.sha != SETTLE.sha


HOSTILE = (
    "", "\0", "a\0b", "\r\n*1\r\n$8\r\nFLUSHALL\r\n", "$-1\r\n", "{a}{b}", "}:{", "%s%n", "' or 1=1 --", "\ud7ff\u2028", "x" * 70_000,
    "nan", "-0", "1e309", "9" * 400, "[[[", '{"e":',
)  # fmt: skip


async def test_whatever_stands_in_an_argument_is_data(pair: Any, sync: Redis) -> None:
    """Ids and records hold what callers and operators write: none of it is a command, a pattern or another key."""
    client, _ = pair
    sync.set("bystander", "untouched")
    for text in HOSTILE:
        sync.hset("key", mapping={"v": 3, "e": text})
        assert await client.run(TAKE, KEYS, (3, text, f"note {text}")) == [1]
        assert sync.hgetall("inflight") == {text.encode(): f"note {text}".encode()}
        assert await client.run(TAKE, KEYS, (4, text, "note")) == [2, text.encode()]
        assert await client.run(SETTLE, ("records", "inflight"), (text, f"record {text}", 1000)) == 1
        assert sync.hlen("inflight") == 0
    assert [fields[b"r"].decode() for _, fields in sync.xrange("records")] == [f"record {text}" for text in HOSTILE]
    assert sync.get("bystander") == b"untouched"
    assert sync.dbsize() == 3
