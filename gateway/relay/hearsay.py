"""What a worker tells the others about targets, and hears from them: samples, uses and open requests, a few times a second.

Told are the worker's own measurements since the last time (never what it heard: a peak would go round for ever), only of
targets that changed. Open requests are told as they are, so that a message that was lost is made good by the next.
"""

import asyncio
import time
from collections.abc import Callable

import msgspec

from gateway.relay.standing import Standing
from gateway.routing.told import Telling, decode_telling, encode_telling
from gateway.state.resp import StateAway
from gateway.state.views import Heard, Views

MAX_TOLD = 200
"""Targets in one message, some 15 kB; the others follow the next time."""
RENEW_S = 1.0
"""A worker with open requests says at least so often that it lives."""
SILENT_S = 3.0
"""Of a worker that says nothing for so long the open requests are forgotten."""
SLICE = 200
"""Targets heard of before the loop gets its turn: under a millisecond."""
QUIET_S = 60.0
"""After so long without a choice between targets, a worker neither tells nor listens."""


class Hearsay:
    """Keeps a worker's `Standing` in step with the others'. `clock` is the standing's, monotonic seconds."""

    def __init__(self, standing: Standing, views: Views, clock: Callable[[], float] = time.monotonic) -> None:
        self._standing = standing
        self._views = views
        self._clock = clock
        self._number = 0
        self._told_at = -RENEW_S
        self._last_number: dict[str, int] = {}

    async def exchange(self) -> None:
        """Tell what is new and take in what others told. While Redis is away the worker goes by itself."""
        standing, now = self._standing, self._clock()
        is_quiet = now - standing.used_at > QUIET_S
        if is_quiet or not self._views.is_up:
            self._forget(now + 1.0 if is_quiet else now - SILENT_S)
            return
        message = self._message(now)
        try:
            heard = await self._views.exchange(message)
        except StateAway:
            standing.tell_open_again()
            heard = []
        since_turn = 0
        for one in heard:
            since_turn += self._take_in(one)
            if since_turn >= SLICE:
                since_turn = 0
                await asyncio.sleep(0)
        self._forget(self._clock() - SILENT_S)

    def _forget(self, since: float) -> None:
        for worker in self._standing.forget_silent(since):
            self._last_number.pop(worker, None)

    def _message(self, now: float) -> bytes:
        told = self._standing.take_untold(MAX_TOLD, now)
        if not told and not (self._standing.has_open and now - self._told_at >= RENEW_S):
            return b""
        self._told_at = now
        self._number += 1
        return encode_telling(Telling(self._number, told))

    def _take_in(self, heard: Heard) -> int:
        """One message; how many targets it tells of."""
        try:
            telling = decode_telling(heard.message)
        except msgspec.DecodeError:
            return 0  # of another version, which tells it in another way
        last = self._last_number.get(heard.worker, telling.number - 1)
        if telling.number != last + 1:
            self._standing.forget_open(heard.worker)
        self._last_number[heard.worker] = telling.number
        self._standing.hear(heard.worker, telling.targets, self._clock() - heard.age_s)
        return len(telling.targets)
