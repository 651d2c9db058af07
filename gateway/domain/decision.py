"""Why a request went where it went: what a plan chose among, what it left out and what it compared."""

import msgspec


class Candidate(msgspec.Struct, frozen=True, omit_defaults=True):
    """A target in the order of the plan. `name` is `prefix/model @connection`; `rests`: kept for the end, while it rests."""

    name: str
    connection_id: str
    combo: str = ""
    rests: bool = False


class Dropped(msgspec.Struct, frozen=True):
    """A target, or a model with all its connections, that is not tried.

    `name` is `prefix/model`, with ` @connection` when it is one. `reason`: `vision`, `tools`, `structured`, `context`
    (it cannot), `not_allowed` (for this key), `resting`, `tier_spent`, `tier_not_asked`, `no_connection`.
    """

    name: str
    reason: str


class Decision(msgspec.Struct, frozen=True, omit_defaults=True):
    """One plan, as it is shown and kept. Bounded: a plan holds few candidates and names few dropped ones.

    `scores` are what the strategy compared, by `provider/model`: ms, or USD per 1,000,000 tokens. Without candidates it
    tells why there was nowhere to go.
    """

    strategy: str
    account_strategy: str
    candidates: tuple[Candidate, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    scores: dict[str, float] = {}
    has_affinity: bool = False
