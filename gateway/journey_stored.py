"""A chat request of a caller whose bodies are stored: the same journey, with the first bytes of both sides kept on the way.

Others do not come here. What is kept goes into the worker's own queue after the answer; nobody waits for it.
"""

import time
from collections.abc import Callable

from gateway.accounting.bodies import Kept, KeptReply
from gateway.dialects.registry import CALLERS
from gateway.domain.caller import Caller
from gateway.domain.errors import GatewayError, UpstreamFailed
from gateway.domain.inbound import Inbound
from gateway.domain.reply import Reply
from gateway.domain.shaping import Pii
from gateway.domain.target import credentials_in
from gateway.journey import run_chat
from gateway.passage import Tools
from gateway.relay.exchange import Exchange
from gateway.runtime import Runtime
from gateway.shaping.stored import MARGIN


async def run_chat_stored(
    inbound: Inbound,
    caller: Caller,
    reply: Reply,
    tools: Tools,
    watch_caller: Callable[[Exchange], None],
    seen: list[Exchange] | None = None,
) -> None:
    """As `run_chat`. Raises as it does."""
    runtime, at = tools.runtimes.current(), time.time()
    cap = runtime.settings.logs.max_body_bytes
    kept = KeptReply(reply, cap)
    refusal, providers = b"", set[str]()
    try:
        await run_chat(inbound, caller, kept, tools, watch_caller, seen)
    except GatewayError as error:
        if isinstance(error, UpstreamFailed):
            providers = {attempt.provider for attempt in error.attempts}
        refusal = _refusal(error, inbound)
        raise
    finally:
        if not kept.has_started:
            kept.keep(refusal)
        if tools.bodies is not None:
            answered = kept.body
            tools.bodies.offer(
                Kept(
                    id=inbound.request_id,
                    at=at,
                    asked=inbound.body[: cap + MARGIN],
                    asked_bytes=len(inbound.body),
                    answered=answered,
                    answered_bytes=max(kept.bytes_out, len(answered)),
                    is_stream=kept.is_stream,
                    cap=cap,
                    secrets=secrets_of(inbound, providers | {kept.provider}, runtime),
                    rule=_rule(caller, runtime),
                )
            )


def _refusal(error: GatewayError, inbound: Inbound) -> bytes:
    """What the caller will be told: the provider's own words where they are passed on."""
    if isinstance(error, UpstreamFailed) and error.body and "json" in error.content_type:
        return error.body
    return CALLERS[inbound.dialect].encode_error(error.status, error.code, error.message, error.param, None)


def _rule(caller: Caller, runtime: Runtime) -> Pii | None:
    """How personal data of the caller is redacted."""
    return None if runtime.shaper is None or "pii" in caller.unshaped else runtime.shaper.rules.pii


def secrets_of(inbound: Inbound, providers: set[str], runtime: Runtime) -> frozenset[str]:
    """What must stand in no body: the caller's own key, and the credentials of connections that may have been asked."""
    connections = runtime.catalog.connections
    asked = [connection.credentials for name in providers for connection in connections.get(name, ())]
    own = credentials_in(b"%s: %s" % line for line in inbound.headers)
    return own.union(*asked)
