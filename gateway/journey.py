"""READ THIS FIRST: one chat request from bytes to bytes.

  1 edge        gives `Inbound` (who asks, what, the bytes) and a `Reply`
  2 admission   secret → Caller; may this key use that model?          `keyring`, `permit`
  3 dialects    bytes → what routing must know                         `CallerCodec.read_head`
  4 routing     name → targets in order                                `Runtime.plan`
    cache       the answer of the same request, if it is kept        `ResponseCache.recall`
  5 relay       targets until one commits                              `relay` (6 upstream: one call)
  7 dialects    the answer's bytes: watched and passed on, or translated   `Tap`, `Translation`
  8 accounting  the record, handed over before the last byte is sent   `holds.settle`

From 5 on it is `passage.py`. Commit is the first useful byte sent to the caller: before it any failure may go to the next target, after it a
failure ends the answer with the dialect's own error event. One record for every request with a valid key.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial

from msgspec import structs

from gateway.accounting.measure import measure
from gateway.accounting.record import note_of, refusal_of
from gateway.accounting.reservation import reservation_of
from gateway.admission.permit import may_use
from gateway.cache.entry import NOTHING, Recall
from gateway.cache.policy import shares_equal, tenant_of
from gateway.cache.replay import replayed
from gateway.cache.share import Share, fingerprint_of, name_of_key, name_of_signature
from gateway.dialects.codec import IN_BODY, Arrival, Head
from gateway.dialects.estimate import estimated_tokens, plain_tokens
from gateway.dialects.headers import asks_why, session_of
from gateway.dialects.registry import CALLERS
from gateway.domain.caller import Caller
from gateway.domain.errors import BadRequest, GatewayError, OverLimit, Unauthorized, Unavailable
from gateway.domain.inbound import Inbound
from gateway.domain.record import RequestRecord
from gateway.domain.reply import Reply
from gateway.passage import Passage, Tools
from gateway.relay.exchange import Exchange
from gateway.relay.shape import shape
from gateway.routing.plan import Plan, empty_plan
from gateway.runtime import Runtime
from gateway.shaping.shaper import Shaped
from gateway.state.holds import NO_HOLD

_OF_USE = ("tpm", "budget")
"""Limits of what answers cost, which those that are kept or under way do not."""


async def identify(secret: bytes, tools: Tools) -> Caller:
    """Who asks. Raises Unauthorized or Unavailable."""
    if secret:
        try:
            return await tools.keyring.identify(secret)
        except Unauthorized as error:
            tools.metrics.auth_refusals.add((error.code,))
            raise
    if tools.requires_key:
        tools.metrics.auth_refusals.add(("missing_api_key",))
        raise Unauthorized(
            "no API key was sent: put it in the header `Authorization: Bearer <key>`", code="missing_api_key"
        )
    return tools.keyring.anonymous


async def run_chat(
    inbound: Inbound,
    caller: Caller,
    reply: Reply,
    tools: Tools,
    watch_caller: Callable[[Exchange], None],
    seen: list[Exchange] | None = None,
) -> None:
    """Serve one chat request. Errors before the answer has started are raised as GatewayError or CallerGone.

    `watch_caller` begins to look out for the caller leaving; it calls `Exchange.caller_left`. Into `seen` goes the exchange, once admitted.
    """
    asked = inbound.path_model
    arrival = Arrival(inbound.path_model, inbound.path_streams, inbound.wants_array) if inbound.path_model else IN_BODY
    try:
        head = CALLERS[inbound.dialect].read_head(inbound.body, arrival)
        asked = head.model
        runtime, shaped = tools.runtimes.current(), None
        if runtime.shaper is not None:
            shaped = await _shaped(inbound, head, caller, runtime, tools)
            if shaped.body is not inbound.body:
                inbound = structs.replace(inbound, body=shaped.body, sent_body=inbound.body)
                head = CALLERS[inbound.dialect].read_head(inbound.body, arrival)
        passage = await _admit(inbound, arrival, head, caller, reply, tools, runtime, shaped)
    except GatewayError as error:
        await record_refusal(inbound, caller, asked, error, tools)
        raise
    exchange = passage.exchange
    exchange.watch.begin_watching_caller = partial(watch_caller, exchange)
    tools.open_exchanges.add(exchange)
    if seen is not None:
        seen.append(exchange)
    tools.attempts.wheel.add(exchange.watch)
    try:
        await passage.run()
    finally:
        tools.open_exchanges.discard(exchange)
        tools.attempts.wheel.release(exchange.watch)


async def _shaped(inbound: Inbound, head: Head, caller: Caller, runtime: Runtime, tools: Tools) -> Shaped:
    """What the operator has done to the caller's own bytes, before anything else reads them."""
    assert runtime.shaper is not None
    asked = runtime.asked(inbound.dialect, inbound.pinned_provider, head.model, caller.unshaped)
    return await shape(runtime.shaper, inbound.body, asked, inbound.request_id, tools.metrics)


async def _admit(
    inbound: Inbound,
    arrival: Arrival,
    head: Head,
    caller: Caller,
    reply: Reply,
    tools: Tools,
    runtime: Runtime,
    shaped: Shaped | None,
) -> Passage:
    """Rooms 2 and 4: where can it go, and may it; then the hold is taken."""
    caching, resting = runtime.caching, None
    if caching is not None and not (head.is_cold or caching.any_temperature):
        caching = None  # the cache has no part in most requests
    try:
        plan = _plan(inbound, head, caller, runtime, tools)
    except Unavailable as error:
        may_share = inbound.idempotency_key or runtime.sharing is not None
        if error.decision is None or not (caching is not None or may_share):
            raise
        plan, resting = empty_plan(error.decision, error), error  # its answer may be kept or under way
    exchange = Exchange(
        request_id=inbound.request_id,
        caller=CALLERS[inbound.dialect],
        arrival=arrival,
        head=head,
        body=inbound.body,
        envelopes=tools.envelopes,
        headers=inbound.headers,
        timeouts=runtime.settings.timeouts,
        started_at=inbound.started_at,
        task=asyncio.current_task(tools.loop),
    )
    if tools.tracer is not None:
        exchange.trace = tools.tracer.begin(inbound.headers, inbound.started_at)
    if shaped is not None:
        exchange.guard, exchange.redacts = shaped.guard, shaped.output
        if shaped.output is not None and head.is_stream and exchange.request().n > 1:
            raise BadRequest(
                "personal data is taken out of answers here: several at once cannot be streamed", param="n"
            )
    note = note_of(inbound, caller, at=time.time(), worker=tools.worker, model=head.model, is_stream=head.is_stream)
    recall = NOTHING
    if caching is not None:
        pinned = inbound.pinned_provider
        meaning = runtime.meaning(pinned, head.model)
        recall = tools.cache.recall(
            exchange, caller, caching, pinned_provider=pinned, combo=meaning.combo, meaning=meaning.digest
        )
        if recall.look is not None and not _takes_the_same(caller, inbound, runtime, resting):
            recall = await tools.cache.found(recall)
    answer = None if recall.entry is None else replayed(recall.entry, exchange)
    share = None
    if inbound.idempotency_key or runtime.sharing is not None:
        share = _share(inbound, exchange, caller, runtime, recall, tools)
    if resting is not None and answer is None and share is None:
        raise resting
    is_free = answer is not None or resting is not None
    while True:
        tokens, nano_usd = (0, 0) if is_free else _reservation(caller, exchange, plan, note, runtime)
        try:
            taken = await tools.holds.take(caller, note, reserve_tokens=tokens, reserve_nano_usd=nano_usd)
        except OverLimit as error:
            if share is None or is_free or error.limit not in _OF_USE:
                raise
            plan, is_free = empty_plan(plan.decision(), error), True  # what it joins or repeats costs nothing
            continue
        if not isinstance(taken, Caller):
            break
        caller, is_free = taken, answer is not None
        plan = _plan(inbound, head, caller, runtime, tools)
    exchange.note = note
    return Passage(exchange, plan, note, taken, reply, tools, runtime, recall, answer, share)


def _takes_the_same(caller: Caller, inbound: Inbound, runtime: Runtime, resting: Unavailable | None) -> bool:
    """Whether the hold is the same with and without a kept answer, so that both are asked for in one go."""
    is_shared = bool(inbound.idempotency_key) or runtime.sharing is not None
    return not (caller.tpm or caller.budget_nano_usd or is_shared or resting)


def _share(
    inbound: Inbound, exchange: Exchange, caller: Caller, runtime: Runtime, recall: Recall, tools: Tools
) -> Share | None:
    """What the request shares with equal ones, if anything. Nothing of a no-log key leaves its request."""
    settings, flights = runtime.settings.sharing, tools.flights
    if caller.is_no_log:
        return None
    flights.lease_s, flights.max_answer_bytes = settings.lease_s, runtime.settings.cache.max_answer_bytes
    key = inbound.idempotency_key or (inbound.caller_request_id.encode() if settings.by_request_id else b"")
    equal = _share_with_equals(inbound, exchange, caller, runtime, recall, tools)
    if key and settings.idempotency_window_s:
        name, window_s = name_of_key(tenant_of(caller), key), settings.idempotency_window_s
        return Share(flights, name, fingerprint_of(inbound), window_s, "idempotent", equal)
    return equal


def _share_with_equals(
    inbound: Inbound, exchange: Exchange, caller: Caller, runtime: Runtime, recall: Recall, tools: Tools
) -> Share | None:
    settings = runtime.settings.sharing
    if settings.single_flight == "off":
        return None
    asked_at = inbound.pinned_provider
    meaning = runtime.meaning(asked_at, exchange.head.model)
    if recall.entry is not None or not shares_equal(settings, caller.single_flight, meaning.combo):
        return None
    cacheable = structs.replace(runtime.settings.cache, mode="on")
    signature = recall.key or tools.cache.key_of(
        exchange, caller, cacheable, pinned_provider=asked_at, meaning=meaning.digest
    )
    return Share(tools.flights, name_of_signature(signature), "", 0.0, "joined") if signature else None


async def record_refusal(inbound: Inbound, caller: Caller, asked: str, error: GatewayError, tools: Tools) -> None:
    """A request with a valid key that got no further leaves its row too; it used nothing."""
    note = note_of(inbound, caller, at=time.time(), worker=tools.worker, model=asked, is_stream=False)
    duration_s = time.monotonic() - inbound.started_at
    record = refusal_of(note, status=error.status, error=error.code, duration_s=duration_s)
    if error.decision is not None:
        error.shows_decision = asks_why(inbound.headers)
        if error.shows_decision or tools.runtimes.current().settings.explains_all:
            record = structs.replace(record, routing=error.decision)
    measure(record, tools.metrics)
    if tools.tracer is not None:
        trace = tools.tracer.begin(inbound.headers, inbound.started_at)
        if trace is not None:
            trace.end(record)
    await tools.holds.settle(record, NO_HOLD)


def _reservation(
    caller: Caller, exchange: Exchange, plan: Plan, note: RequestRecord, runtime: Runtime
) -> tuple[int, int]:
    """The most tokens and nano-dollars that the request may use, for keys with a limit on them; else nothing."""
    if not caller.tpm and not caller.budget_nano_usd:
        return 0, 0
    max_output: int | None = exchange.head.max_output
    input_tokens = None if max_output == -1 else plain_tokens(exchange.body)
    try:
        if input_tokens is None:
            request = exchange.request()
            input_tokens, max_output = estimated_tokens(request), request.max_tokens
    except GatewayError:  # the provider may know what we do not; what it cannot read it refuses itself
        input_tokens, max_output = note.usage.input, None
    targets = [
        (
            target.connection.max_outputs.get(target.model, 0),
            runtime.rates.rate(target.connection.provider, target.model, note.at),
        )
        for target in plan.targets
    ]
    return reservation_of(input_tokens, max_output, targets)


def _plan(inbound: Inbound, head: Head, caller: Caller, runtime: Runtime, tools: Tools) -> Plan:
    """Where the request may go, in order. Raises GatewayError when there is nowhere."""
    standing = tools.traffic.standing
    if standing.is_calm and not caller.providers and may_use(caller, head.model):
        plain = runtime.plain_plan(inbound.pinned_provider, head.model)
        if plain is not None:
            return plain
    return runtime.plan(
        inbound.pinned_provider,
        head.model,
        caller,
        view=standing,
        chance=tools.chance(),
        tickets=tools.tickets,
        now=time.monotonic(),
        body=inbound.body,
        session_name=session_of(inbound.headers),
    )
