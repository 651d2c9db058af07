"""Spooled records reach the stream when the server is back; a file goes only when all its lines are there."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.domain.record import RequestRecord, decode_record, encode_record
from gateway.state import keys
from gateway.state.resp import RespClient
from gateway.state.spool import Spool
from gateway.tasks import replay_spool as replay_module
from gateway.tasks.replay_spool import replay_spool
from tests.gateway.state.conftest import until
from tests.support.real_valkey import RealValkey


@pytest.fixture
def server() -> Iterator[RealValkey]:
    with RealValkey() as server:
        yield server


def record(name: str) -> bytes:
    return encode_record(
        RequestRecord(id=name, at=1.0, worker="w", endpoint="/x", dialect="openai_chat", requested_model="m")
    )


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "EVERY_S", 0.05)
    monkeypatch.setattr(replay_module, "BATCH", 7)


async def test_records_are_replayed_when_the_server_is_back(server: RealValkey, tmp_path: Path) -> None:
    server.kill()
    redis, spool = RespClient(server.url), Spool(tmp_path, "w")
    redis.start()
    replaying = asyncio.ensure_future(replay_spool(redis, spool, tmp_path, 1000))
    ours, theirs = [f"own{i}" for i in range(20)], [f"dead{i}" for i in range(5)]
    for name in ours:
        spool.append(record(name))
    dead = Spool(tmp_path, "dead")
    for name in theirs:
        dead.append(record(name))
    dead.release()
    await asyncio.sleep(0.2)
    assert len(list(tmp_path.glob("*.ndjson"))) == 2
    server.start()
    with server.client() as sync:
        sync.hset(keys.inflight("w"), "own0", "note")
        await until(lambda: sync.xlen(keys.RECORDS) == 25)
        await until(lambda: not list(tmp_path.iterdir()))
        assert [decode_record(fields[b"r"]).id for _, fields in sync.xrange(keys.RECORDS)] == [*theirs, *ours]
        assert sync.hlen(keys.inflight("w")) == 0
    spool.append(record("later"))
    with server.client() as sync:
        await until(lambda: sync.xlen(keys.RECORDS) == 26)
    replaying.cancel()
    await asyncio.gather(replaying, return_exceptions=True)
    await redis.close()


async def test_a_file_stays_while_the_stream_takes_nothing(server: RealValkey, tmp_path: Path) -> None:
    redis, spool = RespClient(server.url), Spool(tmp_path, "w")
    redis.start()
    with server.client() as sync:
        sync.set(keys.RECORDS, "not a stream")
        spool.append(record("r1"))
        replaying = asyncio.ensure_future(replay_spool(redis, spool, tmp_path, 1000))
        await asyncio.sleep(0.3)
        assert len(list(tmp_path.iterdir())) == 1
        sync.delete(keys.RECORDS)
        await until(lambda: sync.exists(keys.RECORDS) == 1 and not list(tmp_path.iterdir()))
    replaying.cancel()
    await asyncio.gather(replaying, return_exceptions=True)
    await redis.close()


async def test_while_the_stream_is_full_records_stay_on_disk_and_follow_as_it_empties(
    server: RealValkey, tmp_path: Path
) -> None:
    most, count = 40, 60
    redis, spool = RespClient(server.url), Spool(tmp_path, "w")
    redis.start()
    with server.client() as sync:
        for number in range(most):
            sync.xadd(keys.RECORDS, {"r": record(f"before{number}")})
        for number in range(count):
            spool.append(record(f"own{number}"))
        replaying = asyncio.ensure_future(replay_spool(redis, spool, tmp_path, most))
        await until(lambda: redis.is_up)
        await asyncio.sleep(0.3)
        assert sync.xlen(keys.RECORDS) == most, "not one more"
        taken = []
        while len(taken) < most + count:
            assert sync.xlen(keys.RECORDS) <= most
            for entry, fields in sync.xrange(keys.RECORDS, count=5):
                taken.append(decode_record(fields[b"r"]).id)
                sync.xdel(keys.RECORDS, entry)
            await asyncio.sleep(0.01)
        assert taken[most:] == [f"own{number}" for number in range(count)]
        await until(lambda: not list(tmp_path.iterdir()))
    replaying.cancel()
    await asyncio.gather(replaying, return_exceptions=True)
    await redis.close()
