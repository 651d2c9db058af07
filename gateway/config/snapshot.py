"""THE CONTRACT between the planes: the whole configuration a worker needs, published by revision.

The control plane builds it from SQL (`admin_api/publish.py`); a worker compiles it (`gateway/runtime.py`). Nothing
else is shared. Secrets are sealed (`config/envelope.py`, associated data = the connection's id) and opened only
in compile. Gateway keys are not in it: there may be 100,000 (`KeyEntry`, looked up one by one).
A worker reads schema `SCHEMA` and the one before it, and keeps the old snapshot when it cannot read a new one.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from gateway.domain.bodies import LogSettings as LogSettings  # noqa: PLC0414  (as below)
from gateway.domain.budget import TierBudgets as TierBudgets  # noqa: PLC0414  (as below)
from gateway.domain.caching import CacheSettings as CacheSettings  # noqa: PLC0414  (as below)
from gateway.domain.caching import CacheSwitch as CacheSwitch  # noqa: PLC0414  (as below)
from gateway.domain.caching import SharingSettings as SharingSettings  # noqa: PLC0414  (as below)
from gateway.domain.dialect import ProviderDialect
from gateway.domain.ip_filter import IpFilter as IpFilter  # noqa: PLC0414  (as below)
from gateway.domain.rest import Profile as Profile  # noqa: PLC0414  (part of this contract, told to mypy)
from gateway.domain.rest import Resilience as Resilience  # noqa: PLC0414  (as below)
from gateway.domain.retrying import RetryBudget as RetryBudget  # noqa: PLC0414  (as below)
from gateway.domain.shaping import Shaping as Shaping  # noqa: PLC0414
from gateway.domain.shaping import ShapingStep as ShapingStep  # noqa: PLC0414
from gateway.domain.steps import MOST, Steps, finished
from gateway.domain.timeouts import Timeouts as Timeouts  # noqa: PLC0414  (part of this contract, told to mypy)
from gateway.domain.waiting import Waiting as Waiting  # noqa: PLC0414

SCHEMA = 1

Strategy = Literal["priority", "weighted", "round-robin", "random", "least-used", "cost-optimized", "latency"]
AccountStrategy = Literal["fill-first", "round-robin", "p2c", "random", "least-used", "cost-optimized"]
SessionAffinity = Literal["named", "turns", "off"]
"""Which conversations keep their connection: those that name themselves in a header, all (by their first turns), none."""
Tier = Literal["subscription", "api-key", "cheap", "free"]


class Node(msgspec.Struct, frozen=True, omit_defaults=True):
    """A user-made provider. `base_url` includes the version segment; the operation's path is appended."""

    id: str
    prefix: str
    dialect: ProviderDialect
    base_url: str
    name: str = ""
    allow_private: bool = False


class Connection(msgspec.Struct, frozen=True, omit_defaults=True):
    """One account or key at a provider. `provider` is a provider id or a node id. Empty `models` = any id.

    `api_key` and `proxy` are sealed. `rpm`, `min_gap_ms` and `max_concurrency` of 0 mean no limit.
    """

    id: str
    provider: str
    name: str
    api_key: str = ""
    priority: int = 1
    tier: Tier = "api-key"
    rpm: int = 0
    min_gap_ms: int = 0
    max_concurrency: int = 0
    models: tuple[str, ...] = ()
    fingerprint: str = ""
    proxy: str = ""


class ComboModel(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of a combo: any name a caller could send (another combo's name too). `weight` 0..100."""

    model: str
    weight: float = 0


class Combo(msgspec.Struct, frozen=True, omit_defaults=True):
    """A named list of models with a strategy. A disabled one stays here so that calls to it are refused by name."""

    id: str
    name: str
    models: tuple[ComboModel, ...]
    strategy: Strategy = "priority"
    config: dict[str, bool | int | float | str] = {}
    is_active: bool = True


class Alias(msgspec.Struct, frozen=True):
    """`pattern` may hold `*` and `?`; `target` is a model name as a caller could send it."""

    pattern: str
    target: str


class CustomModel(msgspec.Struct, frozen=True, omit_defaults=True):
    """A model that an operator says a provider has. `context` and `max_output` are tokens, 0 = not known."""

    provider: str
    id: str
    context: int = 0
    max_output: int = 0


class FallbackChain(msgspec.Struct, frozen=True):
    name: str
    models: tuple[str, ...]


class Price(msgspec.Struct, frozen=True, omit_defaults=True):
    """USD per 1,000,000 tokens. None = not known, which is not zero.

    It counts from `valid_from` (unix seconds, 0 = always) until another of the same `model` does. `is_default`: it comes
    with the product (`gateway/providers/prices/`) and counts only where the operator wrote none.
    """

    model: str
    input: float | None = None
    output: float | None = None
    cache_read: float | None = None
    cache_write: float | None = None
    reasoning: float | None = None
    valid_from: float = 0.0
    is_default: bool = False


class ProviderStrategy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the connections of one provider are chosen. `sticky_limit`: None = as for all."""

    account_strategy: AccountStrategy
    sticky_limit: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None


class RoutingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an operator sets for all requests (`settings:` of the config file, `/api/settings`).

    A worker of the version before a field refuses it, so it is written only once it is set.
    """

    account_strategy: AccountStrategy = "fill-first"
    sticky_limit: int = 3
    provider_strategies: dict[str, ProviderStrategy] = {}
    """By provider id: where connections are not chosen as for all."""
    timeouts: Timeouts = Timeouts()
    waiting: Waiting = Waiting()
    early_headers_s: float = 5.0
    blocked_providers: tuple[str, ...] = ()
    is_demo_enabled: bool = True
    resilience: Resilience = Resilience()
    cache: CacheSettings = CacheSettings()
    sharing: SharingSettings = SharingSettings()
    logs: LogSettings = LogSettings()
    profiles: dict[str, Profile] = {}
    """By provider id, and `apikey` for all of them."""
    tier_budgets: TierBudgets = TierBudgets()
    session_affinity: SessionAffinity = "named"
    retry_budget: RetryBudget = RetryBudget()
    shaping: Shaping = Shaping()
    progress_s: float = 2.0
    """Between two progress events of a stream whose caller asked for them."""
    proxies: dict[str, str] = {}
    """Of connections that have none of their own: by provider id, and under an empty name of all. Sealed (`proxy_owner`)."""
    ip_filter: IpFilter = IpFilter()
    explains_all: bool = False
    """Keep the routing decision of every request, not only of those whose caller asked why."""


class Snapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """The whole configuration at one revision. `published_at` is unix seconds."""

    schema: int
    revision: int
    published_at: float = 0.0
    nodes: tuple[Node, ...] = ()
    connections: tuple[Connection, ...] = ()
    combos: tuple[Combo, ...] = ()
    aliases: tuple[Alias, ...] = ()
    fallback_chains: tuple[FallbackChain, ...] = ()
    prices: tuple[Price, ...] = ()
    models: tuple[CustomModel, ...] = ()
    settings: RoutingSettings = RoutingSettings()


class _RawSnapshot(Snapshot, frozen=True):
    """A snapshot whose connections are still JSON."""

    connections: tuple[msgspec.Raw, ...] = ()  # type: ignore[assignment]  # on its way to being one


class KeyEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One gateway key as workers see it, stored under its digest. Limits of 0 mean none.

    `version` rises with every change; a worker that holds an older one is told so by the `take` script. An
    inactive (revoked) key is deleted from the keyring. `expires_at` is unix seconds, 0 = never.
    """

    id: str
    name: str
    version: int
    allowed_models: tuple[str, ...] = ()
    rpm: int = 0
    tpm: int = 0
    concurrency: int = 0
    budget_nano_usd: int = 0
    budget_period: str = ""
    priority: str = "interactive"
    is_strict: bool = False
    is_no_log: bool = False
    cache_scope: str = ""
    cache: CacheSwitch = ""
    single_flight: CacheSwitch = ""
    store_bodies: CacheSwitch = ""
    unshaped: tuple[ShapingStep, ...] = ()
    """Steps of request shaping that the key is spared."""
    expires_at: float = 0.0
    allowed_providers: tuple[str, ...] = ()
    allowed_endpoints: tuple[str, ...] = ()
    allowed_ips: tuple[str, ...] = ()
    counted_as: str = ""
    """The digest under which its limits are counted; empty = its own. All secrets of one key count as one."""
    warn_nano_usd: int = 0
    second_budget_nano_usd: int = 0
    """Of a key with two budgets, of different periods; only beside a first one."""
    second_budget_period: str = ""
    second_warn_nano_usd: int = 0


def proxy_owner(level: str) -> str:
    """The id with which a proxy of `RoutingSettings.proxies` is sealed."""
    return f"proxy:{level}"


encode_snapshot = msgspec.json.Encoder().encode
_decode_connection = msgspec.json.Decoder(Connection).decode
_decode_raw = msgspec.json.Decoder(_RawSnapshot).decode
_BYTES_A_UNIT = 100
encode_key_entry = msgspec.json.Encoder().encode
decode_key_entry = msgspec.json.Decoder(KeyEntry).decode


class UnreadableSnapshot(ValueError):
    """The snapshot is of a schema this version does not read, or is not a snapshot at all."""


def decode_snapshot(data: bytes) -> Snapshot:
    """Decode and check a published snapshot. Raises UnreadableSnapshot."""
    return finished(decoding_snapshot(data))


def decoding_snapshot(data: bytes) -> Steps[Snapshot]:
    """`decode_snapshot` in steps: connections, of which there may be thousands with hundreds of models each, one by one."""
    try:
        raw = _decode_raw(data)
        _check_schema(raw.schema)
        connections = yield from _decoding_connections(raw.connections)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise UnreadableSnapshot(f"not a snapshot: {error}") from error
    values = {name: getattr(raw, name) for name in Snapshot.__struct_fields__}
    return Snapshot(**{**values, "connections": connections})


def _decoding_connections(raw: Sequence[msgspec.Raw]) -> Steps[tuple[Connection, ...]]:
    """Lists of models that are equal, as those of a provider's accounts mostly are, are kept once."""
    connections: list[Connection] = []
    lists: dict[tuple[str, ...], tuple[str, ...]] = {}
    done = 0
    for one in raw:
        connection = _decode_connection(one)
        models = lists.setdefault(connection.models, connection.models)
        if models is not connection.models:
            connection = msgspec.structs.replace(connection, models=models)
        connections.append(connection)
        done += 2 + len(one) // _BYTES_A_UNIT
        if done >= MOST:
            yield done
            done = 0
    yield done
    return tuple(connections)


def _check_schema(schema: int) -> None:
    if schema not in (SCHEMA, SCHEMA - 1):
        raise UnreadableSnapshot(f"snapshot schema {schema}; this version reads {SCHEMA} and {SCHEMA - 1}")
