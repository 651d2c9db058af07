"""One attempt: send, wait for the head, hold what comes until the first useful byte. Failure is a value here.

What comes before commit is held (at most MAX_HELD_BYTES), so an error in the head, the first event or a later one
before any content is a failed attempt like any other.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import msgspec

from gateway.dialects.codec import BrokenAnswer, Origin, Unsupported
from gateway.dialects.openai_chat.mend import StreamMender, mend_answer
from gateway.dialects.sse import EventSplitter, data_of
from gateway.dialects.tool_names import restored_answer
from gateway.domain.chat import Answer
from gateway.domain.errors import CallerGone
from gateway.domain.events import Finished
from gateway.domain.outcome import Outcome
from gateway.domain.target import Connection, Target
from gateway.domain.usage import Usage
from gateway.relay.asking import Asking, Pictures, native_asking, translated_asking
from gateway.relay.classify import FILTERED, UNSUPPORTED, of_bad_answer, of_fault, of_status, refuses_stream_options
from gateway.relay.exchange import Exchange
from gateway.relay.refresh import NoCredentials, Refreshes
from gateway.upstream.deadlines import Wheel
from gateway.upstream.seam import Transport, UpstreamCall, UpstreamFault, UpstreamRequest

MAX_HELD_BYTES = 64 * 1024
MAX_ERROR_BYTES = 64 * 1024
MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_REMEMBERED_TARGETS = 10_000
_FILTERED_TEXT = "the provider's filter let no answer through"


class Committed(msgspec.Struct, frozen=True):
    """The target answers. `held` is what has come so far; for an unstreamed answer it is the whole body.

    `answer` is that body decoded, when it must be written in another dialect. `mender` goes on with a stream's bytes.
    """

    target: Target
    asking: Asking
    call: UpstreamCall
    held: bytes
    hides_usage_chunk: bool = False
    usage: Usage | None = None
    answer: Answer | None = None
    mender: StreamMender | None = None


class Failed(msgspec.Struct, frozen=True):
    """The target did not answer. `body` is the provider's own error, at most MAX_ERROR_BYTES, if the caller can read it."""

    outcome: Outcome
    message: str
    status: int = 0
    body: bytes = b""
    content_type: str = ""
    refuses_usage: bool = False
    """It would not have the `stream_options` that the gateway added."""


class Attempts:
    """Makes attempts; remembers, bounded, which targets refuse `stream_options`."""

    def __init__(
        self,
        transports: Mapping[str, Transport],
        wheel: Wheel,
        pictures: Pictures,
        refreshes: Refreshes | None = None,
    ) -> None:
        self._transports = transports
        self._refreshes = refreshes or Refreshes(NoCredentials())
        self._pictures = pictures
        self.wheel = wheel
        self.refusing: dict[tuple[str, str], None] = {}

    def transport_of(self, connection: Connection) -> Transport:
        return self._transports[connection.transport]

    def make(
        self, exchange: Exchange, target: Target, on_nudge: Callable[[], Awaitable[None]], *, is_last: bool
    ) -> Awaitable[Committed | Failed]:
        """One attempt, and once more without `stream_options` for a target that turns out to refuse them.

        Raises CallerGone. `on_nudge` is awaited when the reader is woken to send early headers.
        """
        if target.connection.is_oauth:
            return self._refreshed(exchange, target, on_nudge, is_last=is_last)
        return self._made(exchange, target, on_nudge, is_last=is_last)

    async def _refreshed(
        self, exchange: Exchange, target: Target, on_nudge: Callable[[], Awaitable[None]], *, is_last: bool
    ) -> Committed | Failed:
        """With the newest credential, and once more with a fresh one when that is refused."""
        connection = target.connection
        used = self._refreshes.current(connection)
        result = await self._made(exchange, replace(target, connection=used), on_nudge, is_last=is_last)
        if isinstance(result, Committed) or result.outcome.name != "auth":
            return result

        def on_leaving(end: Callable[[], None]) -> None:
            exchange.waits_as, exchange.on_left = "refresh", lambda _: end()

        try:
            fresh = await self._refreshes.renewed(connection, used, on_leaving)
        finally:
            exchange.waits_as = ""
        if exchange.has_caller_left:
            raise CallerGone
        if fresh is None:
            return result
        return await self._made(exchange, replace(target, connection=fresh), on_nudge, is_last=is_last)

    def _made(
        self, exchange: Exchange, target: Target, on_nudge: Callable[[], Awaitable[None]], *, is_last: bool
    ) -> Awaitable[Committed | Failed]:
        if not exchange.head.is_stream:
            return self._once(exchange, target, on_nudge, asks_usage=True, is_last=is_last)
        return self._with_usage(exchange, target, on_nudge, is_last=is_last)

    async def _with_usage(
        self, exchange: Exchange, target: Target, on_nudge: Callable[[], Awaitable[None]], *, is_last: bool
    ) -> Committed | Failed:
        key = (target.connection.id, target.model)
        asks_usage = not target.connection.refuses_stream_options and key not in self.refusing
        result = await self._once(exchange, target, on_nudge, asks_usage=asks_usage, is_last=is_last)
        if isinstance(result, Failed) and result.refuses_usage:
            if len(self.refusing) >= MAX_REMEMBERED_TARGETS:
                del self.refusing[next(iter(self.refusing))]
            self.refusing[key] = None
            return await self._once(exchange, target, on_nudge, asks_usage=False, is_last=is_last)
        return result

    async def _once(
        self,
        exchange: Exchange,
        target: Target,
        on_nudge: Callable[[], Awaitable[None]],
        *,
        asks_usage: bool,
        is_last: bool,
    ) -> Committed | Failed:
        connection, head, timeouts = target.connection, exchange.head, exchange.timeouts
        try:
            asking = native_asking(exchange, target, asks_usage=asks_usage)
            if asking is None:
                asking = await translated_asking(exchange, target, self._pictures, asks_usage=asks_usage)
            headers = asking.headers
            if exchange.trace is not None:
                headers = exchange.trace.upstream(len(exchange.attempts), asking.url, asking.codec.dialect, headers)
            request = UpstreamRequest(connection, asking.url, headers, asking.body, timeouts.connect_s)
            call = await self._transports[connection.transport].start(request)
        except Unsupported as error:
            return Failed(UNSUPPORTED, error.message)
        except UpstreamFault as fault:
            return Failed(of_fault(fault.kind), str(fault))
        exchange.call = call
        call.on_nudge = on_nudge
        if exchange.has_caller_left:
            call.cancel(CallerGone())
        now = time.monotonic()
        is_patient = is_last or head.is_reasoning
        patience_s = timeouts.first_event_reasoning_s if is_patient else timeouts.first_event_s
        exchange.watch.begin(
            call,
            "headers_timeout",
            now + (patience_s if is_patient else timeouts.headers_s),
            exchange.started_at + timeouts.total_s,
        )
        mender = None
        if connection.mend is not None and asking.codec.dialect == "openai_chat":
            mender = StreamMender(connection.mend)
        talk = _Talk(
            target, asking, call, mender, bool(exchange.goes_on_after) and _may_go_on(exchange, is_last=is_last)
        )
        try:
            await call.head()
            if call.status != 200:
                return await _failed_by_status(talk, added_usage=head.is_stream and asks_usage and not head.wants_usage)
            if not head.is_stream:
                # Headers may leave long before the answer is made; once its bytes flow, a gap is a gap.
                patience_s = max(timeouts.first_event_reasoning_s, timeouts.gap_s)
                exchange.watch.enter("gap_timeout", now + patience_s, timeouts.gap_s)
                return _whole(talk, await call.read_to_end(MAX_ANSWER_BYTES), exchange.request_id)
            exchange.watch.enter("first_event_timeout", time.monotonic() + patience_s)
            return await _first_useful(talk, hides_usage_chunk=asks_usage and not head.wants_usage)
        except UpstreamFault as fault:
            return Failed(of_fault(fault.kind), str(fault), status=call.status)


class _Talk(msgspec.Struct, frozen=True):
    """A call under way: who is asked, what, and what mends its stream.

    `passes_filtered`: an answer that a filter ended before its first word counts as a refusal.
    """

    target: Target
    asking: Asking
    call: UpstreamCall
    mender: StreamMender | None
    passes_filtered: bool = False


def _may_go_on(exchange: Exchange, *, is_last: bool) -> bool:
    return not is_last and FILTERED.name in exchange.goes_on_after


async def _failed_by_status(talk: _Talk, *, added_usage: bool) -> Failed:
    target, call, asking = talk.target, talk.call, talk.asking
    try:
        body = await call.read_to_end(MAX_ERROR_BYTES)
    except UpstreamFault:
        body = b""  # its status says enough
    body = target.connection.without_secret(body)
    outcome = of_status(
        call.status, call.headers, body, is_limited_by_model=target.connection.is_limited_by_model, now=time.time()
    )
    return Failed(
        outcome,
        f"the provider answered {call.status}: {asking.codec.error_text(body)}",
        status=call.status,
        body=body if asking.is_native else b"",
        content_type=call.headers.get("content-type", ""),
        refuses_usage=added_usage and refuses_stream_options(call.status, body),
    )


def _whole(talk: _Talk, body: bytes, request_id: str) -> Committed | Failed:
    target, asking = talk.target, talk.asking
    if talk.mender is not None and target.connection.mend is not None:
        body = mend_answer(body, target.connection.mend)
    reading = asking.codec.read_answer(body)
    if reading.kind != "answer":
        reading = asking.codec.read_answer(target.connection.without_secret(body))
        return Failed(of_bad_answer(reading.kind, reading.error_status, body), reading.message, status=200)
    if asking.is_native and not talk.passes_filtered:
        return Committed(target, asking, talk.call, body, usage=reading.usage)
    try:
        answer = asking.codec.decode_response(body, Origin(target.connection.provider, request_id))
    except BrokenAnswer as error:
        return Failed(of_bad_answer("not_json", 0), str(error), status=200)
    if talk.passes_filtered and answer.finish == "content_filter" and not answer.parts:
        return Failed(FILTERED, _FILTERED_TEXT, status=200)
    if asking.is_native:
        return Committed(target, asking, talk.call, body, usage=reading.usage)
    answer = restored_answer(answer, asking.names)
    return Committed(target, asking, talk.call, body, usage=answer.usage or reading.usage, answer=answer)


async def _first_useful(talk: _Talk, *, hides_usage_chunk: bool) -> Committed | Failed:
    """Read events until one is useful. An end before that, an error or a page is a failure, never an empty answer."""
    splitter, size = EventSplitter(), 0
    call, mender = talk.call, talk.mender
    held: list[bytes] = []
    while True:
        data = await call.read()
        is_over = not data
        size += len(data)
        if mender is not None:
            data = mender.end() if is_over else mender.feed(data)
        held.append(data)
        events = splitter.feed(data)
        if is_over and splitter.rest.strip():
            events.append(splitter.rest)  # a last event may lack its blank line
        for event in events:
            result = _judged(talk, held, event, hides_usage_chunk=hides_usage_chunk)
            if result is not None:
                return result
        if is_over:
            return _ended_early(talk, held, splitter.rest)
        if size > MAX_HELD_BYTES:
            if not any(b"data:" in part for part in held):
                talk.call.cancel()
                return Failed(
                    of_bad_answer("not_json", 0), "the provider's answer is not a stream of events", status=200
                )
            return _committed(talk, held, hides_usage_chunk=hides_usage_chunk)


def _judged(talk: _Talk, held: list[bytes], event: bytes, *, hides_usage_chunk: bool) -> Committed | Failed | None:
    """What one event decides; None for noise."""
    codec = talk.asking.codec
    match codec.classify(event):
        case "error":
            talk.call.cancel()
            body = talk.target.connection.without_secret(data_of(event) or event)
            reading = codec.read_answer(body)
            return Failed(of_bad_answer("error", reading.error_status, body), codec.error_text(body), status=200)
        case "useful":
            return _committed(talk, held, hides_usage_chunk=hides_usage_chunk)
        case "terminal":
            return _terminal_first(talk, held, event, hides_usage_chunk=hides_usage_chunk)
    return None


def _committed(talk: _Talk, held: list[bytes], *, hides_usage_chunk: bool) -> Committed:
    return Committed(
        talk.target, talk.asking, talk.call, b"".join(held), hides_usage_chunk=hides_usage_chunk, mender=talk.mender
    )


def _terminal_first(talk: _Talk, held: list[bytes], event: bytes, *, hides_usage_chunk: bool) -> Committed | Failed:
    """A stream that ends before any content.

    A finish reason is an answer (`length` with one token, a filter); only a bare terminator is an empty one.
    """
    if talk.passes_filtered and _is_filtered(talk, held):
        talk.call.cancel()
        return Failed(FILTERED, _FILTERED_TEXT, status=200)
    if b"[DONE]" in event:
        talk.call.cancel()
        return Failed(of_bad_answer("empty", 0), "the provider's stream ended without an answer", status=200)
    return _committed(talk, held, hides_usage_chunk=hides_usage_chunk)


def _is_filtered(talk: _Talk, held: list[bytes]) -> bool:
    """Whether what came, and has no content, ends with a filter's word."""
    decoder = talk.asking.codec.make_decoder(Origin(talk.target.connection.provider, ""))
    events = [*decoder.feed(b"".join(held)), *decoder.end()]
    return any(isinstance(event, Finished) and event.finish == "content_filter" for event in events)


def _ended_early(talk: _Talk, held: list[bytes], rest: bytes) -> Failed:
    body = talk.target.connection.without_secret(b"".join(held))
    if rest.strip() and not body.lstrip().startswith((b"data:", b"event:", b":")):
        reading = talk.asking.codec.read_answer(body)
        if reading.kind != "answer":
            return Failed(of_bad_answer(reading.kind, reading.error_status), reading.message, status=200)
        return Failed(of_bad_answer("not_json", 0), "the provider answered a stream with a single object", status=200)
    return Failed(of_bad_answer("empty", 0), "the provider's stream ended without an answer", status=200)
