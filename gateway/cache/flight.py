"""One flight in a worker's memory: what has passed of an answer so far, and the requests here that get it.

Its bytes come from the provider when a request of this worker leads (`flights.py` pumps them in), else from the cache
store. Each request has a `JoinerCall`, which looks like a provider's call: it is fed all that has passed, then the rest.
"""

import asyncio
from collections.abc import Callable
from typing import Literal

import msgspec

from gateway.cache.entry import Entry
from gateway.domain.errors import Conflict, GatewayError, UpstreamFailed
from gateway.upstream.seam import FaultKind, UpstreamCall, UpstreamFault

BATCH_BYTES, BATCH_S = 16 * 1024, 0.05
"""What passes goes to other workers when it is so much or so old."""

LOST_TEXT = "the request that shared its answer with this one broke off"
TOO_LARGE_TEXT = "the answer is longer than what is shared between equal requests"


class FlightEnd(msgspec.Struct, frozen=True, array_like=True):
    """How a flight ended: `well`; `cut` by the provider (`fault`); `failed` before it began, with the leader's error; `lost`: whoever led it is gone; `too_large` to be shared."""

    kind: Literal["well", "cut", "failed", "lost", "too_large"]
    message: str = ""
    fault: FaultKind = "reset"
    status: int = 0
    code: str = ""
    retry_after_s: float | None = None
    body: bytes = b""
    content_type: str = ""


WELL = FlightEnd("well")
LOST = FlightEnd("lost", LOST_TEXT)
TOO_LARGE = FlightEnd("too_large", TOO_LARGE_TEXT, fault="too_large")

encode_end = msgspec.msgpack.Encoder().encode
_decode_end = msgspec.msgpack.Decoder(FlightEnd).decode


def decode_end(data: bytes) -> FlightEnd:
    """What cannot be read counts as lost."""
    try:
        return _decode_end(data)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return LOST


def end_of(error: GatewayError) -> FlightEnd:
    """A leader's error, for those who wait for its answer."""
    end = FlightEnd("failed", error.message, status=error.status, code=error.code, retry_after_s=error.retry_after_s)
    if isinstance(error, UpstreamFailed):
        end = msgspec.structs.replace(end, body=error.body, content_type=error.content_type)
    return end


class LeaderLost(Exception):
    """Whoever led is gone, or what passes is too large to be shared; nothing has been sent of it here: ask anew."""

    def __init__(self, end: FlightEnd | None) -> None:
        super().__init__(end.message if end is not None else LOST_TEXT)
        self.is_too_large = end is not None and end.kind == "too_large"


class JoinerCall(UpstreamCall):
    """One request's side of a flight. `has_sent`: its caller has got something, so no other answer can take its place."""

    __slots__ = ("flight", "has_sent")

    def __init__(self, flight: "Flight") -> None:
        super().__init__(lambda: flight.leave(self), lambda: None, asyncio.get_running_loop())
        self.flight = flight
        self.has_sent = False

    def end(self, how: FlightEnd) -> None:
        if how.kind == "well":
            self.feed_end()
        elif how.kind == "cut" or self.has_sent:
            self.feed_end(UpstreamFault(how.fault, how.message))
        else:
            self.is_over = True
            self.fault = LeaderLost(how) if how.kind in ("lost", "too_large") else _error_of(how)
            self._wake()


def _error_of(end: FlightEnd) -> GatewayError:
    if end.status == Conflict.status:
        return Conflict(end.message, code=end.code)
    return UpstreamFailed(
        end.message,
        status=end.status,
        code=end.code,
        retry_after_s=end.retry_after_s,
        body=end.body,
        content_type=end.content_type,
    )


class Flight:
    """`changed` wakes the task that speaks with the cache store. `on_alone` is called when nobody is left to get the answer."""

    def __init__(self, name: str, fingerprint: str, keep_s: float, max_bytes: int) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.keep_s = keep_s
        self.token = ""
        self.is_led_here = False
        """This worker holds its lease."""
        self.gone = asyncio.Event()
        self.head: Entry | None = None
        self.parts: list[bytes] = []
        self.size = 0
        self.end: FlightEnd | None = None
        self.joiners: dict[JoinerCall, None] = {}
        self.leader: JoinerCall | None = None
        """The call of the request that leads; it is among the joiners."""
        self.followers = 0
        """Other workers that follow, when this one leads."""
        self.is_landed = False
        """The leader has settled."""
        self.keeps = False
        """It ended well, and the leader wants it kept."""
        self.changed = asyncio.Event()
        self.on_alone: Callable[[], None] = lambda: None
        self._max_bytes = max_bytes
        self._unsent = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_broken(self) -> bool:
        """It has no good end."""
        return self.end is not None and self.end.kind != "well"

    @property
    def is_too_large(self) -> bool:
        """It goes on for its leader alone: who comes now is told so at once."""
        return self.end is not None and self.end.kind == "too_large"

    @property
    def has_others(self) -> bool:
        """Requests other than the leading one want the answer."""
        return self.followers > 0 or len(self.joiners) > (self.leader in self.joiners)

    def join(self) -> JoinerCall:
        """Another request here: it gets all that has passed, and what comes."""
        joiner = JoinerCall(self)
        self.joiners[joiner] = None
        if self.head is not None:
            joiner.feed_head(200, _headers(self.head))
        for part in self.parts:
            joiner.feed(part)
        if self.end is not None:
            joiner.end(self.end)
        return joiner

    def join_leading(self) -> JoinerCall:
        """The leading request itself, which has got all that has passed."""
        self.leader = joiner = JoinerCall(self)
        self.joiners[joiner] = None
        return joiner

    def leave(self, joiner: JoinerCall) -> None:
        if self.joiners.pop(joiner, self) is not None:
            return
        if not self.has_others:
            self.on_alone()
        if not self.joiners:
            self.changed.set()

    def begin(self, head: Entry) -> None:
        self.head = head
        for joiner in self.joiners:
            joiner.feed_head(200, _headers(head))

    def feed(self, data: bytes) -> None:
        """More of the answer. What is too large is not shared: it goes on for its leader alone."""
        if self.end is not None:
            if self.leader in self.joiners and self.end is TOO_LARGE:
                self.leader.feed(data)
            return
        self.size += len(data)
        if self.size > self._max_bytes:
            if self.leader in self.joiners:
                self.leader.feed(data)
            self.finish(TOO_LARGE)
            return
        self.parts.append(data)
        for joiner in self.joiners:
            joiner.feed(data)
        if self.followers:
            self._tell_soon(len(data))

    def finish(self, end: FlightEnd) -> None:
        """It is over for all; of one that was too large already, for its leader."""
        if self.end is TOO_LARGE and self.leader is not None and not self.leader.is_over:
            self.leader.end(end)
        if self.end is not None:
            return
        self.end = end
        leader = self.leader if end is TOO_LARGE else None
        for joiner in self.joiners:
            if joiner is not leader and not joiner.is_over:
                joiner.end(end)
        if end.kind in ("failed", "lost", "too_large"):
            self.parts = []
        self.tell()

    def tell(self) -> None:
        """There is something to say to the cache store."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._unsent = 0
        self.changed.set()

    def _tell_soon(self, size: int) -> None:
        self._unsent += size
        if self._unsent >= BATCH_BYTES:
            self.tell()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(BATCH_S, self.tell)


def _headers(head: Entry) -> dict[str, str]:
    return {"content-type": head.content_type} if head.content_type else {}
