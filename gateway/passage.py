"""The part of a request's journey after admission: the hold is taken, an answer is had and passed on, every way out settles it.

`Tools` is what the whole journey works with.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from msgspec import structs

from gateway.accounting.bodies import BodyLog
from gateway.accounting.explain import explained_header, explanation
from gateway.accounting.measure import measure, measure_answer
from gateway.accounting.monitor import Monitor
from gateway.accounting.record import record_of, record_of_embedding, saved_of
from gateway.admission.load import Load
from gateway.cache.asked import Asked
from gateway.cache.entry import Recall
from gateway.cache.flights import Flights
from gateway.cache.recorder import Recorder
from gateway.cache.replay import entry_of, replayed
from gateway.cache.responses import ResponseCache
from gateway.cache.semantic.tier import Meant
from gateway.cache.share import Got, Share, UnattendedReply
from gateway.dialects.codec import Origin, Stamp, Tap
from gateway.dialects.envelope import Envelopes
from gateway.dialects.estimate import estimated_tokens, with_usage
from gateway.dialects.gemini.array import ArrayTap
from gateway.dialects.headers import asks_progress
from gateway.dialects.registry import GRAMMARS
from gateway.dialects.sse import MAX_HELD_BYTES, closed
from gateway.dialects.translation import Translation
from gateway.domain.errors import CallerGone, GatewayError
from gateway.domain.record import RequestRecord
from gateway.domain.reply import Headers, Reply
from gateway.domain.shaping import Pii
from gateway.relay.attempt import Attempts, Committed
from gateway.relay.exchange import Exchange
from gateway.relay.loop import Traffic, relay
from gateway.relay.progress import Progress
from gateway.relay.shape import count_pii, redact_whole
from gateway.routing.plan import Plan
from gateway.routing.strategies import Tickets
from gateway.runtime import Runtime, RuntimeHolder
from gateway.shaping.pii import Redactor, StreamRedactor
from gateway.state.address_limits import AddressLimits
from gateway.state.holds import NO_HOLD, Hold, Holds
from gateway.state.keyring import Keyring
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.trace import Tracer
from gateway.upstream.seam import UpstreamFault

_log = structlog.get_logger()

MAX_DROPPED_BYTES = 1_000
"""Of the header that says what a target's dialect could not say; the ledger has all of it."""

LINGER_S = 2.0
"""After the terminator a provider has so long to close its answer; then its connection is dropped, not reused."""


_FOUND = {"": b"MISS", "semantic": b"SEMANTIC"}


@dataclass(frozen=True, slots=True)
class Tools:
    """What the journey works with, built once a worker in `app.py`."""

    runtimes: RuntimeHolder
    keyring: Keyring
    holds: Holds
    attempts: Attempts
    metrics: Metrics
    worker: str
    requires_key: bool
    chance: Callable[[], float]
    envelopes: Envelopes
    grammar_sample: float
    traffic: Traffic
    tickets: Tickets
    load: Load
    open_exchanges: set[Exchange]
    cache: ResponseCache
    flights: Flights
    loop: asyncio.AbstractEventLoop
    monitor: Monitor
    addresses: AddressLimits | None = None
    bodies: BodyLog | None = None
    tracer: Tracer | None = None
    """None where traces are off."""


class Passage:
    """The part of the journey after admission: the hold is taken, and every way out settles it once."""

    def __init__(
        self,
        exchange: Exchange,
        plan: Plan,
        note: RequestRecord,
        hold: Hold,
        reply: Reply,
        tools: Tools,
        runtime: Runtime,
        recall: Recall,
        answer: Committed | None,
        share: Share | None,
    ) -> None:
        """`answer`: a kept one that is served instead of asking anybody."""
        self.exchange = exchange
        self._plan = plan
        self._note = note
        self._hold = hold
        if share is not None:
            reply = UnattendedReply(reply, exchange)
        self._share = share
        self._reply = reply
        self._tools = tools
        self._runtime = runtime
        self._keeps_routing = exchange.explains or runtime.settings.explains_all
        self._is_settled = False
        self._found: Redactor | None = None
        self._progress: Progress | None = None
        head_wants = exchange.head.is_stream and exchange.caller.progress
        if head_wants and asks_progress(exchange.headers) and not exchange.arrival.wants_array:
            self._progress = Progress(exchange, reply, runtime.settings.progress_s)
        self._recall = recall
        self._answer = answer
        self._recorder = Recorder(runtime.settings.cache.max_answer_bytes) if recall.key and answer is None else None
        self._meant: Meant | None = None
        self._cost_nano_usd = 0

    async def run(self) -> None:
        exchange = self.exchange
        try:
            if self._recall.look is not None:
                await self._look()
            if self._share is None and self._answer is None and self._recall.meant is None:  # no further step for most
                committed = await self._relayed()
            else:
                committed = (await self._asked()).committed if self._share is None else await self._shared(self._share)
            if committed.target is not exchange.target:  # nobody was asked
                exchange.call, exchange.target = committed.call, committed.target
            exchange.watch.nudge_due = 0.0
            exchange.committed_at = time.monotonic()
            if exchange.trace is not None:
                exchange.trace.answered(committed.held)
            if exchange.head.is_stream:
                await self._forward_stream(committed)
            else:
                await self._forward_whole(committed)
        except GatewayError as error:
            await self._end_failed(error)
        except (CallerGone, asyncio.CancelledError):
            status = 200 if exchange.error else 499
            if not exchange.error:
                exchange.error = "caller_left"
                self._tools.metrics.streams_interrupted.add(("caller",))
            await self._settle(status)
            raise
        finally:
            if exchange.call is not None and not exchange.call.is_over and not self._is_settled:
                exchange.call.cancel()
            if not self._is_settled:  # a fault of ours, or of the server below: the row is due all the same
                exchange.error = "internal_error"
                await self._settle(500)
            if exchange.call is not None:
                exchange.call.on_nudge = None  # no ring that only the garbage collector would find

    async def _look(self) -> None:
        """The store was asked before the hold was taken, so mostly it has answered."""
        self._recall = await self._tools.cache.found(self._recall)
        self._answer = None if self._recall.entry is None else replayed(self._recall.entry, self.exchange)
        if self._answer is not None:
            self._recorder = None

    async def _asked(self) -> Got:
        answer = self._answer
        if answer is None and self._recall.meant is not None:
            answer = await self._meant_answer(self._recall.meant)
        return Got(await self._relayed()) if answer is None else Got(answer, self._recall.entry)

    async def _shared(self, share: Share) -> Committed:
        """Another request's answer, or its own for others too."""
        if self.exchange.head.is_stream:
            self._plan_early_headers()
        committed, _ = await share.answer(self.exchange, self._asked, self._send_early_headers)
        if share.joined is not None:
            self._answer, self._recall, self._recorder = committed, Recall("", share.joined, how=share.how), None
        return committed

    async def _meant_answer(self, asked: Asked) -> Committed | None:
        """A kept answer to the same question in other words. Looked for once the request is admitted: it costs a call."""
        tools, exchange = self._tools, self.exchange
        self._meant, entry = await tools.cache.recall_meant(asked, self._runtime.settings.cache)
        if self._meant is not None and self._meant.embedded.target is not None:
            await tools.holds.settle(
                record_of_embedding(self._note, self._meant.embedded, self._runtime.rates), NO_HOLD
            )
        if exchange.has_caller_left:
            raise CallerGone
        answer = None if entry is None else replayed(entry, exchange)
        if answer is not None:
            self._answer, self._recorder = answer, None
            self._recall = structs.replace(self._recall, entry=entry, how="semantic")
        return answer

    def _relayed(self) -> Awaitable[Committed]:
        if self.exchange.head.is_stream:
            self._plan_early_headers()
        tools = self._tools
        return relay(self.exchange, self._plan, tools.attempts, tools.metrics, tools.traffic, self._send_early_headers)

    async def _forward_whole(self, committed: Committed) -> None:
        exchange = self.exchange
        exchange.usage = committed.usage
        exchange.answer_bytes = len(committed.held)
        body = committed.held
        if committed.answer is not None:
            answer = with_usage(committed.answer, exchange.request(), committed.asking.codec.dialect)
            exchange.usage = answer.usage
            body = exchange.caller.encode_response(answer, self._stamp(committed))
        if exchange.redacts is not None:
            body = await redact_whole(body, exchange.caller.dialect, exchange.redacts, self._tools.metrics)
        await self._settle(200, len(body))
        await self._reply.whole(200, self._headers(committed, b"application/json"), body)
        if self._recorder is not None:
            self._recorder.add(committed.held)
            self._keep(committed, self._recorder)

    async def _forward_stream(self, committed: Committed) -> None:
        """Pass the stream on, whole events a write. The last bytes wait for the record."""
        exchange, reply, call, mender = self.exchange, self._reply, committed.call, committed.mender
        recorder = self._recorder
        tap = self._tap(committed)
        gap_s = exchange.timeouts.gap_s
        exchange.watch.enter("gap_timeout", time.monotonic() + gap_s, gap_s)
        if not reply.has_started:
            await reply.start(200, self._headers(committed, exchange.caller.stream_type(exchange.arrival)))
        progress = self._progress
        if progress is not None:
            progress.begin(tap)
        data = committed.held
        last = b""
        is_torn = False
        try:
            while data:
                if recorder is not None:
                    recorder.add(data)
                out = tap.feed(data)
                if tap.held_bytes > MAX_HELD_BYTES:
                    out += tap.take_rest()
                    is_torn = True
                elif is_torn:
                    is_torn = not out  # what is given ends with a whole event
                exchange.chunks = tap.chunks
                if progress is not None:
                    progress.is_torn = is_torn
                if tap.is_done:
                    last = out
                    break
                if tap.error:
                    exchange.error = "provider_error_event"  # noted before it is sent: who reads it may leave at once
                    out = committed.target.connection.without_secret(out)
                if out:
                    exchange.watch.sending_since = time.monotonic()
                    await reply.write(out)
                    exchange.watch.sending_since = 0.0
                data = await call.read()
                if mender is not None:
                    data = mender.feed(data) if data else mender.end()
            last += tap.take_rest()
        except UpstreamFault as fault:
            rest = tap.take_rest() if committed.asking.codec.terminator else b""
            exchange.usage = tap.usage
            if tap.error or not self._is_whole(tap, committed):
                await self._end_cut(fault.kind, str(fault), tap, rest, is_torn=is_torn)
                return
            last = rest
        finally:
            exchange.usage = tap.usage  # also when the caller leaves: a provider may tell it before its end
        if tap.error:
            exchange.error = "provider_error_event"
            last = committed.target.connection.without_secret(last)
        elif not tap.is_done:
            if not self._is_whole(tap, committed):
                message = "the provider ended the stream before the answer was complete"
                await self._end_cut("reset", message, tap, last, is_torn=is_torn)
                return
            if committed.asking.codec.terminator:
                last = closed(last) + committed.asking.codec.terminator
        self._judge(tap)
        if progress is not None and not tap.error:
            last = progress.with_last(last)
        if exchange.explains:
            last += self._explanation()
        exchange.watch.enter("gap_timeout", time.monotonic() + LINGER_S)
        await self._settle(200, len(last))
        await reply.finish(last)
        if recorder is not None and not tap.error:
            self._keep(committed, recorder)

    def _keep(self, committed: Committed, recorder: Recorder) -> None:
        """The answer is whole and sent: keep it as its provider gave it."""
        if recorder.is_too_large:
            return
        entry = entry_of(
            committed,
            self.exchange,
            recorder.body(),
            self.exchange.usage,
            self._cost_nano_usd,
            self._runtime.settings.cache.ttl_s,
        )
        self._tools.cache.keep(self._recall.key, entry, self._meant)

    def _tap(self, committed: Committed) -> Tap:
        """What looks at the stream on its way: a watcher of bytes that pass, or a translator."""
        exchange, asking = self.exchange, committed.asking
        if not asking.is_native or exchange.redacts is not None:
            origin = Origin(committed.target.connection.provider, exchange.request_id)
            estimated = estimated_tokens(exchange.request(), asking.codec.dialect)
            encoder = exchange.caller.make_encoder(self._stamp(committed, estimated))
            grammar = (
                GRAMMARS.get(exchange.caller.dialect) if self._tools.chance() < self._tools.grammar_sample else None
            )
            has_events = not exchange.arrival.wants_array
            return Translation(
                asking.codec.make_decoder(origin),
                encoder,
                asking.names,
                estimated,
                grammar() if grammar and has_events else None,
                self._redactor(exchange.redacts) if exchange.redacts is not None else None,
            )
        tap = asking.codec.make_tap(hides_usage_chunk=committed.hides_usage_chunk)
        return ArrayTap(tap) if exchange.arrival.wants_array else tap

    def _redactor(self, rule: Pii) -> StreamRedactor:
        self._found = Redactor(rule.kinds)
        return StreamRedactor(rule, self._found)

    def _stamp(self, committed: Committed, input_tokens: int = 0) -> Stamp:
        exchange = self.exchange
        return Stamp(
            request_id=exchange.request_id,
            created_at=int(self._note.at),
            model=exchange.head.model,
            envelopes=exchange.envelopes,
            request=exchange.request(),
            arrival=exchange.arrival,
            input_tokens=input_tokens,
            answered_in=committed.asking.codec.dialect,
        )

    def _is_whole(self, tap: Tap, committed: Committed) -> bool:
        """Whether the provider said why its answer is over, be it without a terminator.

        Of several answers at once that is not known of each.
        """
        if tap.is_done or not tap.is_complete or not committed.asking.codec.terminator:
            return tap.is_complete
        try:
            return self.exchange.request().n == 1
        except GatewayError:  # a provider may take what cannot be read here
            return True

    async def _end_cut(self, kind: str, message: str, tap: Tap, rest: bytes = b"", *, is_torn: bool = False) -> None:
        """After commit there is no other target: the dialect's error event, and no clean terminator.

        `rest` is a last event without its blank line: its translator counts it as written; of bytes that pass it is
        half an event, which must not run into ours. `is_torn`: the beginning of such an event was passed on.
        """
        exchange = self.exchange
        exchange.error = f"stream_{kind}"
        self._tools.metrics.streams_interrupted.add(("gateway" if kind == "draining" else "provider",))
        code = "shutting_down" if kind == "draining" else "upstream_cut"
        if isinstance(tap, Translation | ArrayTap):
            last = rest + tap.fail(502, code, message, self._details())
        else:
            last = b"\n\n" * is_torn + self._stream_error(502, code, message, self._details())
        self._judge(tap)
        await self._settle(200, len(last))
        await self._reply.finish(last)

    def _judge(self, tap: Tap) -> None:
        """Tell of a translated stream that is out of order, once all of it is written."""
        if isinstance(tap, Translation) and (violations := tap.violations()):
            self._tools.metrics.grammar_violations.add((self.exchange.caller.dialect,))
            _log.warning("stream_out_of_order", request_id=self.exchange.request_id, found=violations)

    def _stream_error(self, status: int, code: str, message: str, details: dict[str, object] | None) -> bytes:
        exchange = self.exchange
        if exchange.arrival.wants_array:
            return b"[" + exchange.caller.encode_error(status, code, message, None, details) + b"]"
        return exchange.caller.encode_stream_error(status, code, message, None, details)

    async def _end_failed(self, error: GatewayError) -> None:
        exchange = self.exchange
        exchange.error = error.code
        if exchange.explains:
            error.decision, error.shows_decision = self._plan.decision(), True
        if not self._reply.has_started:
            await self._settle(error.status)
            raise error
        last = self._stream_error(error.status, error.code, error.message, self._details())
        await self._settle(error.status, len(last))
        await self._reply.finish(last)

    async def _settle(self, status: int, last_bytes: int = 0) -> None:
        """`last_bytes` of the answer are sent only when the record is safe, and count in it."""
        if self._is_settled:
            return
        self._is_settled = True
        self.exchange.note = None
        exchange, tools = self.exchange, self._tools
        if self._share is not None:
            self._share.land(is_well=status == 200 and not exchange.error)
            if exchange.has_left_others:
                status, exchange.error = 499, exchange.error or "caller_left"
        ended_at = time.monotonic()
        bytes_out = self._reply.bytes_out + last_bytes
        record = record_of(
            self._note, exchange, self._runtime.rates, status=status, ended_at=ended_at, bytes_out=bytes_out
        )
        if self._answer is not None and self._recall.entry is not None:
            record = saved_of(record, self._recall.how, self._recall.entry.cost_nano_usd or record.cost_nano_usd)
        self._cost_nano_usd = record.cost_nano_usd
        if self._keeps_routing:
            record = structs.replace(record, routing=self._plan.decision())
        measure(record, tools.metrics)
        if not record.cache:
            measure_answer(record, tools.metrics, self._runtime.rates, self._runtime.named_models)
        if self._found is not None:
            count_pii(self._found.found, "output", tools.metrics)
        if exchange.trace is not None:
            exchange.trace.end(record)
        self._let_go(record)
        tiers = tools.traffic.tiers
        if record.cost_nano_usd and tiers is not None and tiers.has_budgets and exchange.target is not None:
            tiers.spend(exchange.target.connection.tier, record.cost_nano_usd, record.at)
        await tools.holds.settle(record, self._hold)

    def _let_go(self, record: RequestRecord) -> None:
        """The connection that answered is free again, and has shown how fast it is."""
        exchange, traffic = self.exchange, self._tools.traffic
        if self._answer is not None:
            return
        if exchange.committed_at and exchange.target is not None:
            traffic.lines.leave(exchange.slot, "ok")
            if len(self._plan.targets) == 1:
                return
            traffic.standing.ended(exchange.target)
            if record.is_stream:
                took_s = time.monotonic() - exchange.committed_at
                traffic.standing.answered(exchange.target, exchange.first_s, took_s, record.usage.output)

    def _plan_early_headers(self) -> None:
        watch = self.exchange.watch
        watch.on_nudge = self._nudge
        watch.nudge_due = self.exchange.started_at + self._runtime.settings.early_headers_s

    def _nudge(self) -> None:
        watch = self.exchange.watch
        watch.nudge_due = time.monotonic() + (
            self._runtime.settings.early_headers_s if self._progress is None else self._progress.every_s
        )
        if self.exchange.call is not None:
            self.exchange.call.nudge()

    async def _send_early_headers(self) -> None:
        """Headers alone are not commit: they keep the caller and what stands between from giving up."""
        exchange = self.exchange
        if not self._reply.has_started:
            content_type = exchange.caller.stream_type(exchange.arrival)
            await self._reply.start(200, [(b"content-type", content_type), (b"cache-control", b"no-cache")])
        sign = exchange.caller.keep_alive if self._progress is None else self._progress.early()
        if sign:
            await self._reply.write(sign)

    def _headers(self, committed: Committed, content_type: bytes) -> Headers:
        target, asking = committed.target, committed.asking
        if asking.is_native and not self.exchange.arrival.wants_array:
            content_type = committed.call.headers.get("content-type", "").encode("latin-1") or content_type
        headers = [
            (b"content-type", content_type),
            (b"x-omniroute-provider", target.connection.provider.encode()),
            (b"x-omniroute-model", _header_value(target.model)),
            (b"x-omniroute-attempts", b"%d" % len(self.exchange.attempts)),
        ]
        if self._recall.key:
            headers.append((b"x-omniroute-cache", _FOUND.get(self._recall.how if self._answer else "", b"HIT")))
        if self._share is not None:
            headers += self._share.headers()
        if self.exchange.head.is_stream:
            headers.append((b"cache-control", b"no-cache"))
            headers.append((b"x-accel-buffering", b"no"))
        if self.exchange.explains:
            headers.append((b"x-omniroute-explain", explained_header(self._plan.decision(), self.exchange.attempts)))
        if self.exchange.guard:
            headers.append((b"x-omniroute-guard", self.exchange.guard.encode("ascii", "replace")))
        if self._hold.budget_warning:
            headers.append((b"x-omniroute-budget", self._hold.budget_warning))
        if asking.notes:
            headers.append((b"x-omniroute-dropped", _header_value("; ".join(asking.notes))[:MAX_DROPPED_BYTES]))
        return headers

    def _explanation(self) -> bytes:
        """The event after the last; the header that left at commit knows nothing of what came later."""
        exchange = self.exchange
        form = b"" if exchange.arrival.wants_array else exchange.caller.explanation
        return form and form % explanation(self._plan.decision(), exchange.attempts)

    def _details(self) -> dict[str, object]:
        details: dict[str, object] = {"request_id": self.exchange.request_id, "attempts": self.exchange.attempts}
        if self.exchange.explains:
            details["routing"] = self._plan.decision()
        return details


def _header_value(text: str) -> bytes:
    """A model's name may be any text; a header holds printable ASCII."""
    return text.encode("ascii", "backslashreplace")
