"""How many tokens a request would have: the provider's own count where it has one in the caller's dialect, else ours.

Ours is an estimate and says so in the header `x-omniroute-estimated`. A count uses nothing, takes no hold and leaves a row
without usage.
"""

import asyncio
import time

from gateway.accounting.record import note_of, refusal_of
from gateway.admission.permit import permitted
from gateway.dialects.codec import Arrival, Count
from gateway.dialects.estimate import estimated_tokens
from gateway.dialects.headers import forwarded_headers
from gateway.dialects.registry import CALLERS, COUNTS
from gateway.domain.caller import Caller
from gateway.domain.errors import GatewayError
from gateway.domain.inbound import Inbound
from gateway.domain.reply import Headers, Reply
from gateway.domain.target import Target
from gateway.journey import Tools
from gateway.routing.plan import make_plan
from gateway.state.holds import NO_HOLD
from gateway.upstream.seam import UpstreamFault, UpstreamRequest

ASK_S = 10.0
MAX_ANSWER_BYTES = 64 * 1024


async def run_count(inbound: Inbound, caller: Caller, reply: Reply, tools: Tools) -> None:
    """Answer a request for a count. Errors are raised as GatewayError."""
    count = COUNTS[inbound.dialect]
    asked, status, code = inbound.path_model, 200, ""
    headers: Headers = [(b"content-type", b"application/json")]
    try:
        arrival = Arrival(inbound.path_model)
        asked = inbound.path_model or CALLERS[inbound.dialect].read_head(inbound.body, arrival).model
        runtime = tools.runtimes.current()
        resolution = runtime.resolve(inbound.pinned_provider, asked)
        plan = permitted(caller, asked, make_plan(resolution, runtime.catalog, tools.chance()))
        body = await _asked(inbound, asked, plan[0], count, tools)
        if body is None:
            headers.append((b"x-omniroute-estimated", b"true"))
            request = count.decode(inbound.body, arrival, tools.envelopes)
            body = count.encode(estimated_tokens(request, plan[0].connection.dialect))
    except GatewayError as error:
        status, code = error.status, error.code
        raise
    finally:
        note = note_of(inbound, caller, at=time.time(), worker=tools.worker, model=asked, is_stream=False)
        duration_s = time.monotonic() - inbound.started_at
        await tools.holds.settle(refusal_of(note, status=status, error=code, duration_s=duration_s), NO_HOLD)
    await reply.whole(200, headers, body)


async def _asked(inbound: Inbound, asked: str, target: Target, count: Count, tools: Tools) -> bytes | None:
    """The provider's own count; None when it has none in this dialect, or does not answer well in time."""
    connection = target.connection
    url = connection.paths["chat"] if connection.dialect == inbound.dialect else ""
    if not url or connection.transport == "demo":
        return None
    request = UpstreamRequest(
        connection=connection,
        url=count.url(url, target.model),
        headers=forwarded_headers(inbound.headers, inbound.dialect),
        body=count.pass_on(inbound.body, asked, target.model),
        connect_s=ASK_S,
    )
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
