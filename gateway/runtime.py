"""A snapshot compiled into what requests look up, and the holder that swaps it.

A request takes `current()` once, so a swap never changes the rules under its feet. Compiling gives the loop back
every millisecond or so of work: thousands of accounts, models and patterns must not stall streams.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import structlog
from msgspec import UNSET, structs

from gateway.accounting.cost import Rates
from gateway.admission.gate import Gate, gate_of
from gateway.admission.permit import may_use
from gateway.config.addresses import shown_proxy
from gateway.config.envelope import open_sealed
from gateway.config.snapshot import Connection as ConnectionEntry
from gateway.config.snapshot import Node, RoutingSettings, Snapshot, decoding_snapshot, proxy_owner
from gateway.dialects.first_turns import first_turns
from gateway.dialects.registry import PROVIDERS
from gateway.domain.caching import CacheSettings, SharingSettings
from gateway.domain.caller import Caller
from gateway.domain.dialect import CallerDialect
from gateway.domain.errors import Unavailable
from gateway.domain.mend import Mend
from gateway.domain.rest import EVERY_KEY, Resilience, with_profile
from gateway.domain.steps import Steps
from gateway.domain.target import Connection, ProxyLevel, Target
from gateway.providers.spec import (
    BearerAuth,
    DropFields,
    FinishMap,
    HeaderAuth,
    ProviderSpec,
    Quirk,
    RefuseStreamOptions,
    StripFields,
    ThinkTags,
    UsageMap,
    WriteAs,
)
from gateway.routing.affinity import Session, keeps_turns, session_of_name, session_of_turns
from gateway.routing.catalog import Catalog, compiling_catalog, known_models, naming_models
from gateway.routing.eligible import NO_NEEDS, Needs, needs_in
from gateway.routing.meaning import Meaning, meaning_of
from gateway.routing.plan import Plan, lay_plan
from gateway.routing.prices import NO_PRICES
from gateway.routing.resolve import Resolution, resolve, resolve_at
from gateway.routing.strategies import Tickets
from gateway.routing.view import View
from gateway.shaping.defaults import COMPLETION_LIMIT
from gateway.shaping.shaper import Asked, Shaper, compile_shaping

_log = structlog.get_logger()

_SLICE = 1_000
"""Units of work (`domain/steps.py`) before the loop gets its turn: about 1 ms."""
_CONNECTION_UNITS, _MODELS_A_UNIT = 30, 6
"""Units of compiling a connection: its own, and of the models it lists."""

_T = TypeVar("_T")

MAX_RESOLUTIONS = 10_000
MAX_ASKED_MODELS = 20
"""Of a name, at whose limits shaping looks."""
MAX_SEARCHED_BYTES = 256 * 1024
"""Longer bodies are not searched for what they need of a model: it would hold the loop."""
MAX_TURNED_BYTES = 8 * 1024 * 1024
"""Conversations of longer bodies are not known by their first turns, for the same reason: 0.5 ms for a megabyte."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """One revision, ready to serve. `resolutions` holds what names of it have been found to mean, bounded."""

    revision: int
    catalog: Catalog
    settings: RoutingSettings
    rates: Rates = field(default_factory=lambda: Rates(NO_PRICES.book))
    resolutions: dict[tuple[str, str], Resolution] = field(default_factory=dict)
    rules: Mapping[str, Resilience] = field(default_factory=dict)
    """Of providers with a profile of their own: how long what fails there rests."""
    gate: Gate | None = None
    """None where any address may come in, as often as it likes."""
    plain_plans: dict[tuple[str, str], Plan] = field(default_factory=dict)
    meanings: dict[tuple[str, str], Meaning] = field(default_factory=dict)
    """What names stand for, of those that the cache was asked for; bounded as `resolutions` is."""
    caching: CacheSettings | None = None
    """None = off."""
    sharing: SharingSettings | None = None
    """What equal requests share without an `Idempotency-Key`; None = nothing."""
    """Of names that leave no choice: one model at one connection, and nothing after it."""

    named_models: frozenset[str] = frozenset()
    """Models that the configuration or a data file names: only these are told apart in metrics."""
    shaper: Shaper | None = None
    """None while nothing of requests is to be changed or looked at."""

    def resolve(self, pinned_provider: str, name: str) -> Resolution:
        """What a model's name stands for; an error is raised anew each time. Raises as `routing.resolve` does."""
        found = self.resolutions.get((pinned_provider, name))
        if found is None:
            catalog = self.catalog
            found = resolve_at(pinned_provider, name, catalog) if pinned_provider else resolve(name, catalog)
            if len(self.resolutions) >= MAX_RESOLUTIONS:
                del self.resolutions[next(iter(self.resolutions))]
            self.resolutions[pinned_provider, name] = found
        return found

    def meaning(self, pinned_provider: str, name: str) -> Meaning:
        """What a name stands for, for kept answers. Raises as `resolve` does."""
        found = self.meanings.get((pinned_provider, name))
        if found is None:
            found = meaning_of(self.resolve(pinned_provider, name), self.catalog)
            if len(self.meanings) >= MAX_RESOLUTIONS:
                del self.meanings[next(iter(self.meanings))]
            self.meanings[pinned_provider, name] = found
        return found

    def asked(self, dialect: CallerDialect, pinned_provider: str, model: str, spared: tuple[str, ...]) -> Asked:
        """What shaping must know of a request. Raises as `resolve` does."""
        found = self.resolve(pinned_provider, model)
        firsts = [
            (account, one.model)
            for one in found.models[:MAX_ASKED_MODELS]
            for account in self.catalog.offers_of.of(one.provider, one.model).accounts[:1]
        ]
        outputs = [account.max_outputs.get(name, 0) for account, name in firsts]
        return Asked(
            dialect,
            model,
            spared,
            found.combo.config.get("system_prompt") if found.combo is not None else None,
            tuple({one.provider: None for one in found.models[:MAX_ASKED_MODELS]}),
            min((most for most in outputs if most), default=0),
            any(COMPLETION_LIMIT in account.quirks_of(name) for account, name in firsts[:1]),
        )

    def plain_plan(self, pinned_provider: str, name: str) -> Plan | None:
        """The plan of a name that leaves no choice, if it is such a one; bounded as `resolutions` is."""
        key = (pinned_provider, name)
        plan = self.plain_plans.get(key)
        if plan is None and key not in self.resolutions:
            found = self.resolve(pinned_provider, name)
            if found.combo is None and not found.chain and not found.is_tiered and len(found.models) == 1:
                [model] = found.models
                accounts = self.catalog.offers_of.of(model.provider, model.model).accounts
                if len(accounts) == 1:
                    plan = Plan(
                        (Target(accounts[0], model.model, model.combo),), 1, "priority", self.settings.account_strategy
                    )
                    if len(self.plain_plans) >= MAX_RESOLUTIONS:
                        del self.plain_plans[next(iter(self.plain_plans))]
                    self.plain_plans[key] = plan
        return plan

    def plan(
        self,
        pinned_provider: str,
        name: str,
        caller: Caller,
        *,
        view: View,
        chance: float,
        tickets: Tickets,
        now: float,
        body: bytes = b"",
        session_name: str = "",
        needs: Needs | None = None,
    ) -> Plan:
        """Where a request for `name` goes, in order: the same for a request and for a dry run of one.

        `needs` are read from `body` when they are not given. Raises as `resolve` and `lay_plan` do.
        """
        resolution = self.resolve(pinned_provider, name)
        if needs is None:
            has_choice = resolution.combo is not None or len(resolution.models) > 1
            needs = needs_in(body) if has_choice and len(body) <= MAX_SEARCHED_BYTES else NO_NEEDS
        return lay_plan(
            resolution,
            self.catalog,
            chance,
            settings=self.settings,
            view=view,
            needs=needs,
            tickets=tickets,
            session=self._session(resolution, caller, body, session_name),
            allowed=None if may_use(caller, name) else partial(may_use, caller),
            providers=caller.providers,
            now=now,
        )

    def _session(self, resolution: Resolution, caller: Caller, body: bytes, name: str) -> Session | None:
        """The conversation that a request belongs to, as its client names it; by its first turns where that is wanted."""
        if name:
            return session_of_name(caller.key_id, name)
        if not keeps_turns(resolution.combo, self.settings) or len(body) > MAX_TURNED_BYTES:
            return None
        turns = first_turns(body)
        return session_of_turns(caller.key_id, turns) if turns else None


class RuntimeHolder:
    """The current Runtime. Swapping is one assignment; requests under way keep the one they took."""

    def __init__(self) -> None:
        self._current: Runtime | None = None
        self.gate: Gate | None = None
        """Of the current one."""

    @property
    def revision(self) -> int:
        return self._current.revision if self._current else 0

    @property
    def known_resolutions(self) -> int:
        return len(self._current.resolutions) if self._current else 0

    @property
    def known_pieces(self) -> int:
        """Pieces of text in which shaping knows what there is to be found."""
        shaper = self._current.shaper if self._current else None
        return 0 if shaper is None else len(shaper.memo)

    @property
    def is_ready(self) -> bool:
        return self._current is not None

    def current(self) -> Runtime:
        """Raises Unavailable while there is no configuration yet."""
        if self._current is None:
            raise Unavailable("the gateway has no configuration yet", code="not_ready")
        return self._current

    def swap(self, runtime: Runtime) -> None:
        self._current, self.gate = runtime, runtime.gate


async def compile_runtime(snapshot: Snapshot, specs: Mapping[str, ProviderSpec], encryption_key: bytes) -> Runtime:
    """Build a Runtime aside. A connection whose secret does not open is left out and logged; the rest serve."""
    return await _driven(compiling_runtime(snapshot, specs, encryption_key))


async def read_snapshot(data: bytes) -> Snapshot:
    """Decode and check a published snapshot. Raises UnreadableSnapshot."""
    return await _driven(decoding_snapshot(data))


async def _driven(steps: Steps[_T]) -> _T:
    """Take all steps, and give the loop its turn between them."""
    done = 0
    while True:
        try:
            done += next(steps)
        except StopIteration as end:
            result: _T = end.value
            return result
        if done >= _SLICE:
            done = 0
            await asyncio.sleep(0)


def compiling_runtime(snapshot: Snapshot, specs: Mapping[str, ProviderSpec], encryption_key: bytes) -> Steps[Runtime]:
    """`compile_runtime` in steps."""
    connections = yield from _connections(snapshot, specs, encryption_key)
    profiles = snapshot.settings.profiles
    everywhere = with_profile(snapshot.settings.resilience, profiles.get(EVERY_KEY))
    catalog = yield from compiling_catalog(snapshot, specs, connections)
    named_models = yield from naming_models(snapshot, catalog)
    return Runtime(
        snapshot.revision,
        catalog,
        structs.replace(snapshot.settings, resilience=everywhere) if EVERY_KEY in profiles else snapshot.settings,
        Rates(catalog.prices.book),
        named_models=named_models,
        caching=snapshot.settings.cache if snapshot.settings.cache.mode != "off" else None,
        sharing=snapshot.settings.sharing if snapshot.settings.sharing.is_wide else None,
        gate=gate_of(snapshot.settings.ip_filter),
        shaper=compile_shaping(snapshot.settings.shaping, {combo.name: combo.config for combo in snapshot.combos}),
        rules={name: with_profile(everywhere, profile) for name, profile in profiles.items() if name != EVERY_KEY},
    )


def _connections(
    snapshot: Snapshot, specs: Mapping[str, ProviderSpec], encryption_key: bytes
) -> Steps[list[Connection]]:
    nodes = {node.id: node for node in snapshot.nodes}
    known = yield from known_models(snapshot, specs)
    outputs = {
        provider: {model.id: model.max_output for model in found if model.max_output}
        for provider, found in known.items()
    }
    ground = _Ground(nodes, specs, encryption_key, outputs, snapshot.settings.proxies)
    connections = [_built_in(spec) for spec in specs.values() if _is_built_in(spec, snapshot.settings)]
    for entry in snapshot.connections:
        try:
            adapts = _adapts(snapshot.settings, entry.provider)
            connections.append(_compile(entry, ground, adapts))
        except (KeyError, ValueError) as error:
            _log.error("connection_left_out", connection=entry.id, provider=entry.provider, cause=str(error))
        yield _CONNECTION_UNITS + len(entry.models) // _MODELS_A_UNIT
    return connections


def _adapts(settings: RoutingSettings, provider: str) -> bool:
    for name in (provider, EVERY_KEY):
        profile = settings.profiles.get(name)
        if profile is not None and profile.adapts_concurrency is not UNSET:
            return profile.adapts_concurrency
    return settings.waiting.adapts_concurrency


def _is_built_in(spec: ProviderSpec, settings: RoutingSettings) -> bool:
    return spec.transport == "demo" and settings.is_demo_enabled


def _built_in(spec: ProviderSpec) -> Connection:
    return Connection(
        id=spec.id,
        name=spec.id,
        provider=spec.id,
        prefix=spec.id,
        dialect=spec.dialect,
        paths=_urls(spec.base_url, spec.paths),
        headers=(),
        tier=spec.tier,
        models=frozenset(model.id for model in spec.models),
        transport="demo",
    )


class _Ground:
    """What connections of one snapshot are compiled with. `sets` and `opened` hold what many of them share."""

    def __init__(
        self,
        nodes: Mapping[str, Node],
        specs: Mapping[str, ProviderSpec],
        encryption_key: bytes,
        outputs: Mapping[str, dict[str, int]],
        proxies: Mapping[str, str],
    ) -> None:
        self.nodes = nodes
        self.specs = specs
        self.encryption_key = encryption_key
        self.outputs = outputs
        self.proxies = proxies
        self.sets: dict[tuple[str, ...], frozenset[str]] = {}  # thousands of accounts may list the same
        self._opened: dict[str, str] = {}

    def proxy_of(self, entry: ConnectionEntry, node: Node | None) -> tuple[str, ProxyLevel]:
        """Its own, else its provider's, else that of all, which is not for what stands in a private network; and whose it is.

        Raises ValueError when it does not open: then the connection must not be used at all.
        """
        if entry.proxy:
            return open_sealed(entry.proxy, entry.id, self.encryption_key), "connection"
        if not self.proxies:
            return "", ""
        level = entry.provider if entry.provider in self.proxies else ""
        if level not in self.proxies or (not level and node is not None and node.allow_private):
            return "", ""
        if level not in self._opened:
            self._opened[level] = open_sealed(self.proxies[level], proxy_owner(level), self.encryption_key)
        return self._opened[level], "provider" if level else "global"


def compile_connection(
    entry: ConnectionEntry,
    node: Node | None,
    specs: Mapping[str, ProviderSpec],
    encryption_key: bytes,
    proxies: Mapping[str, str],
) -> Connection:
    """One connection alone, as requests use it. Raises KeyError (no such provider), ValueError (its secret does not open)."""
    nodes = {} if node is None else {node.id: node}
    return _compile(entry, _Ground(nodes, specs, encryption_key, {}, proxies), adapts_concurrency=False)


def _compile(entry: ConnectionEntry, ground: _Ground, adapts_concurrency: bool) -> Connection:
    models = ground.sets.get(entry.models)
    if models is None:
        models = ground.sets[entry.models] = frozenset(entry.models)
    node = ground.nodes.get(entry.provider)
    spec = ground.specs[entry.provider] if node is None else _spec_of(node)
    secret = open_sealed(entry.api_key, entry.id, ground.encryption_key)
    proxy, proxy_level = ground.proxy_of(entry, node)
    quirks = spec.quirks
    return Connection(
        id=entry.id,
        name=entry.name,
        provider=entry.provider,
        prefix=node.prefix if node else spec.id,
        dialect=spec.dialect,
        paths=_urls(spec.base_url, spec.paths),
        headers=_headers(spec, secret),
        priority=entry.priority,
        tier=entry.tier,
        models=models,
        transport="curl" if entry.fingerprint or proxy else "direct",
        allow_private=node.allow_private if node else False,
        fingerprint=entry.fingerprint,
        proxy=proxy,
        proxy_level=proxy_level,
        proxy_shown=shown_proxy(proxy) if proxy else "",
        drop_request_fields=tuple(name for quirk in quirks if isinstance(quirk, DropFields) for name in quirk.fields),
        refuses_stream_options=any(isinstance(quirk, RefuseStreamOptions) for quirk in quirks),
        is_limited_by_model=spec.is_limited_by_model,
        speaks={dialect: _whole_url(spec.base_url, path) for dialect, path in spec.speaks.items()},
        written_as=tuple((frozenset(one.names), one.models) for one in quirks if isinstance(one, WriteAs)),
        mend=_mend_of(quirks),
        max_outputs=ground.outputs.get(entry.provider, {}),
        rpm=entry.rpm,
        min_gap_ms=entry.min_gap_ms,
        max_concurrency=entry.max_concurrency,
        adapts_concurrency=adapts_concurrency,
    )


def _mend_of(quirks: tuple[Quirk, ...]) -> Mend | None:
    """What must be mended in Chat Completions answers; None for most providers."""
    mend = Mend(
        strip_fields=tuple(name for quirk in quirks if isinstance(quirk, StripFields) for name in quirk.fields),
        think_tags=any(isinstance(quirk, ThinkTags) for quirk in quirks),
        finish_map={old: new for quirk in quirks if isinstance(quirk, FinishMap) for old, new in quirk.map.items()},
        usage_map={name: at for quirk in quirks if isinstance(quirk, UsageMap) for name, at in quirk.map.items()},
    )
    return None if mend == Mend() else mend


def _spec_of(node: Node) -> ProviderSpec:
    """A user's node is a provider without a data file. Anthropic-like nodes get their key in `x-api-key`."""
    codec = PROVIDERS[node.dialect]
    auths = {"anthropic_messages": HeaderAuth(name="x-api-key"), "gemini": HeaderAuth(name="x-goog-api-key")}
    return ProviderSpec(
        id=node.id,
        name=node.name or node.id,
        base_url=node.base_url,
        dialect=node.dialect,
        auth=auths.get(node.dialect, BearerAuth()),
        paths={
            "chat": "" if codec.is_model_in_path else codec.path("", False),
            "models": "/models",
            **({"embeddings": "/embeddings"} if node.dialect in ("openai_chat", "openai_responses") else {}),
        },
    )


def _urls(base_url: str, paths: Mapping[str, str]) -> dict[str, str]:
    return {operation: _whole_url(base_url, path) for operation, path in paths.items()}


def _whole_url(base_url: str, path: str) -> str:
    return path if "://" in path else base_url.rstrip("/") + path


def _headers(spec: ProviderSpec, secret: str) -> tuple[bytes, ...]:
    lines = [f"{name}: {value}" for name, value in spec.headers.items()]
    if secret and isinstance(spec.auth, BearerAuth):
        lines.append(f"Authorization: Bearer {secret}")
    elif secret and isinstance(spec.auth, HeaderAuth):
        lines.append(f"{spec.auth.name}: {secret}")
    if any(not line.isprintable() for line in lines):
        raise ValueError("its credential holds characters that no header may hold")
    return tuple(line.encode("latin-1") for line in lines)
