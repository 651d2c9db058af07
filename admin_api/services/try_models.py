"""A small question to each model of a combo, to see which of them answer."""

import asyncio
import time
from collections.abc import Sequence

import msgspec

from admin_api.services.plane import Plane
from admin_api.services.probe import ask_shortly
from admin_api.services.simulate import Simulator
from gateway.dialects.codec import Unsupported
from gateway.dialects.registry import PROVIDERS
from gateway.domain.errors import GatewayError
from gateway.domain.target import Target
from gateway.upstream.seam import UpstreamFault

AT_ONCE = 8
MAX_TOKENS = 16
"""OpenAI's Responses take no less."""
WITHIN_S = 45.0
"""For all of them; shorter than workers wait for the admin process."""


class Tried(msgspec.Struct, frozen=True):
    """`model` as the combo names it, and the connection that was asked, empty when there is none. `status` is HTTP's, 0 = none."""

    model: str
    is_ok: bool
    provider: str = ""
    connection_id: str = ""
    status: int = 0
    error: str = ""
    latency_ms: float = 0.0


async def try_models(plane: Plane, simulator: Simulator, models: Sequence[str]) -> list[Tried]:
    """Ask the first connection of each name, in the order of `models`. Fails for nothing that a provider does."""
    turns = asyncio.Semaphore(AT_ONCE)
    ends_at = time.monotonic() + WITHIN_S

    async def one(model: str) -> Tried:
        try:
            async with asyncio.timeout(max(0.001, ends_at - time.monotonic())), turns:
                return await _try(plane, simulator, model)
        except TimeoutError:
            return Tried(model, is_ok=False, error="there was no time for it")

    return await asyncio.gather(*(one(model) for model in models))


async def _try(plane: Plane, simulator: Simulator, model: str) -> Tried:
    try:
        target = (await simulator.targets(model))[0]
    except GatewayError as error:
        return Tried(model, is_ok=False, status=error.status, error=error.message)
    began = time.perf_counter()
    tried = await _ask(plane, model, target)
    return msgspec.structs.replace(tried, latency_ms=round((time.perf_counter() - began) * 1000, 1))


async def _ask(plane: Plane, model: str, target: Target) -> Tried:
    connection, codec = target.connection, PROVIDERS[target.connection.dialect]
    failed = Tried(model, is_ok=False, provider=connection.provider, connection_id=connection.id)
    try:
        reply = await ask_shortly(plane, connection, target.model, MAX_TOKENS)
    except UpstreamFault as fault:
        return msgspec.structs.replace(failed, error=str(fault))
    except (Unsupported, GatewayError) as error:
        return msgspec.structs.replace(failed, error=error.message)
    failed = msgspec.structs.replace(failed, status=reply.status)
    if reply.status != 200:
        said = codec.error_text(connection.without_secret(reply.body[:65_536]))
        return msgspec.structs.replace(failed, error=said[:300])
    reading = codec.read_answer(reply.body)
    # A model that thinks may use up the few tokens before it says a word.
    has_thought = reading.kind == "empty" and reading.usage is not None and reading.usage.output > 0
    if reading.kind == "answer" or has_thought:
        return msgspec.structs.replace(failed, is_ok=True)
    return msgspec.structs.replace(failed, error=f"what came is no answer: {reading.kind}")
