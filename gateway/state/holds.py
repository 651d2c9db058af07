"""What a request has taken, and giving it back: the two trips of the request path, `take` and `settle`.

While Redis is away a hold is taken locally (nothing is refused for Redis's sake) and records go to the spool.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Literal

import msgspec
import structlog

from gateway.config.snapshot import decode_key_entry
from gateway.domain.caller import Caller
from gateway.domain.errors import OverLimit
from gateway.domain.record import RequestRecord, encode_record
from gateway.state import keys
from gateway.state.keyring import Keyring
from gateway.state.resp import RespClient, Script, StateAway
from gateway.state.spool import Spool, SpoolFull
from gateway.telemetry.metrics import Metrics

_log = structlog.get_logger()

MAX_STREAM_ENTRIES = 1_000_000
RECENT_S, MAX_RECENT = 10.0, 50_000
"""A server that loses its last second (AOF everysec) gets the last ten again; the ledger keeps one row an id."""

_TAKE = Script("take")
_SETTLE = Script("settle")
_RENEW_OPEN = Script("renew_open")


class Hold(msgspec.Struct, frozen=True):
    """What one request has taken. `slot_worker` is given to `settle` when a slot may have been taken in Redis."""

    digest: str = ""
    slot_worker: str = ""
    is_counted: bool = False


NO_HOLD = Hold()
"""Of a request that was refused before it took anything."""


class Holds:
    """Takes and settles for one worker."""

    def __init__(
        self,
        redis: RespClient,
        keyring: Keyring,
        spool: Spool,
        worker: str,
        metrics: Metrics,
        clock: Callable[[], float],
    ) -> None:
        self._redis = redis
        self._keyring = keyring
        self._spool = spool
        self._worker = worker
        self._inflight = keys.inflight(worker)
        self._is_listed = False
        self._metrics = metrics
        self._clock = clock
        self.open_by_key: dict[str, int] = {}
        """Open requests of keys that have a limit on them, by digest."""
        self._recent: deque[tuple[float, bytes]] = deque(maxlen=MAX_RECENT)

    @property
    def recent(self) -> int:
        return len(self._recent)

    async def take(self, caller: Caller, note: RequestRecord) -> Hold | Caller:
        """Admit the request and note it in flight. Returns a newer Caller when the key has changed: ask again.

        `note` is the record that the ledger writes if this worker dies. Raises Unauthorized, Unavailable, OverLimit.
        """
        blob = encode_record(note)
        if not self._is_listed:
            self._list_worker()
        if not caller.digest:
            self._note_only(note.id, blob)
            return NO_HOLD
        hold = Hold(caller.digest, self._worker) if caller.concurrency else Hold(caller.digest)
        try:
            answer = await self._redis.run(
                _TAKE,
                (
                    keys.key(caller.digest),
                    keys.KEYRING_EPOCH,
                    self._inflight,
                    keys.key_minute(caller.digest),
                    keys.key_open(caller.digest),
                ),
                (caller.version, note.id, blob, caller.rpm, caller.concurrency, self._worker, keys.OPEN_TTL_S),
            )
        except StateAway:
            self._metrics.redis_errors.add(("take",))
            return hold
        assert isinstance(answer, list)
        if answer[0] == 1:
            if not caller.concurrency:
                return hold
            self.open_by_key[caller.digest] = self.open_by_key.get(caller.digest, 0) + 1
            return Hold(caller.digest, self._worker, is_counted=True)
        if answer[0] == 3:
            limit = answer[1].decode()
            raise OverLimit(limit, caller.rpm if limit == "rpm" else caller.concurrency, float(answer[2]))
        if answer[0] == 2:
            return self._keyring.learn(caller.digest, decode_key_entry(answer[1]))
        if answer[0] == -1:  # the server was emptied: what we checked before still holds
            self._note_only(note.id, blob)
            return hold
        return await self._keyring.refresh(caller)

    async def settle(self, record: RequestRecord, hold: Hold) -> Literal["stream", "spool", "lost"]:
        """Hand the record over: in the stream, or on disk, before this returns (50 ms at most for the stream)."""
        blob = encode_record(record)
        if hold.is_counted:
            self._close_one(hold.digest)
        path: Literal["stream", "spool", "lost"] = "stream"
        try:
            answer = await self._redis.run(
                _SETTLE,
                (keys.RECORDS, self._inflight, keys.key_open(hold.digest)),
                (record.id, blob, MAX_STREAM_ENTRIES, hold.slot_worker),
            )
            self._remember(blob)
            if answer == 0:
                path = self._to_disk(blob)
        except StateAway:
            self._metrics.redis_errors.add(("settle",))
            path = self._to_disk(blob)
        except asyncio.CancelledError:
            self._metrics.records.add((self._to_disk(blob),))  # it may have arrived too: one row an id
            raise
        self._metrics.records.add((path,))
        return path

    async def renew_open(self) -> None:
        """Tell that the open requests of limited keys still run. Raises StateAway."""
        for digest, count in tuple(self.open_by_key.items()):
            await self._redis.run(_RENEW_OPEN, (keys.key_open(digest),), (self._worker, count, keys.OPEN_TTL_S))

    def _close_one(self, digest: str) -> None:
        left = self.open_by_key.get(digest, 0) - 1
        if left > 0:
            self.open_by_key[digest] = left
        else:
            self.open_by_key.pop(digest, None)

    def resend_recent(self) -> None:
        """Send the records of the last seconds again, to a server that may have lost them."""
        oldest = self._clock() - RECENT_S
        for at, blob in self._recent:
            if at >= oldest:
                try:
                    _ignore(self._redis.send("XADD", keys.RECORDS, "*", "r", blob))
                except StateAway:
                    return

    def _remember(self, blob: bytes) -> None:
        now = self._clock()
        recent = self._recent
        while recent and recent[0][0] < now - RECENT_S:
            recent.popleft()
        recent.append((now, blob))

    def _list_worker(self) -> None:
        """Goes ahead of the first notes: of a worker that dies before its heart has beaten they would not be found."""
        try:
            listed = self._redis.send("SADD", keys.WORKERS, self._worker)
        except StateAway:
            return
        listed.add_done_callback(self._note_listed)

    def _note_listed(self, listed: asyncio.Future[object]) -> None:
        if not listed.cancelled() and listed.exception() is None:
            self._is_listed = not isinstance(listed.result(), Exception)

    def note_again(self, notes: Iterable[RequestRecord]) -> None:
        """Note what is in flight on a server that may not know it: it was away when the requests began, or lost it."""
        self._list_worker()
        for note in notes:
            self._note_only(note.id, encode_record(note))

    def _note_only(self, request_id: str, blob: bytes) -> None:
        try:
            _ignore(self._redis.send("HSET", self._inflight, request_id, blob))
        except StateAway:
            self._metrics.redis_errors.add(("take",))

    def _to_disk(self, blob: bytes) -> Literal["spool", "lost"]:
        try:
            self._spool.append(blob)
        except (SpoolFull, OSError) as error:
            _log.error("record_lost", cause=type(error).__name__, record=blob.decode())
            return "lost"
        return "spool"


def _ignore(future: asyncio.Future[object]) -> None:
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
