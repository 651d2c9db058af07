"""Follow the published configuration: hear the news, poll with jitter (news can be lost), compile aside, swap.

Whatever cannot be read or compiled is counted and logged, and the old Runtime goes on serving.
"""

import asyncio
import gc
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import redis.asyncio
import redis.exceptions
import structlog

from gateway.accounting.monitor import Monitor
from gateway.config.lastgood import load_lastgood, save_lastgood
from gateway.config.snapshot import UnreadableSnapshot
from gateway.providers.spec import ProviderSpec
from gateway.runtime import RuntimeHolder, compile_runtime, read_snapshot
from gateway.state import keys
from gateway.state.client import make_client
from gateway.state.keyring import Keyring
from gateway.state.rests import Rests
from gateway.state.slots import Slots
from gateway.telemetry.metrics import Metrics

_log = structlog.get_logger()

POLL_S = 2.0
RECONNECT_MIN_S, RECONNECT_MAX_S = 0.1, 3.0


class SnapshotWatch:
    """Keeps the holder at the current revision."""

    def __init__(
        self,
        url: str,
        holder: RuntimeHolder,
        keyring: Keyring,
        specs: Mapping[str, ProviderSpec],
        encryption_key: bytes,
        lastgood: Path,
        metrics: Metrics,
        rests: Rests,
        slots: Slots,
        monitor: Monitor,
    ) -> None:
        self._monitor = monitor
        self._rests = rests
        self._slots = slots
        self._url = url
        self._holder = holder
        self._keyring = keyring
        self._specs = specs
        self._encryption_key = encryption_key
        self._lastgood = lastgood
        self._metrics = metrics

    async def start_from_lastgood(self) -> None:
        """Serve what was served before, without waiting for anybody."""
        snapshot = load_lastgood(self._lastgood)
        if snapshot is not None:
            with _out_of_the_collectors_way():
                self._holder.swap(await compile_runtime(snapshot, self._specs, self._encryption_key))
            self._metrics.snapshot_revision.set(snapshot.revision)

    async def run(self) -> None:
        delay_s = RECONNECT_MIN_S
        while True:
            client = make_client(self._url, socket_connect_timeout=2.0, socket_timeout=5.0)
            try:
                async with client, client.pubsub() as news:
                    await news.subscribe(keys.NEWS)
                    delay_s = RECONNECT_MIN_S
                    while True:
                        await self._catch_up(client)
                        await self._listen(news)
            except (redis.exceptions.RedisError, OSError, TimeoutError) as error:
                _log.debug("news_away", cause=type(error).__name__)
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))
            delay_s = min(RECONNECT_MAX_S, delay_s * 2)

    async def _listen(self, news: "redis.asyncio.client.PubSub") -> None:
        """Handle news until a snapshot is announced or it is time to poll."""
        loop = asyncio.get_running_loop()
        until = loop.time() + POLL_S * random.uniform(0.75, 1.25)
        while (left_s := until - loop.time()) > 0:
            message = await news.get_message(ignore_subscribe_messages=True, timeout=left_s)
            if message is None:
                continue
            kind, _, value = message["data"].decode().partition(":")
            if kind == "key":
                self._keyring.forget(value)
            elif kind == "rest":
                self._rests.heard(value)
            elif kind == "pace":
                self._slots.forget(value)
            elif kind == "watch":
                self._monitor.hear(value)
            else:
                return

    async def _catch_up(self, client: "redis.asyncio.Redis") -> None:
        current = await client.get(keys.SNAPSHOT_CURRENT)
        if current is None or int(current) == self._holder.revision:
            return
        revision = int(current)
        data = await client.get(keys.snapshot(revision))
        if data is None:
            self._refuse("missing", revision, "it was announced and is not there")
            return
        assert isinstance(data, bytes)
        try:
            with _out_of_the_collectors_way():
                runtime = await compile_runtime(await read_snapshot(data), self._specs, self._encryption_key)
        except UnreadableSnapshot as error:
            self._refuse("unreadable", revision, str(error))
            return
        self._holder.swap(runtime)
        self._metrics.snapshot_revision.set(revision)
        await asyncio.to_thread(save_lastgood, self._lastgood, data)
        _log.info("configuration_swapped", revision=revision)

    def _refuse(self, reason: str, revision: int, cause: str) -> None:
        self._metrics.snapshot_failures.add((reason,))
        _log.error("snapshot_refused", revision=revision, cause=cause, kept=self._holder.revision)


@contextmanager
def _out_of_the_collectors_way() -> Iterator[None]:
    """What is made here lives until the next revision and holds no cycles; Python frees it by its counts.

    The collector would look at all of it while it grows and now and then later, 20 to 60 ms at once for thousands of accounts.
    What waits for the collector is let go first, or it would be kept with it: 250 kB with each revision under load.
    """
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
