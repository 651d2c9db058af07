"""Every request is noted before it runs and its record is safe before its last byte; nothing is refused for Redis's sake."""

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis import Redis

from gateway.config.keys import digest_of
from gateway.domain.caller import ANONYMOUS, Caller
from gateway.domain.errors import Unauthorized
from gateway.domain.record import RequestRecord, decode_record
from gateway.state import keys
from gateway.state.holds import NO_HOLD, RECENT_S, Hold, Holds
from gateway.state.keyring import Keyring
from gateway.state.resp import RespClient
from gateway.state.spool import Spool, adoptable
from gateway.telemetry.metrics import Metrics
from tests.gateway.state.conftest import until
from tests.gateway.state.test_keyring import DIGEST, PEPPER, SECRET, publish
from tests.support.real_valkey import RealValkey


def record(name: str, **fields: Any) -> RequestRecord:
    return RequestRecord(
        id=name, at=1.0, worker="w", endpoint="/x", dialect="openai_chat", requested_model="m", **fields
    )


class Bench:
    """A worker's holds with all that they stand on. `now` is the clock they see, `wall` the calendar."""

    def __init__(self, redis: RespClient, folder: Path, **options: Any) -> None:
        self.now, self.wall = 100.0, time.time
        self.metrics, self.folder, self.redis = Metrics(), folder, redis
        self.keyring, self.spool = Keyring(redis, PEPPER), Spool(folder, "w")
        self.holds = Holds(
            redis,
            self.keyring,
            self.spool,
            "w",
            self.metrics,
            lambda: self.now,
            wall=lambda: self.wall(),  # noqa: PLW0108  (a test may set another)
            **options,
        )

    def spooled(self) -> list[str]:
        self.spool.release()
        return [decode_record(line).id for _, lines in adoptable(self.folder) for line in lines]


def streamed(sync: Redis) -> list[str]:
    return [decode_record(fields[b"r"]).id for _, fields in sync.xrange(keys.RECORDS)]


@pytest.fixture
async def bench(valkey: RealValkey, connect: Any, tmp_path: Path) -> Bench:
    return Bench(await connect(valkey.url), tmp_path)


@pytest.fixture
async def lonely(tmp_path: Path) -> Bench:
    return Bench(RespClient("unix:///tmp/no-such-server.sock"), tmp_path)


async def test_take_notes_and_settle_moves_the_note_to_the_ledger(bench: Bench, sync: Redis) -> None:
    publish(sync)
    caller = await bench.keyring.identify(SECRET)
    hold = await bench.holds.take(caller, record("r1", state="lost"))
    assert hold == Hold(DIGEST)
    assert decode_record(sync.hget(keys.inflight("w"), "r1")).state == "lost"
    assert await bench.holds.settle(record("r1", status=200), hold) == "stream"
    assert streamed(sync) == ["r1"]
    assert sync.hlen(keys.inflight("w")) == 0
    assert bench.metrics.records.pending == {("stream",): 1}


async def test_a_caller_without_a_key_is_noted_too(bench: Bench, sync: Redis) -> None:
    assert await bench.holds.take(ANONYMOUS, record("r1")) == NO_HOLD
    await until(lambda: sync.hlen(keys.inflight("w")) == 1)


async def test_a_key_that_changed_is_given_back_with_its_new_rights(bench: Bench, sync: Redis) -> None:
    publish(sync)
    old = await bench.keyring.identify(SECRET)
    publish(sync, version=2, allowed_models=("local/m1",))
    newer = await bench.holds.take(old, record("r1"))
    assert isinstance(newer, Caller)
    assert (newer.version, newer.allowed_models) == (2, ("local/m1",))
    assert sync.hlen(keys.inflight("w")) == 0
    assert await bench.holds.take(newer, record("r1")) == Hold(DIGEST)


async def test_a_revoked_key_is_refused_though_its_news_was_lost(bench: Bench, sync: Redis) -> None:
    publish(sync)
    caller = await bench.keyring.identify(SECRET)
    sync.delete(keys.key(DIGEST))
    with pytest.raises(Unauthorized):
        await bench.holds.take(caller, record("r1"))
    with pytest.raises(Unauthorized):
        await bench.keyring.identify(SECRET)


async def test_an_emptied_server_does_not_refuse_a_key_that_was_checked(bench: Bench, sync: Redis) -> None:
    publish(sync)
    caller = await bench.keyring.identify(SECRET)
    sync.flushall()
    assert await bench.holds.take(caller, record("r1")) == Hold(DIGEST)
    await until(lambda: sync.hlen(keys.inflight("w")) == 1)


async def test_without_redis_requests_are_admitted_and_records_spooled(lonely: Bench) -> None:
    caller = Caller(key_id="k", key_name="k", digest=digest_of(SECRET, PEPPER), version=1)
    assert await lonely.holds.take(caller, record("r1")) == Hold(DIGEST)
    assert await lonely.holds.take(ANONYMOUS, record("r2")) == NO_HOLD
    assert await lonely.holds.settle(record("r1"), NO_HOLD) == "spool"
    assert lonely.spooled() == ["r1"]
    assert lonely.metrics.redis_errors.pending == {("take",): 2, ("settle",): 1}
    assert lonely.metrics.records.pending == {("spool",): 1}


async def test_a_frozen_server_holds_a_record_for_its_budget_only(
    own_valkey: RealValkey, connect: Any, tmp_path: Path
) -> None:
    bench = Bench(await connect(own_valkey.url), tmp_path)
    own_valkey.freeze()
    try:
        async with asyncio.timeout(20):
            assert await bench.holds.settle(record("r1"), NO_HOLD) == "spool"
    finally:
        own_valkey.thaw()
    assert bench.spooled() == ["r1"]


async def test_a_full_stream_goes_to_disk(valkey: RealValkey, connect: Any, tmp_path: Path, sync: Redis) -> None:
    bench = Bench(await connect(valkey.url), tmp_path, max_stream_entries=2)
    assert [await bench.holds.settle(record(f"r{i}"), NO_HOLD) for i in range(4)] == [
        "stream",
        "stream",
        "spool",
        "spool",
    ]
    assert (streamed(sync), bench.spooled()) == (["r0", "r1"], ["r2", "r3"])


async def test_when_the_disk_takes_nothing_either_the_loss_is_counted(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    bench = Bench(RespClient("unix:///tmp/no-such-server.sock"), tmp_path / "file" / "spool")
    assert await bench.holds.settle(record("r1"), NO_HOLD) == "lost"
    assert bench.metrics.records.pending == {("lost",): 1}


async def test_a_cancelled_settle_leaves_the_record_somewhere(
    own_valkey: RealValkey, connect: Any, tmp_path: Path
) -> None:
    bench = Bench(await connect(own_valkey.url), tmp_path)
    own_valkey.freeze()
    try:
        settling = asyncio.ensure_future(bench.holds.settle(record("r1"), NO_HOLD))
        await asyncio.sleep(0.01)
        settling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await settling
    finally:
        own_valkey.thaw()
    assert bench.spooled() == ["r1"]


async def test_another_server_gets_the_last_seconds_again(own_valkey: RealValkey, connect: Any, tmp_path: Path) -> None:
    client = await connect(own_valkey.url)
    bench = Bench(client, tmp_path)
    client.on_up = lambda is_another: bench.holds.resend_recent() if is_another else None
    await bench.holds.settle(record("old"), NO_HOLD)
    bench.now += RECENT_S + 1
    for name in ("r1", "r2"):
        await bench.holds.settle(record(name), NO_HOLD)
    own_valkey.kill()
    own_valkey.start()
    with own_valkey.client() as sync:
        await until(lambda: sync.xlen(keys.RECORDS) == 2)
        assert streamed(sync) == ["r1", "r2"]


async def test_recent_records_are_let_go(bench: Bench) -> None:
    for i in range(5):
        bench.now += RECENT_S / 2
        await bench.holds.settle(record(f"r{i}"), NO_HOLD)
    assert bench.holds.recent <= 3


async def test_a_record_says_the_same_after_its_way(bench: Bench, sync: Redis) -> None:
    sent = record("r1", status=200, model='quo"te ü', duration_ms=1.5, first_byte_ms=0.25)
    await bench.holds.settle(sent, NO_HOLD)
    ((_, fields),) = sync.xrange(keys.RECORDS)
    assert decode_record(fields[b"r"]) == sent
    assert msgspec.json.decode(fields[b"r"])["id"] == "r1"


async def test_what_began_while_the_server_was_away_is_noted_when_it_is_back(bench: Bench, sync: Redis) -> None:
    bench.holds.note_again([record("r1", state="lost"), record("r2", state="lost")])
    await until(lambda: sync.hlen(keys.inflight("w")) == 2)
    assert sync.sismember(keys.WORKERS, "w")
