"""Kept answers in the cache store. Away, slow or full, it is as if nothing had been kept."""

import asyncio
from collections.abc import Callable

import hiredis

from gateway.cache.entry import Entry, decode_entry, encode_entry
from gateway.cache.known import Known, told_of
from gateway.state import keys
from gateway.state.resp import RespClient, StateAway, packed_command
from gateway.telemetry.metrics import Metrics

BUDGET_S = 0.02
MAX_UNSENT_BYTES = 16 * 1024 * 1024
"""Of answers on their way to the store; more are not kept."""


GATHER_S = 0.005
"""An answer waits so long for others: what a write and its reply cost a busy worker is shared by ten. Its own memory has it at once."""

MAX_LOOKS = 1000
"""From so many on, or twice those that are open, looks that nobody waited for are let go."""

Look = asyncio.Future[object]
"""An answer that was asked for."""


def _joined(look: Look) -> Look:
    """The same answer for another one, who may leave without taking it away from the first."""
    own: Look = look.get_loop().create_future()

    def over(_: Look) -> None:
        if own.done():
            return
        if look.cancelled() or look.exception() is not None:
            own.set_exception(StateAway("the look was given up"))
            own.exception()  # whoever joined may have left; one that nobody looks at would be logged
        else:
            own.set_result(look.result())

    look.add_done_callback(over)
    return own


class CacheStore:
    """`redis` has the budget and the breaker: a store that is gone costs no time. None = there is no store."""

    def __init__(self, redis: RespClient | None, metrics: Metrics, wall: Callable[[], float]) -> None:
        self._redis = redis
        self._metrics = metrics
        self._wall = wall
        self.generation = ""
        """Answers of another one are not found any more."""
        self.known = Known()
        """What nobody kept is not looked for."""
        self.unsent_bytes = 0
        self._looks: dict[str, Look] = {}
        self._prune_at = MAX_LOOKS
        self._unsent: list[bytes] = []
        self._untold: list[str] = []

    @property
    def is_up(self) -> bool:
        return self._redis is not None and self._redis.is_up

    @property
    def looks(self) -> int:
        """Answers that are looked for now, or were for a request that has ended meanwhile."""
        return len(self._looks)

    def look(self, key: str) -> Look | None:
        """Ask for an answer; `found` waits for it, which the store's budget bounds. None: no store, or nobody kept it.

        Equal requests at the same moment look for it once; when the first of them leaves, it is a miss for all.
        """
        if self._redis is None or not self.known.may_have(key):
            return None
        look = self._looks.get(key)
        if look is not None and not look.done():
            return _joined(look)
        if len(self._looks) >= self._prune_at:
            self._looks = {known: one for known, one in self._looks.items() if not one.done()}
            self._prune_at = max(MAX_LOOKS, 2 * len(self._looks))  # many may be open: not at each further one
        try:
            look = self._redis.ask("GET", keys.cached_answer(self.generation, key))
        except StateAway:
            self._metrics.cache_failures.add(("get",))
            return None
        self._looks[key] = look
        return look

    async def found(self, key: str, look: Look) -> Entry | None:
        """The answer, if it is there, readable and not too old."""
        assert self._redis is not None
        try:
            data = self._redis.answer_of(await look)
        except (StateAway, hiredis.ReplyError):
            self._metrics.cache_failures.add(("get",))
            data = None
        first = self._looks.get(key)
        if first is not None and first.done():
            del self._looks[key]
        if not isinstance(data, bytes):
            return None
        entry = decode_entry(data)
        return entry if entry is not None and entry.expires_at > self._wall() else None

    async def get(self, key: str) -> Entry | None:
        """Both at once."""
        look = self.look(key)
        return None if look is None else await self.found(key, look)

    def put(self, key: str, entry: Entry) -> bool:
        """Have it sent with others soon, and wait for nothing. False when it will not be."""
        if self._redis is None:
            return False
        if not self._redis.is_up:
            self._metrics.cache_failures.add(("put",))
            return False
        left_ms = int((entry.expires_at - self._wall()) * 1000)
        if left_ms <= 0:
            return False
        command = packed_command("SET", keys.cached_answer(self.generation, key), encode_entry(entry), "PX", left_ms)
        if self.unsent_bytes + len(command) > MAX_UNSENT_BYTES:
            return False
        self.unsent_bytes += len(command)
        self._unsent.append(command)
        self._untold.append(key)
        if len(self._unsent) == 1:
            asyncio.get_running_loop().call_later(GATHER_S, self.flush)
        return True

    def flush(self) -> None:
        """Send what has gathered."""
        commands, self._unsent = self._unsent, []
        told, self._untold = told_of(self._untold), []
        if not commands or self._redis is None:
            return
        size = sum(map(len, commands))
        commands.append(packed_command("PUBLISH", keys.KEPT, told))  # with them: what nobody was told of is not found
        if self.known.is_whole:
            self.known.add(told)

        def over(failed: int) -> None:
            self.unsent_bytes -= size
            if failed:
                self._metrics.cache_failures.add(("put",), failed)

        try:
            self._redis.send_all(commands, over)
        except StateAway:
            over(len(commands))
