"""Bodies to be stored: a short queue of a worker, emptied in the background. What finds no room is not stored.

Redaction comes before the hand-over: nothing that is not redacted leaves the worker.
"""

import asyncio
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

from gateway.domain.bodies import StoredBodies
from gateway.domain.reply import Headers, Reply
from gateway.domain.shaping import Pii
from gateway.shaping.stored import MARGIN, BodyRedactor
from gateway.state.body_stream import put_bodies
from gateway.state.resp import RespClient, StateAway
from gateway.telemetry.metrics import Metrics

MAX_HELD_BYTES = 8 * 1024 * 1024
"""Of bodies that wait in a worker."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The bodies of a request that is over, as they were. `secrets`: to be taken out; `rule`: of personal data, if any."""

    id: str
    at: float
    asked: bytes
    asked_bytes: int
    answered: bytes
    answered_bytes: int
    is_stream: bool
    cap: int
    secrets: Collection[str]
    rule: Pii | None

    @property
    def size(self) -> int:
        return len(self.asked) + len(self.answered)


class BodyLog:
    """`redis` is the cache store's client; None = there is no store, and nothing is stored."""

    def __init__(self, redis: RespClient | None, metrics: Metrics) -> None:
        self._redis = redis
        self._metrics = metrics
        self._waiting: deque[Kept] = deque()
        self._news = asyncio.Event()
        self.held_bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, kept: Kept) -> None:
        """Take it if there is room. Never waits."""
        if self._redis is None or self.held_bytes + kept.size > MAX_HELD_BYTES:
            self._metrics.stored_bodies.add(("no_store" if self._redis is None else "queue_full",))
            return
        self.held_bytes += kept.size
        self._waiting.append(kept)
        self._news.set()

    async def run(self) -> None:
        """Hand over what comes, one after the other."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self._empty()

    async def close(self, limit_s: float) -> None:
        """Hand over what is left, for so long."""
        try:
            await asyncio.wait_for(self._empty(), limit_s)
        except TimeoutError:
            self._metrics.stored_bodies.add(("store_away",), len(self._waiting))

    async def _empty(self) -> None:
        while self._waiting:
            kept = self._waiting.popleft()
            try:
                outcome = await self._hand_over(kept)
            finally:
                self.held_bytes -= kept.size
            self._metrics.stored_bodies.add((outcome,))

    async def _hand_over(self, kept: Kept) -> str:
        assert self._redis is not None, "nothing is taken without a store"
        redactor = BodyRedactor(kept.secrets, kept.rule)
        bodies = StoredBodies(
            id=kept.id,
            at=kept.at,
            asked=await redacted(
                redactor, kept.asked, kept.cap, is_stream=False, is_cut=len(kept.asked) < kept.asked_bytes
            ),
            asked_bytes=kept.asked_bytes,
            answered=await redacted(
                redactor,
                kept.answered,
                kept.cap,
                is_stream=kept.is_stream,
                is_cut=len(kept.answered) < kept.answered_bytes,
            ),
            answered_bytes=kept.answered_bytes,
        )
        try:
            return "handed_over" if await put_bodies(self._redis, bodies, kept.cap) else "stream_full"
        except StateAway:
            return "store_away"


async def redacted(redactor: BodyRedactor, body: bytes, cap: int, *, is_stream: bool, is_cut: bool) -> str:
    """A body without what must not stand in it (`BodyRedactor.redacted`); requests have their turn meanwhile."""
    steps = redactor.redacted(body, cap, is_stream=is_stream, is_cut=is_cut)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return str(done.value)
        await asyncio.sleep(0)


class KeptReply:
    """The way to the caller, of which the first bytes are kept too."""

    __slots__ = ("_left", "_parts", "_reply", "is_stream", "provider")

    def __init__(self, reply: Reply, cap: int) -> None:
        self._reply = reply
        self._parts: list[bytes] = []
        self._left = cap + MARGIN
        self.is_stream = False
        self.provider = ""
        """Whose answer it is."""

    @property
    def has_started(self) -> bool:
        return self._reply.has_started

    @property
    def bytes_out(self) -> int:
        return self._reply.bytes_out

    @property
    def body(self) -> bytes:
        """The first bytes of what was answered."""
        return b"".join(self._parts)

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        self.keep(body)
        self._note(headers)
        await self._reply.whole(status, headers, body)

    async def start(self, status: int, headers: Headers) -> None:
        self.is_stream = True
        self._note(headers)
        await self._reply.start(status, headers)

    async def write(self, data: bytes) -> None:
        self.keep(data)
        await self._reply.write(data)

    async def finish(self, data: bytes = b"") -> None:
        self.keep(data)
        await self._reply.finish(data)

    def _note(self, headers: Headers) -> None:
        self.provider = next((value.decode() for name, value in headers if name == b"x-omniroute-provider"), "")

    def keep(self, data: bytes) -> None:
        if data and self._left > 0:
            self._parts.append(data[: self._left])
            self._left -= len(data)
