"""What may be written in the config file, as structs: the reader (`file.py`) and the JSON Schema come from them.

Shapes and simple bounds only. What needs a second value to judge (clashes, cycles, hosts) is in `file_rules.py`.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from gateway.config.snapshot import AccountStrategy, ProviderStrategy, SessionAffinity, Strategy, Tier
from gateway.domain.bodies import LogSettings
from gateway.domain.budget import TierBudgets
from gateway.domain.caching import CacheSettings, CacheSwitch, SharingSettings
from gateway.domain.dialect import ProviderDialect
from gateway.domain.rest import Profile, Resilience
from gateway.domain.retrying import RetryBudget
from gateway.domain.shaping import Shaping, ShapingStep

_PRINTABLE = r"^[^\x00-\x1f\x7f]+$(?!\n)"

Name = Annotated[str, Meta(min_length=1, max_length=128, pattern=_PRINTABLE)]
Model = Annotated[
    str, Meta(min_length=1, max_length=256, pattern=_PRINTABLE, description="A model name, as a caller could send it.")
]
Prefix = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$(?!\n)",
        description="It may hold small letters, digits, and after the first `.`, `_`, `-`.",
    ),
]
Count = Annotated[int, Meta(ge=0, le=1_000_000_000_000)]
Amount = Annotated[float, Meta(ge=0, le=1_000_000_000)]
Weight = Annotated[float, Meta(ge=0, le=100)]
Limit = Annotated[float, Meta(gt=0, le=86_400, description="Seconds.")]
Url = Annotated[str, Meta(min_length=1, max_length=2048)]
KeySecret = Annotated[str, Meta(min_length=16, max_length=512)]
BudgetPeriod = Literal["daily", "weekly", "monthly", "total"]
KeyPriority = Literal["interactive", "agent", "batch"]


class FileNode(Struct, frozen=True, forbid_unknown_fields=True):
    """A user-made provider. `base_url` includes the version segment (`…/v1`); the operation's path is appended."""

    id: Prefix
    prefix: Prefix
    dialect: ProviderDialect
    base_url: Url
    name: str = ""
    allow_private: bool = False


class FileConnection(Struct, frozen=True, forbid_unknown_fields=True):
    """One account or key at a provider or node. 0 = no limit; no `models` = any model."""

    provider: Name
    name: Name
    api_key: str = ""
    priority: Count = 1
    tier: Tier = "api-key"
    rpm: Count = 0
    min_gap_ms: Count = 0
    max_concurrency: Count = 0
    models: tuple[Model, ...] = ()
    fingerprint: str = ""
    proxy: str = ""

    def __repr__(self) -> str:
        return f"FileConnection(provider={self.provider!r}, name={self.name!r})"


class ComboEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A model of a combo with its weight (for the strategy `weighted`)."""

    model: Model
    weight: Weight = 0


class ComboShape(Struct, frozen=True, forbid_unknown_fields=True):
    """A named list of models with a strategy. A model may be the name of another combo."""

    name: Name
    models: Annotated[tuple[Model | ComboEntry, ...], Meta(min_length=1, max_length=100)]
    strategy: Strategy = "priority"
    config: dict[str, bool | int | float | str] = {}
    is_active: bool = True


class AliasShape(Struct, frozen=True, forbid_unknown_fields=True):
    """Another name for a model. The pattern may hold `*` and `?`."""

    pattern: Model
    target: Model


class ChainShape(Struct, frozen=True, forbid_unknown_fields=True):
    """Models to go on with, in order, when one fails."""

    name: Name
    models: Annotated[tuple[Model, ...], Meta(min_length=1, max_length=100)]


class Budget(Struct, frozen=True, forbid_unknown_fields=True):
    """What a key may spend in a period."""

    usd: Amount
    period: BudgetPeriod
    warn: Annotated[float, Meta(ge=0, le=1)] = 0.8
    """The part of it from which callers are told in a header; 0 = never."""


class KeyShape(Struct, frozen=True, forbid_unknown_fields=True):
    """A gateway key. 0 = no limit; no `allowed_models` = all. `budget`: one, or two of different periods. `expires`: an ISO date or date and time, UTC if unsaid."""

    name: Name
    secret: KeySecret
    allowed_models: tuple[Model, ...] = ()
    allowed_providers: tuple[Name, ...] = ()
    allowed_endpoints: tuple[Annotated[str, Meta(pattern=r"^/[A-Za-z0-9_/.:{}*?-]*$", max_length=200)], ...] = ()
    allowed_ips: tuple[Annotated[str, Meta(min_length=1, max_length=60)], ...] = ()
    rpm: Count = 0
    tpm: Count = 0
    concurrency: Count = 0
    budget: Budget | Annotated[tuple[Budget, ...], Meta(min_length=1, max_length=2)] | None = None
    priority: KeyPriority = "interactive"
    strict: bool = False
    no_log: bool = False
    cache_scope: Annotated[str, Meta(max_length=100)] = ""
    cache: CacheSwitch = ""
    single_flight: CacheSwitch = ""
    store_bodies: CacheSwitch = ""
    unshaped: tuple[ShapingStep, ...] = ()
    expires: str | None = None

    def __repr__(self) -> str:
        return f"KeyShape(name={self.name!r})"


class PriceShape(Struct, frozen=True, forbid_unknown_fields=True):
    """USD per 1,000,000 tokens. Left out = not known, which is not zero.

    `from`: an ISO date or date and time, UTC if unsaid; before it the model's price with an earlier one counts.
    """

    model: Model
    begins: str | None = field(default=None, name="from")
    input: Amount | None = None
    output: Amount | None = None
    cache_read: Amount | None = None
    cache_write: Amount | None = None
    reasoning: Amount | None = None


class TimeoutsShape(Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of an upstream call, in seconds. Left out = the default."""

    connect_s: Limit | None = None
    headers_s: Limit | None = None
    first_event_s: Limit | None = None
    first_event_reasoning_s: Limit | None = None
    gap_s: Limit | None = None
    total_s: Limit | None = None
    caller_stall_s: Limit | None = None


class WaitingShape(Struct, frozen=True, forbid_unknown_fields=True):
    """Waiting for a connection's limits, and a worker's own. Left out = the default."""

    max_waiting: Annotated[int, Meta(ge=0, le=100_000)] | None = None
    max_wait_s: Annotated[float, Meta(ge=0, le=3_600)] | None = None
    learns_limits: bool | None = None
    adapts_concurrency: bool | None = None
    adaptive_start: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    adaptive_most: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    max_open: Annotated[int, Meta(ge=0, le=10_000_000)] | None = None
    max_lag_s: Annotated[float, Meta(ge=0, le=3_600)] | None = None


class LimitsShape(Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of connections that have none of their own. 0 = none."""

    rpm: Count = 0
    min_gap_ms: Count = 0
    max_concurrency: Count = 0


class BackupPlan(Struct, frozen=True, forbid_unknown_fields=True):
    """When the database is backed up by itself, and how many of these backups are kept. `every_h`: hours, 0 = not by the clock."""

    every_h: Annotated[float, Meta(ge=0, le=8_760)] = 24.0
    keep: Annotated[int, Meta(ge=1, le=1_000)] = 20


class SettingsShape(Struct, frozen=True, forbid_unknown_fields=True):
    """Routing settings. Left out = what the dashboard says."""

    account_strategy: AccountStrategy | None = None
    sticky_limit: Count | None = None
    provider_strategies: dict[Name, ProviderStrategy] | None = None
    timeouts: TimeoutsShape | None = None
    waiting: WaitingShape | None = None
    cache: CacheSettings | None = None
    sharing: SharingSettings | None = None
    logs: LogSettings | None = None
    early_headers_s: Annotated[float, Meta(ge=0, le=86_400)] | None = None
    shaping: Shaping | None = None
    progress_s: Limit | None = None
    explains_all: bool | None = None
    blocked_providers: tuple[Name, ...] | None = None
    resilience: Resilience | None = None
    profiles: dict[Name, Profile] | None = None
    rate_limit_defaults: LimitsShape | None = None
    tier_budgets: TierBudgets | None = None
    session_affinity: SessionAffinity | None = None
    retry_budget: RetryBudget | None = None
    backups: BackupPlan | None = None


class FileShape(Struct, frozen=True, forbid_unknown_fields=True):
    """OmniRoute config file. `${VAR}` and `${file:/path}` in text values are filled in; `$${` is a literal `${`."""

    version: Literal[1]
    nodes: tuple[FileNode, ...] | None = None
    connections: tuple[FileConnection, ...] | None = None
    combos: tuple[ComboShape, ...] | None = None
    aliases: tuple[AliasShape, ...] | None = None
    fallback_chains: tuple[ChainShape, ...] | None = None
    keys: tuple[KeyShape, ...] | None = None
    prices: tuple[PriceShape, ...] | None = None
    settings: SettingsShape | None = None
