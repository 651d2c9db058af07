"""The state of one request while targets are tried and its answer passes: the only mutable thing of the journey."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec import structs

from gateway.dialects.codec import Arrival, CallerCodec, Head
from gateway.dialects.envelope import Envelopes
from gateway.dialects.headers import RawHeaders, asks_why, does_without_tools, session_of
from gateway.dialects.turns import check_calls
from gateway.domain.chat import ChatRequest
from gateway.domain.errors import CallerGone
from gateway.domain.record import AttemptRecord, RequestRecord
from gateway.domain.shaping import Pii
from gateway.domain.target import Target
from gateway.domain.timeouts import Timeouts
from gateway.domain.usage import Usage
from gateway.state.slots import FREE, Slot
from gateway.telemetry.trace import Trace
from gateway.upstream.deadlines import Watch
from gateway.upstream.seam import UpstreamCall, UpstreamFault


@dataclass(slots=True, eq=False)
class Exchange:
    """One request under way. `note` is what the ledger writes if the worker dies now, until it is settled. Instants are of `time.monotonic`, in seconds (uvloop's own clock counts whole ms)."""

    request_id: str
    caller: CallerCodec
    arrival: Arrival
    head: Head
    body: bytes
    envelopes: Envelopes
    headers: RawHeaders
    """The caller's, all of them."""
    timeouts: Timeouts
    started_at: float
    watch: Watch = field(init=False)
    explains: bool = field(init=False)
    """The caller asks why its request went where it went."""
    note: RequestRecord | None = None
    attempts: list[AttemptRecord] = field(default_factory=list)
    call: UpstreamCall | None = None
    target: Target | None = None
    committed_at: float = 0.0
    first_s: float = 0.0
    """What the target that answers took to its first useful byte; attempts before it do not count."""
    usage: Usage | None = None
    chunks: int = 0
    answer_bytes: int = 0
    error: str = ""
    has_caller_left: bool = False
    slot: Slot = FREE
    """Of the connection that answers."""
    waits_as: str = ""
    on_left: Callable[[str], None] | None = None
    """Told `waits_as` when the caller leaves while it waits for a slot."""
    goes_on_after: frozenset[str] = frozenset()
    """Of the plan: refusals after which another model is tried."""
    stays_for_others: Callable[[], bool] | None = None
    """Of a request whose answer others share: whether it goes on for them when its caller leaves."""
    has_left_others: bool = False
    """Its caller has left, and it goes on for others."""
    is_cut_off: bool = False
    """Its task is being stopped for a caller that does not read, and it goes on for others."""
    guard: str = ""
    """What the guard says of the request, for the header."""
    redacts: Pii | None = None
    """How personal data is taken out of the answer."""
    carries_state: bool | None = None
    pictures: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Fetched for this request, by URL: (media type, base64)."""
    forwarded: tuple[bytes, ...] | None = None
    """Header lines for a provider of the caller's dialect, once they were needed."""
    _request: ChatRequest | None = None
    task: asyncio.Task[None] | None = None
    trace: Trace | None = None
    """None while it is not traced."""

    def __post_init__(self) -> None:
        self.watch = Watch(self.timeouts.caller_stall_s, self.caller_stalled)
        self.explains = asks_why(self.headers)

    def request(self) -> ChatRequest:
        """The request in no dialect, decoded once. Raises BadRequest."""
        if self._request is None:
            arrival = structs.replace(self.arrival, session=session_of(self.headers))
            request = self.caller.decode_request(self.body, arrival, self.envelopes)
            check_calls(request)
            if does_without_tools(self.headers):
                request = structs.replace(request, does_without_tools=True)
            self._request = request
        return self._request

    def caller_left(self) -> None:
        """The caller is gone: the provider's connection is closed at once, in every phase, unless others want the answer."""
        if self.stays_for_others is not None and self.stays_for_others():
            self.has_left_others = True
            return
        self.has_caller_left = True
        if self.waits_as and self.on_left is not None:
            self.on_left(self.waits_as)
        if self.call is not None:
            self.call.cancel(CallerGone())

    def caller_stalled(self) -> None:
        """Nobody reads what waits to be sent; the task that sends it is stopped. What others get of it goes on."""
        self.caller_left()
        self.is_cut_off = self.has_left_others
        if self.task is not None:
            self.task.cancel()

    def end_for_drain(self) -> None:
        """The process must stop: the answer ends with an error of its own dialect."""
        if self.call is not None:
            self.call.cancel(UpstreamFault("draining", "the gateway is shutting down"))
