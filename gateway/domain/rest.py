"""What rests: targets, connections and providers that are left alone for a while, and the rules for how long."""

from typing import Literal

import msgspec

RestKind = Literal["cooldown", "breaker"]


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

    cooldown_s: float = 1.0
    cooldown_max_s: float = 120.0
    retry_after_max_s: float = 3_600.0
    unknown_model_s: float = 60.0
    auth_s: float = 60.0
    auth_max_s: float = 600.0
    quota_s: float = 300.0
    quota_max_s: float = 86_400.0
    failures: int = 5
    connect_failures: int = 3
    window_s: float = 30.0
    failure_share: float = 0.5
    provider_connections: int = 2
    open_s: float = 5.0
    open_max_s: float = 25.0
    probe_s: float = 30.0
    ramp_s: float = 10.0
