"""Flights on the cache store: who leads one, what has passed in it so far, and how it ended.

One worker leads a flight while its lease holds; it writes what passes only while another worker follows. Followers are
told by pub/sub that there is something to read (`keys.flight_news`), and look now and then anyway: news can be lost.
"""

import secrets
from collections.abc import Sequence
from typing import NamedTuple

import hiredis

from gateway.state import keys
from gateway.state.resp import Argument, RespClient, Script, StateAway

LEASE_S = 3.0
GRACE_S = 10.0
"""So long those that follow may read on in a flight that is over."""

MAX_READ_BYTES = 256 * 1024
"""At once; the next trip reads on."""

WRITE_BUDGET_S = 1.0
"""Of trips that no request waits for."""

END = "x"

_BOARD = Script("board_flight")
_FEED = Script("feed_flight")
_END = Script("end_flight")
_FOLLOW = Script("follow_flight")


class Boarded(NamedTuple):
    """`leads`: this worker does, with `token`. `is_other`: the flight of this name is of another request."""

    leads: bool
    token: str
    is_other: bool = False


class Followed(NamedTuple):
    """What was read. `end` is empty until it is over and all is read; `is_led` is False when its leader is gone."""

    is_led: bool
    end: bytes
    parts: list[bytes]


class FlightLog:
    """One worker's side of all flights. Every method raises StateAway."""

    def __init__(self, redis: RespClient, worker: str, *, lease_s: float = LEASE_S) -> None:
        self._redis = redis
        self.worker = worker
        self.lease_s = lease_s

    async def board(self, name: str, fingerprint: str, *, budget_s: float | None = None) -> Boarded:
        """Lead the flight, or follow who leads it."""
        token = secrets.token_hex(8)
        arguments = (token, fingerprint, self.worker, self._lease_ms(), keys.FLIGHT_NEWS_PREFIX, name)
        answer = await self._run(_BOARD, (keys.flight(name),), arguments, budget_s)
        assert isinstance(answer, list)
        if answer[0] == b"other":
            return Boarded(leads=False, token="", is_other=True)
        return Boarded(answer[0] == b"lead", answer[1].decode())

    async def feed(self, name: str, token: str, parts: Sequence[tuple[str, bytes]] = ()) -> int:
        """Renew the lease and add parts, each with its number (END = how it ended). How many workers follow; -1: not ours."""
        fields = [item for part in parts for item in part]
        arguments = (token, self._lease_ms(), keys.FLIGHT_NEWS_PREFIX, name, *fields)
        return int(str(await self._run(_FEED, self._names(name, token), arguments, WRITE_BUDGET_S)))

    async def end(self, name: str, token: str, keep_s: float = 0.0) -> None:
        """It is over; with `keep_s` it can still be boarded for so long, to be read."""
        arguments = (token, int(keep_s * 1000), int(GRACE_S * 1000), keys.FLIGHT_NEWS_PREFIX, name)
        await self._run(_END, self._names(name, token), arguments, WRITE_BUDGET_S)

    async def follow(self, name: str, token: str, first: int) -> Followed:
        """What has passed from part number `first` on."""
        answer = await self._follow(name, token, first)
        assert isinstance(answer, list)
        return Followed(answer[0] == 1, answer[1], answer[2:])

    async def leave(self, name: str, token: str) -> None:
        """Nobody here follows it any more."""
        await self._follow(name, token, -1)

    async def _follow(self, name: str, token: str, first: int) -> object:
        arguments = (token, self.worker, self._lease_ms(), first, MAX_READ_BYTES, keys.FLIGHT_NEWS_PREFIX, name)
        return await self._run(_FOLLOW, self._names(name, token), arguments, WRITE_BUDGET_S)

    def _lease_ms(self) -> int:
        return int(self.lease_s * 1000)

    def _names(self, name: str, token: str) -> tuple[str, str]:
        return keys.flight(name), keys.flight_parts(name, token)

    async def _run(
        self, script: Script, names: Sequence[Argument], arguments: Sequence[Argument], budget_s: float | None
    ) -> object:
        try:
            return await self._redis.run(script, names, arguments, budget_s=budget_s)
        except hiredis.ReplyError as error:  # a user that may not run scripts, a key of another type
            raise StateAway(str(error)) from error
