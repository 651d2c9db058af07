"""Traces of requests, off by default: what a sampled request notes on its way, and the queue of those that have ended.

Nothing is instrumented live. A request that is traced carries a Trace; its spans are made from its record after its end
(`spans.py`), in batches, by `run`. A request that is not traced carries None, and nothing is paid for it.
`traceparent` is W3C Trace Context, version 00.
"""

import asyncio
import contextlib
import re
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
import structlog

from gateway.domain.record import RequestRecord
from gateway.telemetry.metrics import Metrics

_log = structlog.get_logger()

MAX_WAITING = 4_096
"""Ended requests whose spans are not sent yet; further ones are dropped and counted."""
BATCH = 64
"""Requests in one call to the collector: about a millisecond of work."""
EXPORT_S = 0.5
CALL_S = 10.0
TRIES = 3
PAUSE_S = 1.0
_RETRIED = frozenset({429, 502, 503, 504})
_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_SAMPLED = 1
_STEP = 0x9E37_79B9_7F4A_7C15
"""Odd, so that the ids of attempts differ from each other and from the request's."""
_MODEL = re.compile(rb'"(?:model|modelVersion)"\s*:\s*"([^"\\]{1,200})"')
_MOST_SEARCHED_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Parent:
    """What a caller's `traceparent` says."""

    trace_id: int
    span_id: int
    is_sampled: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A call to a provider: where to, and in which dialect."""

    host: str
    port: int
    dialect: str


@dataclass(slots=True)
class Trace:
    """One sampled request. Instants are of `time.monotonic`, in seconds; `calls` and `times` are by the number of the attempt."""

    tracer: "Tracer"
    trace_id: int
    span_id: int
    parent_id: int
    started_at: float
    calls: dict[int, Call] = field(default_factory=dict)
    times: list[tuple[float, float]] = field(default_factory=list)
    response_model: str = ""

    def span_id_of(self, attempt: int) -> int:
        return (self.span_id + (attempt + 1) * _STEP) & 0xFFFF_FFFF_FFFF_FFFF or 1

    def upstream(self, attempt: int, url: str, dialect: str, lines: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """The header lines of a call: the caller's own place in the trace gives way to the attempt's."""
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        self.calls[attempt] = Call(parts.hostname or "", port, dialect)
        ours = b"traceparent: 00-%032x-%016x-01" % (self.trace_id, self.span_id_of(attempt))
        dropped = (b"traceparent:",) if self.parent_id else (b"traceparent:", b"tracestate:")
        return (*(line for line in lines if not line.startswith(dropped)), ours)

    def attempted(self, started_at: float, ended_at: float) -> None:
        """The attempt that is noted now took so long."""
        self.times.append((started_at, ended_at))

    def answered(self, held: bytes) -> None:
        """Find in the beginning of a provider's answer which model it says it is."""
        found = _MODEL.search(held, 0, _MOST_SEARCHED_BYTES)
        if found is not None:
            self.response_model = found[1].decode("utf-8", "replace")

    def end(self, record: RequestRecord) -> None:
        self.tracer.take(Ended(self, record, time.monotonic(), time.time_ns()))


@dataclass(frozen=True, slots=True)
class Ended:
    """A request that is over: when, by the clock of spans and by the wall's (ns)."""

    trace: Trace
    record: RequestRecord
    ended_at: float
    wall_ns: int

    def ns(self, instant: float) -> int:
        """An instant of `time.monotonic` in nanoseconds since 1970."""
        return self.wall_ns - int((self.ended_at - instant) * 1e9)


@dataclass(frozen=True, slots=True)
class Collector:
    """Where spans go: an OTLP endpoint that takes JSON over HTTP. `headers` may hold a credential."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Tracer:
    """Decides which requests are traced, and sends what became of them. `encode` makes the body of a call.

    `ratio` is of requests that come without a `traceparent`; those that bring one are traced if their caller says so.
    """

    def __init__(
        self,
        collector: Collector,
        ratio: float,
        encode: Callable[[Sequence[Ended]], bytes],
        metrics: Metrics,
        randomness: Callable[[int], bytes],
    ) -> None:
        self._collector = collector
        self._most = int(ratio * (1 << 56))
        self._encode = encode
        self._metrics = metrics
        self._randomness = randomness
        self._waiting: deque[Ended] = deque()
        self._is_well = True

    def __len__(self) -> int:
        return len(self._waiting)

    def begin(self, headers: Sequence[tuple[bytes, bytes]], started_at: float) -> Trace | None:
        """None for a request that is not traced."""
        parent = parent_in(headers)
        if parent is not None:
            if not parent.is_sampled:
                return None
            return Trace(self, parent.trace_id, self._id(8), parent.span_id, started_at)
        trace_id = self._id(16)
        if trace_id & ((1 << 56) - 1) >= self._most:
            return None
        return Trace(self, trace_id, self._id(8), 0, started_at)

    def take(self, ended: Ended) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self._metrics.traced_requests.add(("queue_full",))
            return
        self._waiting.append(ended)

    async def run(self) -> None:
        """Send what has ended, for ever."""
        async with self._client() as client:
            while True:
                await asyncio.sleep(EXPORT_S)
                await self._send_all(client)

    async def close(self, within_s: float) -> None:
        """Send what is left, for so long at most."""
        if self._waiting:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within_s), self._client() as client:
                    await self._send_all(client)
        if self._waiting:
            self._metrics.traced_requests.add(("failed",), len(self._waiting))

    def _client(self) -> httpx.AsyncClient:
        is_tls = self._collector.url.startswith("https:")  # else all authorities would be read for nothing
        return httpx.AsyncClient(timeout=CALL_S, trust_env=False, verify=is_tls, headers=dict(self._collector.headers))

    async def _send_all(self, client: httpx.AsyncClient) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            outcome = "failed"
            try:
                outcome = await self._send(client, self._encode(batch))
            finally:
                self._metrics.traced_requests.add((outcome,), len(batch))
            self._tell(outcome)

    async def _send(self, client: httpx.AsyncClient, body: bytes) -> str:
        """exported, refused (the collector does not want it) or failed (it was not reached, or had no time)."""
        for number in range(TRIES):
            if number:
                await asyncio.sleep(PAUSE_S * 2 ** (number - 1))
            try:
                answer = await client.post(
                    self._collector.url, content=body, headers={"content-type": "application/json"}
                )
            except httpx.HTTPError:
                continue
            if answer.status_code < 300:
                return "exported"
            if answer.status_code not in _RETRIED:
                return "refused"
        return "failed"

    def _tell(self, outcome: str) -> None:
        """Once when it goes wrong, once when it goes well again."""
        is_well = outcome == "exported"
        if is_well != self._is_well:
            self._is_well = is_well
            (_log.info if is_well else _log.warning)("traces_exported" if is_well else "traces_lost", outcome=outcome)

    def _id(self, size: int) -> int:
        return int.from_bytes(self._randomness(size), "big") or 1


def parent_in(headers: Sequence[tuple[bytes, bytes]]) -> Parent | None:
    """The caller's place in its trace; None where there is none, or none that is well formed."""
    found = [value for name, value in headers if name == b"traceparent"]
    if len(found) != 1:
        return None
    read = _TRACEPARENT.fullmatch(found[0])
    if read is None or read[1] == b"ff" or (read[1] == b"00" and len(found[0]) != 55):
        return None
    trace_id, span_id = int(read[2], 16), int(read[3], 16)
    if not trace_id or not span_id:
        return None
    return Parent(trace_id, span_id, bool(int(read[4], 16) & _SAMPLED))
