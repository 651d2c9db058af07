"""A provider's profile in the seed system's five words. Spans there are ms; ours are seconds.

| seed                    | ours                                                                     |
|-------------------------|--------------------------------------------------------------------------|
| transientCooldown       | `open_s`: how long a breaker is open at first                            |
| circuitBreakerReset     | `open_max_s`: and at most, as it goes on failing                         |
| circuitBreakerThreshold | `failures`                                                               |
| rateLimitCooldown       | `cooldown_s`: after a 429 that says no time; 0 = the default             |
| maxBackoffLevel         | `cooldown_max_s`, which is `cooldown_s` doubled so many times            |
"""

from math import ceil, log2
from typing import Annotated, Any

import msgspec

from admin_api.http.errors import bad_request
from gateway.domain.rest import Profile, Resilience

_Ms = Annotated[int, msgspec.Meta(ge=0, le=86_400_000)]
MAX_SPAN_S = 86_400.0


class SeedProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What is left out keeps its value."""

    transient_cooldown: _Ms | msgspec.UnsetType = msgspec.UNSET
    rate_limit_cooldown: _Ms | msgspec.UnsetType = msgspec.UNSET
    max_backoff_level: Annotated[int, msgspec.Meta(ge=0, le=30)] | msgspec.UnsetType = msgspec.UNSET
    circuit_breaker_threshold: Annotated[int, msgspec.Meta(ge=1, le=100)] | msgspec.UnsetType = msgspec.UNSET
    circuit_breaker_reset: _Ms | msgspec.UnsetType = msgspec.UNSET


def seed_profile(rules: Resilience) -> dict[str, int]:
    """Rules in the seed's words; doublings are rounded up."""
    return {
        "transientCooldown": round(rules.open_s * 1000),
        "rateLimitCooldown": round(rules.cooldown_s * 1000),
        "maxBackoffLevel": max(0, ceil(log2(rules.cooldown_max_s / rules.cooldown_s))),
        "circuitBreakerThreshold": rules.failures,
        "circuitBreakerReset": round(rules.open_max_s * 1000),
    }


def profile_of_seed(fields: dict[str, Any], now: Resilience, path: str) -> Profile:
    """What such a profile changes in the rules of `now`; words that say what is so already change nothing. Raises 400."""
    try:
        given = msgspec.convert(fields, SeedProfile)
    except msgspec.ValidationError as error:
        message, _, at = str(error).partition(" - at `$.")
        raise bad_request((f"{path}.{at.rstrip('`')}" if at else path, message)) from error
    same = seed_profile(now)
    words = {name: value for name, value in msgspec.to_builtins(given).items() if value != same[name]}
    changed: dict[str, Any] = {}
    if "transientCooldown" in words:
        changed["open_s"] = _span(words["transientCooldown"])
        changed["open_max_s"] = max(now.open_max_s, changed["open_s"])
    if "circuitBreakerReset" in words:
        changed["open_max_s"] = _span(words["circuitBreakerReset"])
    if "circuitBreakerThreshold" in words:
        changed["failures"] = words["circuitBreakerThreshold"]
    if "rateLimitCooldown" in words:
        changed["cooldown_s"] = _span(words["rateLimitCooldown"] or round(Resilience().cooldown_s * 1000))
    if "maxBackoffLevel" in words or "rateLimitCooldown" in words:
        level = words.get("maxBackoffLevel", same["maxBackoffLevel"])
        changed["cooldown_max_s"] = min(MAX_SPAN_S, changed.get("cooldown_s", now.cooldown_s) * 2**level)
    return msgspec.convert(changed, Profile)


def _span(ms: int) -> float:
    return max(0.001, ms / 1000)
