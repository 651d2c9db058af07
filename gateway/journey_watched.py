"""A chat request while an owner watches: the same journey, of which some requests are sampled for the live monitor.

Nothing comes here while nobody watches. Of a key whose requests leave no trace nothing is sampled.
"""

import asyncio
import time
from collections.abc import Callable

from gateway.accounting.bodies import KeptReply
from gateway.accounting.monitor import MAX_ANSWER_BYTES, Watched
from gateway.domain.caller import Caller
from gateway.domain.errors import CallerGone, GatewayError, UpstreamFailed
from gateway.domain.inbound import Inbound
from gateway.domain.reply import Reply
from gateway.domain.sample import Sample
from gateway.journey import run_chat
from gateway.journey_stored import run_chat_stored, secrets_of
from gateway.passage import Tools
from gateway.relay.exchange import Exchange
from gateway.shaping.outline import MAX_BYTES


async def run_chat_watched(
    inbound: Inbound, caller: Caller, reply: Reply, tools: Tools, watch_caller: Callable[[Exchange], None]
) -> None:
    """As `run_chat`. Raises as it does."""
    run = run_chat_stored if caller.stores_bodies else run_chat
    if caller.is_no_log or not tools.monitor.takes():
        await run(inbound, caller, reply, tools, watch_caller)
        return
    at, kept, seen = time.time(), KeptReply(reply, MAX_ANSWER_BYTES), list[Exchange]()
    status, code, tried = 500, "internal_error", set[str]()

    try:
        await run(inbound, caller, kept, tools, watch_caller, seen)
        status, code = 200, ""
    except GatewayError as error:
        status, code = error.status, error.code
        if isinstance(error, UpstreamFailed):
            tried = {attempt.provider for attempt in error.attempts}
        raise
    except (CallerGone, asyncio.CancelledError):
        status, code = 499, "caller_left"
        raise
    finally:
        exchange = seen[0] if seen else None
        providers = tried | {kept.provider} | {one.provider for one in (exchange.attempts if exchange else ())}
        tools.monitor.offer(
            Watched(
                sample=_told(inbound, caller, exchange, kept, at=at, status=status, code=code),
                exchange=exchange if exchange is not None and len(exchange.body) <= MAX_BYTES else None,
                asked=inbound.body if len(inbound.body) <= MAX_BYTES else b"",
                answered=kept.body,
                secrets=secrets_of(inbound, providers, tools.runtimes.current()),
            )
        )


def _told(
    inbound: Inbound, caller: Caller, exchange: Exchange | None, kept: KeptReply, *, at: float, status: int, code: str
) -> Sample:
    """What is told without looking at bodies."""
    target = exchange.target if exchange is not None else None
    return Sample(
        id=inbound.request_id,
        at=at,
        endpoint=inbound.endpoint,
        dialect=inbound.dialect,
        requested_model=exchange.head.model if exchange is not None else inbound.path_model,
        key_name=caller.key_name,
        is_stream=exchange is not None and exchange.head.is_stream,
        status=status,
        error=code or (exchange.error if exchange is not None else ""),
        duration_ms=(time.monotonic() - inbound.started_at) * 1000,
        attempts=len(exchange.attempts) if exchange is not None else 0,
        provider=target.connection.provider if target is not None else "",
        model=target.model if target is not None else "",
        target_dialect="",
        passed_on=False,
        dropped=(),
        asked="",
        asked_bytes=len(inbound.body),
        sent="",
        answered="",
        answered_bytes=max(kept.bytes_out, len(kept.body)),
    )
