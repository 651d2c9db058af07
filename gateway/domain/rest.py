"""What rests: targets, connections and providers that are left alone for a while, and the rules for how long."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

RestKind = Literal["cooldown", "breaker"]
Span = Annotated[float, Meta(ge=0.001, le=86_400, description="Seconds.")]
Threshold = Annotated[int, Meta(ge=1, le=100)]


class Rest(msgspec.Struct, frozen=True):
    """Why a target is not to be asked now. `until` is an instant of the worker's own clock, `left_s` seconds from now.

    `kind` is `cooldown` (over at `until`) or `breaker`. Of a breaker, `may_probe` tells that its time is over and that
    one request in the whole cluster may try (`Rests.claim`), `is_ramping` that it works again and takes a rising share.
    """

    kind: RestKind
    why: str
    until: float
    left_s: float
    may_probe: bool = False
    is_ramping: bool = False


class Resilience(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Spans in seconds. An exponential one begins at the first number and doubles up to the second.

    Cooldowns: `retry_after_max_s` bounds what a provider asks for, `quota_max_s` the same when a quota is used up,
    `quota_s` counts when it does not say. A breaker opens at `failures` (`connect_failures` of a connection) within
    `window_s`, when they are at least `failure_share` of what was asked between the first and the last of them; a
    provider's when `provider_connections` of its connections could not be reached. A probe that says nothing for
    `probe_s` is given up.
    """

    cooldown_s: Span = 1.0
    cooldown_max_s: Span = 120.0
    retry_after_max_s: Span = 3_600.0
    unknown_model_s: Span = 60.0
    auth_s: Span = 60.0
    auth_max_s: Span = 600.0
    quota_s: Span = 300.0
    quota_max_s: Annotated[float, Meta(gt=0, le=2_678_400, description="Seconds.")] = 86_400.0
    failures: Threshold = 5
    connect_failures: Threshold = 3
    window_s: Span = 30.0
    failure_share: Annotated[float, Meta(ge=0, le=1)] = 0.5
    provider_connections: Threshold = 2
    open_s: Span = 5.0
    open_max_s: Span = 25.0
    probe_s: Span = 30.0
    ramp_s: Annotated[float, Meta(ge=0, le=86_400, description="Seconds.")] = 10.0


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What of `Resilience` is otherwise for one provider; what is left out is as for all. `adapts_concurrency` as in `Waiting`."""

    cooldown_s: Span | UnsetType = UNSET
    cooldown_max_s: Span | UnsetType = UNSET
    retry_after_max_s: Span | UnsetType = UNSET
    unknown_model_s: Span | UnsetType = UNSET
    auth_s: Span | UnsetType = UNSET
    auth_max_s: Span | UnsetType = UNSET
    quota_s: Span | UnsetType = UNSET
    quota_max_s: Annotated[float, Meta(gt=0, le=2_678_400, description="Seconds.")] | UnsetType = UNSET
    failures: Threshold | UnsetType = UNSET
    connect_failures: Threshold | UnsetType = UNSET
    window_s: Span | UnsetType = UNSET
    failure_share: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
    provider_connections: Threshold | UnsetType = UNSET
    open_s: Span | UnsetType = UNSET
    open_max_s: Span | UnsetType = UNSET
    probe_s: Span | UnsetType = UNSET
    ramp_s: Annotated[float, Meta(ge=0, le=86_400, description="Seconds.")] | UnsetType = UNSET
    adapts_concurrency: bool | UnsetType = UNSET


EVERY_KEY = "apikey"
"""The profile of all providers that are asked with an API key, beneath their own."""


def with_profile(rules: Resilience, profile: Profile | None) -> Resilience:
    """The rules as a profile changes them."""
    if profile is None:
        return rules
    given = {name: value for name in Resilience.__struct_fields__ if (value := getattr(profile, name)) is not UNSET}
    return msgspec.structs.replace(rules, **given)
