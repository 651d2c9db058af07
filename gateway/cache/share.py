"""One request's part in sharing: it leads a flight, joins one, or goes its own way.

What is joined comes back as a `Committed`, as if its provider were answering this request; so do kept answers
(`replay.py`), and here too whole answers can be asked for as streams and the reverse.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from hashlib import blake2b
from typing import NamedTuple

from msgspec import structs

from gateway.cache.entry import Entry
from gateway.cache.flight import Flight, LeaderLost
from gateway.cache.flights import Flights, Seat
from gateway.cache.replay import head_of, replayed, target_of
from gateway.dialects.registry import PROVIDERS
from gateway.domain.caching import HowAnswered
from gateway.domain.errors import GatewayError, OverLimit, Unavailable, UpstreamFailed
from gateway.domain.inbound import Inbound
from gateway.domain.reply import Headers, Reply
from gateway.relay.asking import Asking
from gateway.relay.attempt import MAX_ANSWER_BYTES, Committed
from gateway.relay.exchange import Exchange
from gateway.upstream.seam import UpstreamFault

MAX_BOARDINGS = 3
"""So often a request that has sent nothing looks for another leader; then it asks the provider itself."""


class Got(NamedTuple):
    """An answer. `entry`: the whole of it as its provider sent it, when all of it is here already."""

    committed: Committed
    entry: Entry | None = None


Ask = Callable[[], Awaitable[Got]]


class Share:
    """`keep_s`: how long the answer can be repeated after its end. `how` is what a joiner's record says.

    `within`: what the request shares besides: when nobody has asked under its key, it looks for an equal request.
    """

    def __init__(
        self,
        flights: Flights,
        name: str,
        fingerprint: str,
        keep_s: float,
        how: HowAnswered,
        within: "Share | None" = None,
    ) -> None:
        self._flights = flights
        self._name = name
        self._fingerprint = fingerprint
        self._keep_s = keep_s
        self._within = within
        self._seat: Seat | None = None
        self.how = how
        self.is_too_large = False
        """It would have joined, but the answer was too large to be shared."""
        self.joined: Entry | None = None
        """What is known of the answer that was joined: all but its body."""

    async def answer(self, exchange: Exchange, ask: Ask, on_nudge: Callable[[], Awaitable[None]]) -> Got:
        """The answer of this request: another's, or what `ask` gets. Raises what `ask` does, Conflict and CallerGone."""
        within = self._within
        if within is None:
            return await self._answer(exchange, ask, on_nudge)
        got = await self._answer(exchange, partial(within.answer, exchange, ask, on_nudge), on_nudge)
        if self.joined is None and within.joined is not None:
            self.joined, self.how = within.joined, within.how
        self.is_too_large = self.is_too_large or within.is_too_large
        return got

    async def _answer(self, exchange: Exchange, ask: Ask, on_nudge: Callable[[], Awaitable[None]]) -> Got:
        for _ in range(MAX_BOARDINGS):
            seat = await self._flights.board(self._name, self._fingerprint, self._keep_s)
            if seat is None:
                break
            self._seat = seat
            if seat.call is None:
                return await self._lead(seat.flight, exchange, ask)
            seat.call.on_nudge = on_nudge
            try:
                got = await _joined(seat, exchange)
                self.joined = seat.flight.head
                return got  # noqa: TRY300  (the finally below is for both)
            except LeaderLost as lost:
                self.is_too_large = lost.is_too_large
                if lost.is_too_large:
                    break
            finally:
                if not seat.call.has_sent:
                    seat.flight.leave(seat.call)
        self._seat = None
        exchange.call = None
        return await ask()

    def headers(self) -> Headers:
        """What the reply says of it, if there is something to say."""
        if self.joined is not None:
            return (
                [(b"x-omniroute-idempotent", b"true")]
                if self.how == "idempotent"
                else [(b"x-omniroute-shared", b"true")]
            )
        return [(b"x-omniroute-shared", b"too-large")] if self.is_too_large else []

    def land(self, *, is_well: bool) -> None:
        """The request has settled."""
        if self._within is not None:
            self._within.land(is_well=is_well)
        seat, self._seat = self._seat, None
        if seat is None:
            return
        if seat.call is not None:
            seat.flight.leave(seat.call)
            return
        if seat.flight.leader is not None:
            seat.flight.leave(seat.flight.leader)
        self._flights.land(seat.flight, is_well=is_well)

    async def _lead(self, flight: Flight, exchange: Exchange, ask: Ask) -> Got:
        def stop_if_left() -> None:
            if exchange.has_left_others:
                exchange.caller_left()

        stays = exchange.stays_for_others
        flight.on_alone = stop_if_left
        exchange.stays_for_others = lambda: flight.has_others or (stays is not None and stays())
        try:
            got = await ask()
        except GatewayError as error:
            is_its_own = isinstance(error, Unavailable | OverLimit) or error.code == "shutting_down"
            self._flights.fail(flight, None if is_its_own else error)
            raise
        except BaseException:
            self._flights.fail(flight, None)
            raise
        committed, entry = got
        if entry is not None:
            self._flights.take_off(flight, structs.replace(entry, body=b""), entry.body, is_whole=True)
            return got
        is_whole = not exchange.head.is_stream
        self._flights.take_off(flight, head_of(committed, exchange), committed.held, is_whole=is_whole)
        if is_whole:
            return got
        own = self._flights.pump(flight, committed.call, committed.mender)
        return Got(structs.replace(committed, call=own, mender=None))


async def _joined(seat: Seat, exchange: Exchange) -> Got:
    call, flight = seat.call, seat.flight
    assert call is not None
    exchange.call = call
    try:
        await call.head()
        head = flight.head
        assert head is not None
        if exchange.head.is_stream and head.is_stream:
            data = await call.read()
            if isinstance(call.fault, LeaderLost):
                raise call.fault
            if data:
                call.has_sent = True
                return Got(_streamed(seat, head, data, exchange))
        body = await call.read_to_end(MAX_ANSWER_BYTES)
    except UpstreamFault as fault:
        if fault.kind == "draining":
            raise UpstreamFailed(str(fault), status=503, code="shutting_down") from fault
        raise LeaderLost(flight.end) from fault  # nothing has been sent: the next one may fare better
    call.has_sent = True
    entry = structs.replace(head, body=body)
    committed = replayed(entry, exchange)
    if committed is None:
        call.has_sent = False
        raise LeaderLost(flight.end)
    return Got(committed, entry)


def _streamed(seat: Seat, head: Entry, data: bytes, exchange: Exchange) -> Committed:
    assert seat.call is not None
    is_native = exchange.caller.dialect == head.dialect and not head.names
    asking = Asking(PROVIDERS[head.dialect], "", (), b"", is_native=is_native, names=head.names)
    return Committed(target_of(head), asking, seat.call, data, hides_usage_chunk=not exchange.head.wants_usage)


def name_of_key(tenant: str, key: bytes) -> str:
    """The flight of an Idempotency-Key of a tenant."""
    return _digest(b"key", tenant.encode(), key)


def name_of_signature(signature: str) -> str:
    """The flight of equal requests; a signature holds the tenant already."""
    return _digest(b"same", signature.encode())


def fingerprint_of(inbound: Inbound) -> str:
    """What makes two requests under one Idempotency-Key the same: path and bytes, whatever the operator makes of these."""
    streams = b"" if inbound.path_streams is None else b"1" if inbound.path_streams else b"0"
    array = b"1" if inbound.wants_array else b"0"
    path = (inbound.endpoint, inbound.pinned_provider, inbound.path_model)
    return _digest(*(part.encode() for part in path), streams + array, inbound.sent_body or inbound.body)


def _digest(*parts: bytes) -> str:
    whole = blake2b(digest_size=16)
    for part in parts:
        whole.update(b"%d:" % len(part))
        whole.update(part)
    return whole.hexdigest()


class UnattendedReply:
    """The reply of a request that leads: once its caller has left it goes on for the others, and nothing is sent.

    A caller that does not read is cut off by stopping the task in the middle of a `write`; the others' answer goes on.
    """

    def __init__(self, reply: Reply, exchange: Exchange) -> None:
        self._reply = reply
        self._exchange = exchange

    @property
    def has_started(self) -> bool:
        return self._reply.has_started or self._exchange.has_left_others

    @property
    def bytes_out(self) -> int:
        return self._reply.bytes_out

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        if not self._exchange.has_left_others:
            await self._reply.whole(status, headers, body)

    async def start(self, status: int, headers: Headers) -> None:
        if not self._exchange.has_left_others:
            await self._reply.start(status, headers)

    async def write(self, data: bytes) -> None:
        if self._exchange.has_left_others:
            return
        try:
            await self._reply.write(data)
        except asyncio.CancelledError:
            if not self._exchange.is_cut_off:
                raise
            self._exchange.is_cut_off = False
            if (task := asyncio.current_task()) is not None:
                task.uncancel()

    async def finish(self, data: bytes = b"") -> None:
        if not self._exchange.has_left_others:
            await self._reply.finish(data)
