"""The state of one request while targets are tried and its answer passes: the only mutable thing of the journey."""

import asyncio
from dataclasses import dataclass, field

from gateway.dialects.openai_chat.request import ChatHead
from gateway.domain.errors import CallerGone
from gateway.domain.record import AttemptRecord, RequestRecord
from gateway.domain.target import Target
from gateway.domain.timeouts import Timeouts
from gateway.domain.usage import Usage
from gateway.upstream.deadlines import Watch
from gateway.upstream.seam import UpstreamCall, UpstreamFault

CALLER_STALL_S = 120.0
"""A caller that reads nothing for so long while an answer waits is cut off."""


@dataclass(slots=True, eq=False)
class Exchange:
    """One request under way. `note` is what the ledger writes if the worker dies now, until it is settled. Instants are of `time.monotonic`, in seconds (uvloop's own clock counts whole ms)."""

    request_id: str
    head: ChatHead
    body: bytes
    forwarded: tuple[bytes, ...]
    timeouts: Timeouts
    started_at: float
    watch: Watch = field(init=False)
    note: RequestRecord | None = None
    attempts: list[AttemptRecord] = field(default_factory=list)
    call: UpstreamCall | None = None
    target: Target | None = None
    committed_at: float = 0.0
    usage: Usage | None = None
    chunks: int = 0
    answer_bytes: int = 0
    error: str = ""
    has_caller_left: bool = False
    task: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.watch = Watch(CALLER_STALL_S, self.caller_stalled)

    def caller_left(self) -> None:
        """The caller is gone: the provider's connection is closed at once, in every phase."""
        self.has_caller_left = True
        if self.call is not None:
            self.call.cancel(CallerGone())

    def caller_stalled(self) -> None:
        """Nobody reads what waits to be sent; the task that sends it is stopped."""
        self.caller_left()
        if self.task is not None:
            self.task.cancel()

    def end_for_drain(self) -> None:
        """The process must stop: the answer ends with an error of its own dialect."""
        if self.call is not None:
            self.call.cancel(UpstreamFault("draining", "the gateway is shutting down"))
