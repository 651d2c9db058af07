"""Kept answers in the cache store. Away, slow or full, it is as if nothing had been kept."""

import asyncio
from collections.abc import Callable

import hiredis

from gateway.cache.entry import Entry, decode_entry, encode_entry
from gateway.state import keys
from gateway.state.resp import RespClient, StateAway
from gateway.telemetry.metrics import Metrics

BUDGET_S = 0.02
MAX_UNSENT_BYTES = 16 * 1024 * 1024
"""Of answers on their way to the store; more are not kept."""


class CacheStore:
    """`redis` has the budget and the breaker: a store that is gone costs no time. None = there is no store."""

    def __init__(self, redis: RespClient | None, metrics: Metrics, wall: Callable[[], float]) -> None:
        self._redis = redis
        self._metrics = metrics
        self._wall = wall
        self.generation = ""
        """Answers of another one are not found any more."""
        self.unsent_bytes = 0
        self._looks: dict[str, asyncio.Future[Entry | None]] = {}

    @property
    def is_up(self) -> bool:
        return self._redis is not None and self._redis.is_up

    @property
    def looks(self) -> int:
        """Answers that are looked for now: at most one for each open request, and for no longer than the budget."""
        return len(self._looks)

    async def get(self, key: str) -> Entry | None:
        """The answer, if it is there, readable and not too old. Equal requests at the same moment look for it once."""
        if self._redis is None:
            return None
        look = self._looks.get(key)
        if look is not None:
            return await asyncio.shield(look)
        look = self._looks[key] = asyncio.get_running_loop().create_future()
        found = None
        try:
            found = await self._look(self._redis, key)
        finally:
            del self._looks[key]
            look.set_result(found)  # also when who looked has left: a miss for the others
        return found

    async def _look(self, redis: RespClient, key: str) -> Entry | None:
        try:
            data = await redis.call("GET", keys.cached_answer(self.generation, key))
        except (StateAway, hiredis.ReplyError):
            self._metrics.cache_failures.add(("get",))
            return None
        if not isinstance(data, bytes):
            return None
        entry = decode_entry(data)
        return entry if entry is not None and entry.expires_at > self._wall() else None

    def put(self, key: str, entry: Entry) -> bool:
        """Send it and wait for nothing. False when it was not even sent."""
        if self._redis is None:
            return False
        data = encode_entry(entry)
        left_ms = int((entry.expires_at - self._wall()) * 1000)
        if left_ms <= 0 or self.unsent_bytes + len(data) > MAX_UNSENT_BYTES:
            return False
        try:
            sent = self._redis.send("SET", keys.cached_answer(self.generation, key), data, "PX", left_ms)
        except StateAway:
            self._metrics.cache_failures.add(("put",))
            return False
        self.unsent_bytes += len(data)
        sent.add_done_callback(lambda future: self._arrived(future, len(data)))
        return True

    def _arrived(self, sent: "asyncio.Future[object]", size: int) -> None:
        self.unsent_bytes -= size
        if sent.cancelled() or sent.exception() is not None or isinstance(sent.result(), hiredis.ReplyError):
            self._metrics.cache_failures.add(("put",))
