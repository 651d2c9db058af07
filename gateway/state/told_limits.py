"""What providers' headers tell of their own limits, kept for people: the newest of each connection, told every few seconds.

Nothing is decided by it (`slots.py` learns its gaps by itself), so what is lost costs nothing.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
from redis.asyncio import Redis

from gateway.state import keys
from gateway.state.resp import RespClient

MAX_NOTED = 10_000
MOST_TOLD = 500
"""Connections told of at a beat; the others follow at the next."""
_LEAST_KEPT_S, _MOST_KEPT_S = 60, 86_400
_PAGE = 500


class Hints(Protocol):
    """What a provider's headers tell of its limits (`upstream/hints.py`); None = not told. Resets are seconds from now."""

    @property
    def requests_limit(self) -> float | None: ...
    @property
    def requests_remaining(self) -> float | None: ...
    @property
    def requests_reset_s(self) -> float | None: ...
    @property
    def tokens_limit(self) -> float | None: ...
    @property
    def tokens_remaining(self) -> float | None: ...
    @property
    def tokens_reset_s(self) -> float | None: ...


class ToldWindow(msgspec.Struct, frozen=True, array_like=True):
    """One window of a provider. `resets_at` is unix seconds; None = not told."""

    limit: float
    remaining: float
    resets_at: float | None = None


class Told(msgspec.Struct, frozen=True, array_like=True):
    """Of one connection, as its answer at `at` (unix seconds) said. None = not told."""

    at: float
    requests: ToldWindow | None = None
    tokens: ToldWindow | None = None


_encode = msgspec.msgpack.encode
_decode = msgspec.msgpack.Decoder(Told).decode


class ToldLimits:
    """One worker's notes that are not told yet, at most MAX_NOTED. `wall` is unix seconds."""

    def __init__(self, redis: RespClient, wall: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._wall = wall
        self._notes: dict[str, tuple[float, Hints]] = {}

    def __len__(self) -> int:
        return len(self._notes)

    def note(self, connection_id: str, hints: Hints) -> None:
        """On the way of an answer: one entry in a table, the newest counts."""
        if connection_id in self._notes or len(self._notes) < MAX_NOTED:
            self._notes[connection_id] = (self._wall(), hints)

    def tell(self) -> None:
        """Send what is noted, without waiting. Raises StateAway: the next answers say it again."""
        for connection_id in list(self._notes)[:MOST_TOLD]:
            told = _told_of(*self._notes.pop(connection_id))
            name = keys.slot_told(connection_id)
            _ignore(self._redis.send("SET", name, _encode(told), "EX", _kept_s(told)))


async def read_told(redis: Redis, ids: Sequence[str]) -> list[Told | None]:
    """In the order of the ids; None where nothing was told lately. Raises redis.exceptions.RedisError."""
    found: list[Told | None] = []
    for start in range(0, len(ids), _PAGE):
        names = [keys.slot_told(connection_id) for connection_id in ids[start : start + _PAGE]]
        texts: list[Any] = await redis.mget(names)
        found += [None if text is None else _decode(text) for text in texts]
    return found


def _told_of(at: float, hints: Hints) -> Told:
    return Told(
        at,
        _window(at, hints.requests_limit, hints.requests_remaining, hints.requests_reset_s),
        _window(at, hints.tokens_limit, hints.tokens_remaining, hints.tokens_reset_s),
    )


def _window(at: float, limit: float | None, remaining: float | None, reset_s: float | None) -> ToldWindow | None:
    if not limit or remaining is None:
        return None
    return ToldWindow(limit, remaining, None if reset_s is None else at + reset_s)


def _kept_s(told: Told) -> int:
    """As long as its last window lasts, within bounds."""
    resets = [one.resets_at - told.at for one in (told.requests, told.tokens) if one and one.resets_at]
    return int(min(max(_LEAST_KEPT_S, *resets, 0), _MOST_KEPT_S))


def _ignore(future: asyncio.Future[object]) -> None:
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
