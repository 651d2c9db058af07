"""A published configuration reaches the worker at once, or at the next poll; a bad one changes nothing."""

import asyncio
import gc
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from gateway.accounting.monitor import Monitor
from gateway.config.lastgood import load_lastgood
from gateway.config.snapshot import SCHEMA, Node, Snapshot, encode_snapshot
from gateway.domain.rest import Resilience
from gateway.domain.waiting import Waiting
from gateway.runtime import RuntimeHolder
from gateway.state import keys
from gateway.state.keyring import Keyring
from gateway.state.resp import RespClient
from gateway.state.rests import Rests
from gateway.state.slots import Slots
from gateway.tasks import watch_snapshot as watch_module
from gateway.tasks.watch_snapshot import SnapshotWatch
from gateway.telemetry.metrics import Metrics
from tests.gateway.state.conftest import until
from tests.support.real_valkey import RealValkey


@pytest.fixture
def server() -> Iterator[RealValkey]:
    with RealValkey() as server:
        yield server


class Bench:
    """A worker's watch with what it changes."""

    def __init__(self, url: str, folder: Path) -> None:
        self.holder, self.metrics, self.folder = RuntimeHolder(), Metrics(), folder
        self.keyring = Keyring(RespClient(url), b"pepper")
        rests = Rests(RespClient(url), "w", time.monotonic, Resilience)
        slots = Slots(RespClient(url), "w", Waiting)
        self.monitor = Monitor(RespClient(url), self.metrics)
        self.watch = SnapshotWatch(
            url, self.holder, self.keyring, {}, bytes(32), folder, self.metrics, rests, slots, self.monitor
        )


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Callable[[str], Bench]]:
    running: list[asyncio.Future[None]] = []

    def make(url: str) -> Bench:
        bench = Bench(url, tmp_path)
        running.append(asyncio.ensure_future(bench.watch.run()))
        return bench

    yield make
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


def publish(sync: Redis, revision: int, *, data: bytes | None = None, tells: bool = True) -> None:
    snapshot = Snapshot(
        schema=SCHEMA, revision=revision, nodes=(Node(f"n{revision}", "n", "openai_chat", "http://x.test"),)
    )
    sync.set(keys.snapshot(revision), encode_snapshot(snapshot) if data is None else data)
    sync.set(keys.SNAPSHOT_CURRENT, revision)
    if tells:
        sync.publish(keys.NEWS, f"snapshot:{revision}")


def revision_on_disk(folder: Path) -> int | None:
    snapshot = load_lastgood(folder)
    return snapshot.revision if snapshot is not None else None


async def test_a_published_revision_is_swapped_in_at_once_and_kept_on_disk(
    server: RealValkey, make: Callable[[str], Bench], tmp_path: Path
) -> None:
    bench = make(server.url)
    with server.client() as sync:
        for revision in (1, 2):
            publish(sync, revision)
            await until(lambda: bench.holder.revision == revision, within=1.0)  # noqa: B023  (awaited here)
    await until(lambda: revision_on_disk(tmp_path) == 2)  # it is written after it is served
    successor = Bench("unix:///tmp/no-such-server.sock", tmp_path)
    await successor.watch.start_from_lastgood()
    assert successor.holder.revision == 2
    assert successor.holder.is_ready


async def test_what_a_revision_holds_is_never_looked_at_by_the_collector(
    server: RealValkey, make: Callable[[str], Bench]
) -> None:
    gc.unfreeze()
    bench = make(server.url)
    with server.client() as sync:
        publish(sync, 1)
        await until(lambda: bench.holder.revision == 1, within=1.0)
        publish(sync, 2, data=b"no snapshot")
        await until(lambda: ("unreadable",) in bench.metrics.snapshot_failures.pending, within=1.0)
    assert gc.isenabled(), "after one that failed too"
    assert id(bench.holder.current()) not in {id(one) for one in gc.get_objects()}


class Ring:
    """Found by the collector alone once nobody holds it."""

    def __init__(self) -> None:
        self.itself = self


async def test_what_requests_left_for_the_collector_is_not_kept_for_ever(
    server: RealValkey, make: Callable[[str], Bench]
) -> None:
    bench = make(server.url)
    with server.client() as sync:
        gc.disable()
        rings = [weakref.ref(Ring()) for _ in range(3)]
        publish(sync, 1)
        await until(lambda: bench.holder.revision == 1, within=1.0)
        await until(gc.isenabled)
    gc.collect()
    assert [ring() for ring in rings] == [None] * 3


async def test_news_that_was_lost_is_found_by_polling(
    server: RealValkey, make: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "POLL_S", 0.2)
    bench = make(server.url)
    await asyncio.sleep(0.1)
    with server.client() as sync:
        publish(sync, 5, tells=False)
        await until(lambda: bench.holder.revision == 5)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"schema":99,"revision":2}', b"\xff"])
async def test_what_cannot_be_read_changes_nothing(
    server: RealValkey, make: Callable[[str], Bench], data: bytes
) -> None:
    bench = make(server.url)
    with server.client() as sync:
        publish(sync, 1)
        await until(lambda: bench.holder.revision == 1)
        publish(sync, 2, data=data)
        await until(lambda: bool(bench.metrics.snapshot_failures.pending))
        assert bench.holder.revision == 1
        publish(sync, 3)
        await until(lambda: bench.holder.revision == 3)


async def test_a_revision_that_is_announced_and_not_there_changes_nothing(
    server: RealValkey, make: Callable[[str], Bench]
) -> None:
    bench = make(server.url)
    with server.client() as sync:
        sync.set(keys.SNAPSHOT_CURRENT, 7)
        sync.publish(keys.NEWS, "snapshot:7")
        await until(lambda: bench.metrics.snapshot_failures.pending == {("missing",): 1})
    assert not bench.holder.is_ready


async def test_news_of_a_key_drops_what_is_held_of_it(server: RealValkey, make: Callable[[str], Bench]) -> None:
    bench = make(server.url)
    bench.keyring.misses["digest-1"] = bench.keyring.misses["digest-2"] = 1e12
    with server.client() as sync:
        await until(lambda: sync.pubsub_numsub(keys.NEWS)[0][1] == 1)
        sync.publish(keys.NEWS, "key:digest-1")
        await until(lambda: set(bench.keyring.misses) == {"digest-2"})


async def test_a_server_that_comes_back_is_followed_again(server: RealValkey, make: Callable[[str], Bench]) -> None:
    bench = make(server.url)
    with server.client() as sync:
        publish(sync, 1)
    await until(lambda: bench.holder.revision == 1)
    server.kill()
    await asyncio.sleep(0.1)
    assert bench.holder.revision == 1
    server.start()
    with server.client() as sync:
        publish(sync, 2)
    await until(lambda: bench.holder.revision == 2)
