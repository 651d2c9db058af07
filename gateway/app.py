"""Composition root of a worker: builds every object once, starts the background tasks, gives the ASGI application."""

import asyncio
import gc
import os
import random
import time
import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any

import structlog

from gateway import __version__
from gateway.accounting.bodies import BodyLog
from gateway.accounting.monitor import Monitor
from gateway.admission.load import Load
from gateway.cache.flights import Flights
from gateway.cache.front import Front
from gateway.cache.responses import ResponseCache
from gateway.cache.semantic.embed import Embedder
from gateway.cache.semantic.index import Index
from gateway.cache.semantic.tier import SemanticTier
from gateway.cache.store import BUDGET_S, CacheStore
from gateway.config.envelope import parse_encryption_key
from gateway.config.settings import Settings, load_settings
from gateway.dialects.envelope import Envelopes
from gateway.domain.budget import TierBudget
from gateway.domain.errors import GatewayError
from gateway.domain.rest import Resilience
from gateway.domain.retrying import RetryBudget
from gateway.domain.target import Target
from gateway.domain.waiting import Waiting
from gateway.edge.admin_relay import AdminRelay
from gateway.edge.asgi import Edge, Health, Scope
from gateway.edge.body import Receive
from gateway.edge.reply import Send
from gateway.passage import Tools
from gateway.providers.load import load_specs
from gateway.relay.attempt import Attempts
from gateway.relay.exchange import Exchange
from gateway.relay.hearsay import Hearsay
from gateway.relay.loop import Traffic
from gateway.relay.refresh import NoCredentials, Refreshes
from gateway.relay.retries import Retries
from gateway.relay.standing import Standing
from gateway.relay.waiting import SlotLines
from gateway.runtime import RuntimeHolder
from gateway.state.address_limits import AddressLimits
from gateway.state.cursors import Cursors
from gateway.state.flight_log import FlightLog
from gateway.state.holds import Holds
from gateway.state.keyring import Keyring
from gateway.state.resp import RespClient
from gateway.state.rests import Rests
from gateway.state.slots import Slots
from gateway.state.spool import Spool
from gateway.state.tier_money import TierMoney
from gateway.state.views import Views
from gateway.tasks.beat import (
    beat_heart,
    flush_metrics,
    follow_drain,
    refresh_rests,
    renew_holds,
    save_keys,
    share_views,
    watch_lag,
    watch_parent,
)
from gateway.tasks.follow_cache import follow_cache
from gateway.tasks.follow_kept import KeptNews
from gateway.tasks.local_mode import LocalMode
from gateway.tasks.replay_spool import replay_spool
from gateway.tasks.runner import Runner
from gateway.tasks.tell_log import tell_log
from gateway.tasks.watch_snapshot import SnapshotWatch
from gateway.telemetry.log_tail import LogTail
from gateway.telemetry.logs import configure_logging
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.spans import SpanEncoder
from gateway.telemetry.trace import Collector, Tracer
from gateway.upstream.addresses import Resolver
from gateway.upstream.curl import CurlTransport
from gateway.upstream.deadlines import Wheel
from gateway.upstream.demo import DemoTransport
from gateway.upstream.direct import DirectTransport
from gateway.upstream.fetch import PictureFetcher

_log = structlog.get_logger()

LAST_BODIES_S = 1.0
"""A worker that ends hands bodies over for so long."""
LAST_TRACES_S = 2.0
"""The same for spans."""
REDIS_WAIT_S = 1.0
"""A worker waits so long for Redis before it serves: what it admits without is no more than its share of a limit."""
COLLECT_AFTER = 10_000
"""New objects that may hold others before the garbage collector looks at them. Requests leave no rings behind (those that are given up do), and
64 in flight are thousands of objects: at Python's 700 it looked at the same living ones over and over, for 3 % of a worker's time."""


class App:
    """One worker. Everything is built when its lifespan starts, inside the loop that will run it."""

    def __init__(self, settings: Settings, tail: LogTail, *, relays: bool) -> None:
        self._settings = settings
        self._tail = tail
        self._relays = relays
        self._worker = uuid.uuid4().hex
        self._health = Health()
        self._open_exchanges: set[Exchange] = set()
        self._runner = Runner()
        self._edge: Edge | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            assert self._edge is not None, "the server starts requests after lifespan"
            await self._edge(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _start(self) -> None:
        settings, loop = self._settings, asyncio.get_running_loop()
        metrics = Metrics()
        self._tracer = _tracer(settings, metrics)
        self._build_state(metrics, loop)
        attempts = self._build_upstream()
        self._build_cache(attempts, metrics)
        self._tools = Tools(
            bodies=self._bodies,
            monitor=self._monitor,
            flights=self._flights,
            loop=loop,
            traffic=Traffic(self._standing, self._rests, self._slots, self._lines, self._retries, self._tiers),
            cache=self._cache,
            tickets=self._cursors.ticket,
            load=self._load,
            runtimes=self._runtimes,
            keyring=self._keyring,
            holds=self._holds,
            attempts=attempts,
            metrics=metrics,
            worker=self._worker,
            requires_key=settings.require_api_key,
            chance=random.random,
            grammar_sample=settings.grammar_sample,
            envelopes=Envelopes(settings.api_key_secret.encode()),
            open_exchanges=self._open_exchanges,
            addresses=self._addresses,
            tracer=self._tracer,
        )
        self._relay = AdminRelay(settings.admin_socket) if self._relays else None
        self._edge = Edge(settings, self._tools, self._health, self._relay, os.urandom)
        self._redis.on_up = self._redis_is_up
        self._redis.start()
        if self._cache_redis is not None:
            self._cache_redis.start()
        snapshots = SnapshotWatch(
            settings.redis_url,
            self._runtimes,
            self._keyring,
            load_specs(),
            parse_encryption_key(settings.storage_encryption_key),
            settings.lastgood_dir,
            metrics,
            self._rests,
            self._slots,
            self._monitor,
        )
        await snapshots.start_from_lastgood()
        await self._redis.wait_until_up(REDIS_WAIT_S)
        self._start_tasks(snapshots, metrics)
        gc.freeze()  # all this lives as long as the worker: no collection need look at it again
        gc.set_threshold(COLLECT_AFTER)

    def _build_state(self, metrics: Metrics, loop: asyncio.AbstractEventLoop) -> None:
        """What the workers share through Redis, as this one sees it."""
        settings, worker = self._settings, self._worker
        self._redis = redis = RespClient(settings.redis_url, budget_s=settings.redis_budget_s)
        self._local_mode = LocalMode(redis, metrics, time.monotonic)
        self._spool = Spool(settings.spool_dir, worker)
        self._keyring = Keyring(
            redis, settings.api_key_secret.encode(), settings.lastgood_dir, stores_bodies=settings.enable_request_logs
        )
        self._keyring.restore()
        self._holds = Holds(
            redis,
            self._keyring,
            self._spool,
            worker,
            metrics,
            loop.time,
            max_stream_entries=settings.max_waiting_records,
        )
        self._runtimes = RuntimeHolder()
        self._load = Load(0, 0.0)
        self._rests = Rests(redis, worker, time.monotonic, self._resilience, profiles=self._profiles)
        self._slots = Slots(redis, worker, self._waiting)
        self._slots.on_alone = partial(metrics.redis_errors.add, ("take_slot",))
        self._slots.live_workers = self._holds.live_workers = settings.workers
        self._lines = SlotLines(self._slots, self._waiting)
        self._tiers = TierMoney(redis, worker, self._tier_budgets)
        self._retries = Retries(self._retry_budget, time.monotonic, random.random)
        self._standing = Standing(self._rests, self._tiers.is_spent)
        self._addresses = AddressLimits(redis, time.monotonic)
        self._cursors = Cursors(redis, worker, time.monotonic)
        self._monitor = Monitor(redis, metrics)

    def _build_upstream(self) -> Attempts:
        self._resolver = resolver = Resolver()
        self._curl = CurlTransport(resolver)
        self._demo = DemoTransport()
        self._direct = DirectTransport(resolver)
        transports = {"direct": self._direct, "curl": self._curl, "demo": self._demo}
        self._pictures = PictureFetcher(Resolver())
        self._refreshes = Refreshes(NoCredentials())
        return Attempts(transports, Wheel(), self._pictures, self._refreshes)

    def _build_cache(self, attempts: Attempts, metrics: Metrics) -> None:
        """What keeps bodies, apart from limits and ledger."""
        settings = self._settings
        redis = RespClient(settings.redis_cache_url, budget_s=BUDGET_S) if settings.redis_cache_url else None
        store = CacheStore(redis, metrics, time.time)
        self._cache_redis = redis
        self._semantic = SemanticTier(
            Index(redis, metrics, lambda: store.generation),
            Embedder(attempts.transport_of, self._targets_of, time.monotonic),
            metrics,
        )
        front = Front(settings.semantic_cache_max_size, 0, time.time)
        self._cache = ResponseCache(store, front, metrics, time.time, self._semantic)
        log = FlightLog(redis, self._worker) if redis is not None else None
        self._flights = Flights(log, settings.redis_cache_url, metrics)
        self._bodies = BodyLog(redis, metrics)

    def _start_tasks(self, snapshots: SnapshotWatch, metrics: Metrics) -> None:
        settings, redis, start = self._settings, self._redis, self._runner.start
        hearsay = Hearsay(self._standing, Views(redis, self._worker))
        notice = settings.run_dir / "draining"
        start("watch_snapshot", snapshots.run)
        start("flush_metrics", lambda: flush_metrics(metrics, self._set_gauges))
        start("watch_lag", lambda: watch_lag(self._load.note_lag))
        start("beat_heart", lambda: beat_heart(redis, self._worker, self._runtimes, self._local_mode.told))
        start("renew_holds", lambda: renew_holds(self._holds, self._slots))
        start("refresh_rests", lambda: refresh_rests(self._rests))
        start("follow_cache", lambda: follow_cache(redis, self._cache, self._runtimes))
        if self._cache_redis is not None:
            url, known = settings.redis_cache_url, self._cache.store.known
            kept = KeptNews(url, self._cache_redis, known, self._runtimes, self._worker)
            start("follow_kept", kept.run)
        start("share_views", lambda: share_views(hearsay, self._tiers))
        start("hear_flights", self._flights.run)
        start("store_bodies", self._bodies.run)
        start("publish_samples", self._monitor.run)
        start("save_keys", lambda: save_keys(self._keyring))
        start(
            "replay_spool", lambda: replay_spool(redis, self._spool, settings.spool_dir, settings.max_waiting_records)
        )
        start("follow_drain", lambda: follow_drain(notice, self._begin_drain, self._open_exchanges))
        start("tell_log", lambda: tell_log(redis, self._worker, self._tail))
        if self._tracer is not None:
            start("export_traces", self._tracer.run)
        start("watch_parent", lambda: watch_parent(self._open_exchanges))

    def _resilience(self) -> Resilience:
        return self._runtimes.current().settings.resilience if self._runtimes.is_ready else Resilience()

    def _profiles(self) -> Mapping[str, Resilience]:
        return self._runtimes.current().rules if self._runtimes.is_ready else {}

    def _tier_budgets(self) -> dict[str, TierBudget]:
        return self._runtimes.current().settings.tier_budgets.by_tier() if self._runtimes.is_ready else {}

    def _retry_budget(self) -> RetryBudget:
        return self._runtimes.current().settings.retry_budget if self._runtimes.is_ready else RetryBudget()

    def _waiting(self) -> Waiting:
        return self._runtimes.current().settings.waiting if self._runtimes.is_ready else Waiting()

    def _targets_of(self, name: str) -> tuple[Target, ...]:
        """The targets that a model's name stands for, if it stands for any."""
        runtime = self._runtimes.current()
        try:
            models = runtime.resolve("", name).models
        except GatewayError:
            return ()
        offers = runtime.catalog.offers_of
        return tuple(
            Target(one, model.model) for model in models for one in offers.of(model.provider, model.model).accounts
        )

    def _redis_is_up(self, is_another: bool) -> None:
        """After each connect. Another server process may have lost its last second."""
        self._holds.note_again(exchange.note for exchange in self._open_exchanges if exchange.note is not None)
        self._slots.restore()
        if is_another:
            self._holds.resend_recent()

    def _begin_drain(self) -> None:
        self._health.is_draining = True
        self._tools.metrics.draining.set(1)

    async def _stop(self) -> None:
        """After the server has answered all requests. Records are safe already; keys and metrics are kept."""
        await self._runner.stop()
        await self._bodies.close(LAST_BODIES_S)
        await self._flights.close()
        await self._cursors.close()
        await self._refreshes.close()
        await self._pictures.close()
        await self._direct.close()
        await self._curl.close()
        if self._relay is not None:
            await self._relay.close()
        if self._tracer is not None:
            await self._tracer.close(LAST_TRACES_S)
        self._keyring.save()
        self._spool.release()
        self._tools.metrics.flush()
        if self._cache_redis is not None:
            self._cache.store.flush()
            await self._cache_redis.close()
        await self._redis.close()

    def _set_gauges(self) -> None:
        metrics, edge = self._tools.metrics, self._edge
        assert edge is not None
        self._retries.turn()
        for tier, usd in self._tiers.spent_usd().items():
            metrics.tier_spent_usd.set(usd, (tier,))
        metrics.open_requests.set(edge.open_requests)
        metrics.open_streams.set(sum(1 for exchange in self._open_exchanges if exchange.head.is_stream))
        metrics.redis_up.set(1 if self._redis.is_up else 0)
        metrics.cache_store_up.set(1 if self._cache.store.is_up else 0)
        metrics.cache_front_bytes.set(self._cache.front.held_bytes)
        self._local_mode.look()
        shed, self._load.shed = self._load.shed, {}
        for kind, count in shed.items():
            metrics.shed_requests.add(kind, count)
        for name, size in self._queues(edge).items():
            metrics.queue_size.set(size, (name,))
        for name, size in self._caches().items():
            metrics.cache_size.set(size, (name,))

    def _queues(self, edge: Edge) -> dict[str, int]:
        """What waits, or is under way, in each bounded queue."""
        return {
            "bodies": edge.bodies.waiting,
            "stored_bodies": len(self._bodies),
            "stored_bodies_bytes": self._bodies.held_bytes,
            "samples": len(self._monitor),
            "redis_trips": self._redis.waiting,
            "cache_trips": self._cache_redis.waiting if self._cache_redis else 0,
            "semantic_embeddings": self._semantic.embedder.open_calls,
            "flights": len(self._flights),
            "flight_joiners": self._flights.joiners,
            "flight_bytes": self._flights.held_bytes,
            "untold_questions": self._semantic.index.unsent,
            "unsent_cache_bytes": self._cache.store.unsent_bytes,
            "direct_calls": self._direct.open_calls,
            "curl_calls": self._curl.open_calls,
            "demo_calls": self._demo.open_calls,
            "recent_records": self._holds.recent,
            "unsettled_records": self._holds.unsettled,
            "asked_takes": self._holds.asking,
            "slots": self._slots.open,
            "credential_refreshes": self._refreshes.under_way,
            "waiting_for_slots": self._lines.waiting,
            "untold_targets": self._standing.untold,
            "untold_log_lines": len(self._tail),
            "traces": len(self._tracer) if self._tracer is not None else 0,
        }

    def _caches(self) -> dict[str, int]:
        """Entries of each bounded cache and map."""
        return {
            "keys_with_open_requests": len(self._holds.open_by_key),
            "keys_limited_here": self._holds.local_keys,
            "packed_keys": self._holds.packed,
            "callers": len(self._keyring.callers),
            "key_misses": len(self._keyring.misses),
            "names": len(self._resolver.names),
            "front_answers": len(self._cache.front),
            "cache_looks": self._cache.store.looks,
            "kept_answers_known": len(self._cache.store.known),
            "signed_requests": len(self._cache.signed),
            "signed_bytes": self._cache.signed.held_bytes,
            "semantic_questions": len(self._semantic.index),
            "resolutions": self._runtimes.known_resolutions,
            "shaped_pieces": self._runtimes.known_pieces,
            "rests": self._rests.resting,
            "failing_targets": self._rests.failing,
            "speeds": self._standing.speeds,
            "other_workers": self._standing.heard_of,
            "cursors": len(self._cursors),
            "refused_addresses": len(self._addresses.refused),
            "tier_counters": len(self._tiers),
            "limited_connections": self._slots.accounts,
            "learned_limits": self._slots.learned,
            "told_limits": len(self._slots.told),
            "checked_urls": len(self._resolver.checked),
            "direct_origins": self._direct.known_origins,
            "header_names": len(self._direct.names),
            "direct_connections": self._direct.idle_wires,
            "curl_handles": self._curl.idle_handles,
            "fresh_credentials": self._refreshes.fresh,
            "targets_without_stream_options": len(self._tools.attempts.refusing),
        }


def _tracer(settings: Settings, metrics: Metrics) -> Tracer | None:
    if not settings.trace_url:
        return None
    resource = {"service.name": "omniroute", "service.version": __version__, **dict(settings.trace_resource)}
    names = {spec.id: spec.trace_name for spec in load_specs().values() if spec.trace_name}
    encoder = SpanEncoder(resource, __version__, names)
    collector = Collector(settings.trace_url, dict(settings.trace_headers))
    return Tracer(collector, settings.trace_ratio, encoder.encode, metrics, os.urandom)


def create_app() -> Any:
    """Factory for granian: settings from the environment that the supervisor gave."""
    settings = load_settings(os.environ)
    tail = LogTail()
    configure_logging(settings.log_level, settings.log_format, tail)
    return App(settings, tail, relays=settings.role == "serve" and settings.dashboard_port is None)
