"""Requests that share one upstream call: the flights of a worker, and what it says of them to other workers.

The first of several equal requests leads: it calls the provider as always, and what the provider sends goes to all.
Here a task pumps it into the flight, so that a caller that reads slowly or leaves holds up nobody. Other workers get it
through the cache store (`state/flight_log.py`), and only while one of them follows. Without the store requests share
within their worker.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

import redis.exceptions
import structlog

from gateway.cache.entry import Entry, decode_entry, encode_entry
from gateway.cache.flight import LOST, WELL, Flight, FlightEnd, JoinerCall, decode_end, encode_end, end_of
from gateway.dialects.openai_chat.mend import StreamMender
from gateway.domain.errors import Conflict, GatewayError
from gateway.state import keys
from gateway.state.client import make_client
from gateway.state.flight_log import END, LEASE_S, FlightLog
from gateway.state.resp import StateAway
from gateway.telemetry.metrics import Metrics
from gateway.upstream.seam import HIGH_WATER_BYTES, UpstreamCall, UpstreamFault

_log = structlog.get_logger()

MAX_FLIGHTS = 2_000
MAX_JOINERS = 5_000
"""Of one flight, in one worker."""
MAX_BYTES = 64 * 1024 * 1024
"""Of all flights of a worker."""
MAX_ANSWER_BYTES = 2 * 1024 * 1024
"""What is longer is not shared."""

BOARD_BUDGET_S = 0.25
"""Longer than a look for a kept answer may take: without an answer of the store a repeated request is paid for twice."""

POLL_S = 0.1
"""How often followers look while no news can be heard."""
RECONNECT_S = 0.5
GONE_WITHIN_S = 0.25
"""A flight that failed is over at the cache store within this, as a rule."""


class Seat(NamedTuple):
    """A request's place in a flight. Without a `call` it leads."""

    flight: Flight
    call: JoinerCall | None = None


class Flights:
    """All flights of one worker. `run` is its background task: it hears of news from other workers."""

    def __init__(
        self,
        log: FlightLog | None,
        url: str,
        metrics: Metrics,
        *,
        clock: Callable[[], float] = time.monotonic,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        board_budget_s: float = BOARD_BUDGET_S,
    ) -> None:
        self._log = log
        self._url = url
        self._metrics = metrics
        self._clock = clock
        self._board_budget_s = board_budget_s
        self.max_answer_bytes = max_answer_bytes
        self._flights: dict[str, Flight] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_listening = False

    def __len__(self) -> int:
        return len(self._flights)

    @property
    def lease_s(self) -> float:
        return LEASE_S if self._log is None else self._log.lease_s

    @lease_s.setter
    def lease_s(self, seconds: float) -> None:
        if self._log is not None:
            self._log.lease_s = seconds

    @property
    def joiners(self) -> int:
        return sum(len(flight.joiners) for flight in self._flights.values())

    @property
    def held_bytes(self) -> int:
        return sum(flight.size for flight in self._flights.values())

    async def close(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- what a request does ---------------------------------------------------------------------------------------------

    async def board(self, name: str, fingerprint: str, keep_s: float) -> Seat | None:
        """A place in the flight of this name; None when nothing more can be shared. Raises Conflict for another request's.

        Who leads must call `take_off` or `fail`, and `land`; who joins must cancel its call at the end.
        """
        flight = await self._standing(name)
        if flight is not None:
            if flight.fingerprint != fingerprint:
                raise self._reused()
            if flight.is_broken and not flight.is_too_large:
                self._metrics.flights.add(("broken",))
                return None
            if len(flight.joiners) >= MAX_JOINERS:
                self._metrics.flights.add(("full",))
                return None
            self._metrics.flights.add(("broken" if flight.is_broken else "joined",))
            return Seat(flight, flight.join())
        if len(self._flights) >= MAX_FLIGHTS or self.held_bytes >= MAX_BYTES:
            self._metrics.flights.add(("full",))
            return None
        flight = self._flights[name] = Flight(name, fingerprint, keep_s, self.max_answer_bytes)
        try:
            if self._log is None:
                raise StateAway("there is no cache store")  # noqa: TRY301
            boarded = await self._log.board(name, fingerprint, budget_s=self._board_budget_s)
        except StateAway:
            self._metrics.flights.add(("led_alone",))
            return Seat(flight)
        except BaseException:
            self._drop(flight, LOST)
            raise
        if boarded.is_other:
            self._drop(flight, end_of(self._reused()))
            raise self._reused()
        flight.token = boarded.token
        if boarded.leads:
            self._metrics.flights.add(("led",))
            flight.is_led_here = True
            self._start(self._tell(flight, self._log))
            return Seat(flight)
        self._metrics.flights.add(("followed",))
        call = flight.join()
        self._start(self._follow(flight, self._log))
        return Seat(flight, call)

    async def _standing(self, name: str) -> Flight | None:
        """The flight of this name, if it is not just about to go: what failed here is not shared with the next one."""
        flight = self._flights.get(name)
        if flight is not None and flight.is_broken and not flight.is_too_large:
            await _within(flight.gone, GONE_WITHIN_S)
            return self._flights.get(name)
        return flight

    def take_off(self, flight: Flight, head: Entry, held: bytes, *, is_whole: bool) -> None:
        """The leader's target answers: `head` is an Entry without its body, `held` what has come."""
        flight.begin(head)
        flight.feed(held)
        if is_whole:
            flight.finish(WELL)

    def pump(self, flight: Flight, call: UpstreamCall, mender: StreamMender | None) -> JoinerCall:
        """Read the rest of a stream into the flight. What the leader reads from now on is the call that is returned."""
        own = flight.join_leading()
        own.feed_head(200, call.headers)
        self._start(_pump(flight, call, mender, own))
        return own

    def fail(self, flight: Flight, error: GatewayError | None) -> None:
        """The leader has got no answer: those who wait get the same error, or (None: it broke off) lead themselves."""
        self._drop(flight, end_of(error) if error is not None else LOST)

    def land(self, flight: Flight, *, is_well: bool) -> None:
        """The leader has settled. What ended well is kept as long as was wished."""
        if flight.is_landed:
            return
        flight.finish(WELL if is_well else LOST)
        flight.is_landed = True
        flight.keeps = is_well and flight.end is not None and flight.end.kind != "too_large" and flight.keep_s > 0
        flight.tell()
        if not flight.is_led_here:
            self._forget(flight)

    def _drop(self, flight: Flight, end: FlightEnd) -> None:
        """It failed. If this worker leads it, other workers are told before another one of this name can begin."""
        flight.finish(end)
        flight.is_landed = True
        flight.tell()
        if not flight.is_led_here:
            self._forget(flight)

    def _forget(self, flight: Flight) -> None:
        flight.gone.set()
        if self._flights.get(flight.name) is flight:
            del self._flights[flight.name]

    def _reused(self) -> Conflict:
        self._metrics.flights.add(("reused",))
        text = "this Idempotency-Key was used with another request; a key belongs to one request"
        return Conflict(text, code="idempotency_key_reused")

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("flight_failed", exc_info=error)

    # -- what workers tell each other ------------------------------------------------------------------------------------

    async def _tell(self, flight: Flight, log: FlightLog) -> None:
        """Of a flight that is led here: renew the lease, write what passes while others follow, write its end."""
        told, number = 0, 0
        try:
            while True:
                await _within(flight.changed, log.lease_s / 3)
                flight.changed.clear()
                is_last = flight.is_landed
                parts: list[tuple[str, bytes]] = []
                so_far, had_followers = len(flight.parts), flight.followers > 0
                if flight.followers or flight.keeps:
                    parts = _numbered(flight, told, number)
                try:
                    flight.followers = await log.feed(flight.name, flight.token, parts)
                except StateAway:
                    if is_last:
                        return
                    continue
                if flight.followers < 0:
                    flight.followers = 0
                    return  # it is another worker's now, or the store has forgotten it
                if parts:
                    told, number = so_far, number + sum(name != END for name, _ in parts)
                elif flight.followers and not had_followers and not is_last:
                    flight.changed.set()  # somebody has come: write all that has passed
                if not flight.has_others:
                    flight.on_alone()
                if is_last:
                    if flight.followers and not parts:
                        await log.feed(flight.name, flight.token, _numbered(flight, told, number))
                    await log.end(flight.name, flight.token, flight.keep_s if flight.keeps else 0.0)
                    return
        except StateAway:
            return
        finally:
            flight.is_led_here = False
            if flight.is_landed:
                self._forget(flight)

    async def _follow(self, flight: Flight, log: FlightLog) -> None:
        """Of a flight that another worker leads: read what passes until it is over or nobody here wants it."""
        number, heard_at, end = 0, self._clock(), LOST
        try:
            while flight.joiners:
                try:
                    followed = await log.follow(flight.name, flight.token, number)
                except StateAway:
                    if self._clock() - heard_at > log.lease_s:
                        break
                    await asyncio.sleep(POLL_S)
                    continue
                heard_at = self._clock()
                number += len(followed.parts)
                _take(flight, followed.parts)
                if followed.end:
                    end = decode_end(followed.end)
                    break
                if followed.parts:
                    continue
                if not followed.is_led:
                    break
                await _within(flight.changed, log.lease_s / 3 if self.is_listening else POLL_S)
                flight.changed.clear()
        finally:
            if end is LOST and flight.joiners:
                self._metrics.flights.add(("leader_lost",))
            self._drop(flight, end)
        with contextlib.suppress(StateAway):
            await log.leave(flight.name, flight.token)

    async def run(self) -> None:
        """Hear the news of flights, on a connection of its own, until cancelled."""
        if self._log is None:
            return
        while True:
            client = make_client(self._url, socket_connect_timeout=2.0, socket_timeout=5.0)
            try:
                async with client, client.pubsub() as news:
                    await news.subscribe(keys.flight_news(self._log.worker))
                    self.is_listening = True
                    for flight in self._flights.values():
                        flight.changed.set()
                    while True:
                        message = await news.get_message(ignore_subscribe_messages=True, timeout=4.0)
                        if message is not None:
                            self._heard(message["data"].decode())
            except (redis.exceptions.RedisError, OSError, TimeoutError) as error:
                _log.debug("flight_news_away", cause=type(error).__name__)
            finally:
                self.is_listening = False
            await asyncio.sleep(RECONNECT_S)

    def _heard(self, name: str) -> None:
        flight = self._flights.get(name)
        if flight is not None:
            flight.changed.set()


def _numbered(flight: Flight, told: int, number: int) -> list[tuple[str, bytes]]:
    """What has not been told yet: the head as part 0, then one part of all that has passed, and the end."""
    parts: list[tuple[str, bytes]] = []
    if number == 0 and flight.head is not None:
        parts.append(("0", encode_entry(flight.head)))
        number = 1
    if rest := b"".join(flight.parts[told:]):
        parts.append((str(number), rest))
    if flight.end is not None:
        parts.append((END, encode_end(flight.end)))
    return parts


def _take(flight: Flight, parts: list[bytes]) -> None:
    for part in parts:
        if flight.head is not None:
            flight.feed(part)
        elif (head := decode_entry(part)) is not None:
            flight.begin(head)


async def _within(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def _pump(flight: Flight, call: UpstreamCall, mender: StreamMender | None, own: JoinerCall) -> None:
    """What the provider sends, into the flight. The leader's own caller gets what it would get without one."""
    drained = asyncio.Event()
    own.on_drained = drained.set
    try:
        while data := await call.read():
            if data := data if mender is None else mender.feed(data):
                flight.feed(data)
            while own.held > HIGH_WATER_BYTES and not flight.has_others and call.fault is None:
                drained.clear()  # nobody else is held up: the provider waits for the caller as always
                await _within(drained, POLL_S)
        if mender is not None and (rest := mender.end()):
            flight.feed(rest)
        flight.finish(WELL)
    except UpstreamFault as fault:
        own.feed_end(fault)
        flight.finish(LOST if fault.kind == "draining" else FlightEnd("cut", str(fault), fault=fault.kind))
    except Exception as error:  # noqa: BLE001  (whatever ended the call, those who read it must learn it)
        own.cancel(error)
        flight.finish(LOST)
