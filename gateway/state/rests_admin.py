"""What rests, for the control plane: read and reset through Redis, whether or not a worker runs."""

from collections.abc import Sequence
from typing import Any, cast

import msgspec
from redis.asyncio import Redis

from gateway.state import keys
from gateway.state.resp import Script
from gateway.state.rest_table import Entry, RestState, state_of
from gateway.state.rests import MAX_RESTS

_RESTS = Script("rests").text.decode()
_decode_entry = msgspec.json.Decoder(Entry).decode
_SEED_STATES = {"open": "OPEN", "half_open": "HALF_OPEN", "ramping": "CLOSED"}


async def read_rests(redis: Redis) -> list[RestState]:
    """Everything that rests now, the longest first. Raises redis.exceptions.RedisError."""
    now, _, _, found = await _run(redis, "read", {"known": -1})
    states = (
        state_of(field.decode(), _decode_entry(text), now) for field, text in zip(found[::2], found[1::2], strict=True)
    )
    return sorted((state for state in states if state is not None), key=lambda state: -state.until)


async def reset_rests(redis: Redis, ids: Sequence[str] | None = None) -> int:
    """Let rest no longer: all, or connections (with their models), targets or providers (`provider_id`) by id.

    Counts of failures begin anew. Workers are told at once. Returns how many entries were forgotten.
    Raises redis.exceptions.RedisError.
    """
    _, _, gone, _ = await _run(redis, "reset", {"all": True} if ids is None else {"ids": list(ids)})
    return int(gone)


def provider_id(provider: str) -> str:
    """A provider's id among those of connections and targets."""
    return f"\0{provider}"


def breaker_bodies(states: Sequence[RestState]) -> list[dict[str, object]]:
    """The seed's shape of breakers (`/api/resilience`): name, state `OPEN`, `HALF_OPEN` or `CLOSED`, failures, times in ms.

    `failures` is how often it opened in a row. A name is `provider`, `connection` or `connection/model`.
    """
    return [
        {
            "name": state.provider or "/".join(filter(None, (state.connection_id, state.model))),
            "scope": state.scope,
            "state": _SEED_STATES[state.state],
            "failures": state.level,
            "reason": state.why,
            "lastFailure": int(state.since * 1000),
            "until": int(state.until * 1000),
        }
        for state in states
        if state.kind == "breaker"
    ]


def cooldown_bodies(states: Sequence[RestState]) -> list[dict[str, object]]:
    """Who cools down, why, and until when (ms since 1970)."""
    return [
        {
            "connectionId": state.connection_id,
            "model": state.model,
            "reason": state.why,
            "until": int(state.until * 1000),
        }
        for state in states
        if state.kind == "cooldown"
    ]


async def _run(redis: Redis, verb: str, order: dict[str, Any]) -> list[Any]:
    answer = await redis.eval(
        _RESTS,
        3,
        keys.RESTS,
        keys.RESTS_ENDS,
        keys.RESTS_META,
        verb,
        msgspec.json.encode(order).decode(),
        keys.NEWS,
        str(MAX_RESTS),
    )
    return cast("list[Any]", answer)
