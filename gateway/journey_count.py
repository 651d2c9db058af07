"""How many tokens a request would have: the provider's own count where it has one, else ours.

Ours is an estimate and says so in the header `x-omniroute-estimated`. A count uses nothing, takes no hold and leaves a row
without usage.
"""

import asyncio
import time

from msgspec import structs

from gateway.accounting.record import note_of, refusal_of
from gateway.admission.permit import permitted
from gateway.dialects.codec import Arrival, BrokenAnswer, Count, Destination, Unsupported
from gateway.dialects.estimate import estimated_tokens
from gateway.dialects.headers import forwarded_anywhere, forwarded_headers
from gateway.dialects.registry import CALLERS, COUNTS, PROVIDERS
from gateway.domain.caller import Caller
from gateway.domain.chat import ChatRequest
from gateway.domain.errors import GatewayError
from gateway.domain.inbound import Inbound
from gateway.domain.reply import Headers, Reply
from gateway.domain.target import Target
from gateway.passage import Tools
from gateway.relay.shape import shape
from gateway.routing.plan import make_plan
from gateway.runtime import Runtime
from gateway.state.holds import NO_HOLD
from gateway.upstream.seam import UpstreamFault, UpstreamRequest

ASK_S = 10.0
MAX_ANSWER_BYTES = 64 * 1024


async def run_count(inbound: Inbound, caller: Caller, reply: Reply, tools: Tools) -> None:
    """Answer a request for a count. Errors are raised as GatewayError."""
    count = COUNTS[inbound.dialect]
    asked, status, code = inbound.path_model, 500, "internal_error"
    headers: Headers = [(b"content-type", b"application/json")]
    try:
        arrival = Arrival(inbound.path_model)
        asked = inbound.path_model or CALLERS[inbound.dialect].read_head(inbound.body, arrival).model
        runtime = tools.runtimes.current()
        if runtime.shaper is not None:
            inbound = await _shaped(inbound, asked, caller, runtime, tools)
        resolution = runtime.resolve(inbound.pinned_provider, asked)
        target = permitted(caller, asked, make_plan(resolution, runtime.catalog, tools.chance()))[0]
        if target.connection.dialect == inbound.dialect:
            sent = count.pass_on(inbound.body, asked, target.model)
            body = await _answer(target, count, forwarded_headers(inbound.headers, inbound.dialect), sent, tools)
        else:
            body = None
        if body is None:
            request = count.decode(inbound.body, arrival, tools.envelopes)
            tokens = await _asked_elsewhere(inbound, request, target, tools)
            if tokens is None:
                headers.append((b"x-omniroute-estimated", b"true"))
                tokens = estimated_tokens(request, target.connection.dialect)
            body = count.encode(tokens)
        status, code = 200, ""
    except GatewayError as error:
        status, code = error.status, error.code
        raise
    finally:
        note = note_of(inbound, caller, at=time.time(), worker=tools.worker, model=asked, is_stream=False)
        duration_s = time.monotonic() - inbound.started_at
        await tools.holds.settle(refusal_of(note, status=status, error=code, duration_s=duration_s), NO_HOLD)
    await reply.whole(200, headers, body)


async def _shaped(inbound: Inbound, asked: str, caller: Caller, runtime: Runtime, tools: Tools) -> Inbound:
    """The request as it would be sent. Thinking and defaults have no tokens of their own, and counts do not take them."""
    assert runtime.shaper is not None
    spared = (*caller.unshaped, "thinking", "defaults")
    wish = runtime.asked(inbound.dialect, inbound.pinned_provider, asked, spared)
    shaped = await shape(runtime.shaper, inbound.body, wish, inbound.request_id, tools.metrics)
    return inbound if shaped.body is inbound.body else structs.replace(inbound, body=shaped.body)


async def _asked_elsewhere(inbound: Inbound, request: ChatRequest, target: Target, tools: Tools) -> int | None:
    """The count of a provider of another dialect: of the request as it would be sent there."""
    connection = target.connection
    count = COUNTS.get(connection.dialect)
    if count is None or connection.dialect == inbound.dialect:
        return None
    codec = PROVIDERS[connection.dialect]
    destination = Destination(target.model, connection.provider, quirks=connection.quirks_of(target.model))
    try:
        body = count.body_of(codec.encode_request(request, destination).body, target.model)
        answer = await _answer(target, count, forwarded_anywhere(inbound.headers) + codec.headers, body, tools)
        return None if answer is None else count.read(answer)
    except (Unsupported, BrokenAnswer):
        return None


async def _answer(target: Target, count: Count, headers: tuple[bytes, ...], body: bytes, tools: Tools) -> bytes | None:
    """What the provider's counting path answers; None when it does not answer well in time."""
    connection = target.connection
    if connection.transport == "demo":
        return None
    url = count.url(connection.paths["chat"], target.model)
    request = UpstreamRequest(connection=connection, url=url, headers=headers, body=body, connect_s=ASK_S)
    try:
        async with asyncio.timeout(ASK_S):
            call = await tools.attempts.transport_of(connection).start(request)
            parts, size = [], 0
            try:
                await call.head()
                while data := await call.read():
                    parts.append(data)
                    size += len(data)
                    if size > MAX_ANSWER_BYTES:
                        return None
            finally:
                if not call.is_over:
                    call.cancel()
    except (UpstreamFault, TimeoutError):
        return None
    return b"".join(parts) if call.status == 200 else None
