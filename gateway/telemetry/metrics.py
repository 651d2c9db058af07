"""All metrics of the worker: their names, kinds, labels and help. `docs/metrics.md` is generated from here.

The request path adds to plain dicts; a task flushes what has gathered to prometheus-client every 250 ms, into the
multiprocess files that the supervisor sums and serves. Label values come from configuration and closed lists,
never from a caller unchecked. Where a configuration may hold more than a server of metrics should (keys, models), only so many
values get series of their own; the rest are counted under OTHER, so that sums stay right.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import prometheus_client
from prometheus_client import CollectorRegistry

Labels = tuple[str, ...]

OTHER = "other"
"""The label value of what has no series of its own."""
MAX_SERIES = 2_000
"""Label sets of one metric in one process."""
MAX_KEYS = 200
"""Keys with series of their own in one process: the first ones that it serves."""

LATENCY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
OVERHEAD_BUCKETS_S = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.015, 0.03, 0.06, 0.12, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class Definition:
    """One metric. `mode` is how a gauge of many workers becomes one figure (prometheus-client's word)."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: Labels
    help: str
    mode: Literal["livesum", "livemin", "livemax"] = "livesum"
    buckets: tuple[float, ...] = LATENCY_BUCKETS_S
    at_zero: tuple[Labels, ...] = ()
    """Label values that stand at 0 from the start: Prometheus takes a series' first value for no rise at all."""


def _each(*values: str) -> tuple[Labels, ...]:
    return tuple((value,) for value in values)


PROCESS_DEFINITIONS = (
    Definition("omniroute_process_cpu_seconds", "counter", ("process",), "CPU seconds used, of workers together and of the admin process."),
    Definition("omniroute_process_memory_bytes", "gauge", ("process",), "Resident memory, of workers together and of the admin process."),
    Definition("omniroute_process_open_files", "gauge", ("process",), "Open file descriptors, the same."),
    Definition("omniroute_folded_series", "counter", ("metric",), "Changes that were counted under `other`, as there were too many label values."),
)  # fmt: skip

DEFINITIONS = (
    *PROCESS_DEFINITIONS,
    Definition("omniroute_requests", "counter", ("endpoint", "provider", "status", "error"), "Requests answered."),
    Definition(
        "omniroute_request_duration_seconds", "histogram", ("endpoint", "provider", "kind"),
        "From the request's head to the end of its answer; kind is unary or stream.",
    ),
    Definition(
        "omniroute_first_byte_seconds", "histogram", ("endpoint", "provider", "kind"),
        "From the request's head to commit, the first useful byte sent to the caller.",
    ),
    Definition("omniroute_tokens", "counter", ("provider", "kind"), "Tokens used, by kind of count."),
    Definition(
        "omniroute_overhead_seconds", "histogram", ("endpoint",),
        "Time to commit that no attempt took: reading, limits, routing, waiting for a slot. Of answers that a provider gave.",
        buckets=OVERHEAD_BUCKETS_S,
    ),
    Definition("omniroute_cost_usd", "counter", ("provider", "model"), "Money that answers cost, in USD; a model that no configuration names is `other`."),
    Definition("omniroute_unpriced_tokens", "counter", ("provider", "model"), "Tokens of answers for which no price is known, so that they cost nothing here."),
    Definition("omniroute_saved_usd", "counter", ("how",), "Money that answers from the cache did not cost, by how they were found.", at_zero=_each("hit", "semantic", "idempotent", "joined")),
    Definition("omniroute_key_requests", "counter", ("key", "result"), "Requests by key: ok, refused (4xx) or failed."),
    Definition("omniroute_key_tokens", "counter", ("key", "kind"), "Tokens by key: input, output, and cache_read, the part of the input that providers read from their prompt caches."),
    Definition("omniroute_key_cost_usd", "counter", ("key",), "Money by key, in USD."),
    Definition("omniroute_estimated_usage", "counter", ("provider",), "Requests whose usage was counted here."),
    Definition("omniroute_attempts", "counter", ("provider", "outcome"), "Upstream attempts by how they ended."),
    Definition("omniroute_retries", "counter", ("verdict",), "Calls beyond a request's first: made, or refused to spare providers.", at_zero=_each("made", "refused")),
    Definition(
        "omniroute_budget_warnings", "counter", (), "Requests of keys that have spent the part of their budget they warn at."
    ),
    Definition(
        "omniroute_address_refusals", "counter", ("reason",), "Requests refused for where they came from: blocked, banned, rate."
    ),
    Definition("omniroute_auth_refusals", "counter", ("reason",), "Requests refused before they had a valid key."),
    Definition("omniroute_shed_requests", "counter", ("class", "reason"), "Requests refused because a worker had too much to do.",
               at_zero=tuple((name, why) for name in ("interactive", "agent", "batch") for why in ("open_requests", "loop_lag"))),
    Definition("omniroute_streams_interrupted", "counter", ("side",), "Streams that ended early, by whose fault.", at_zero=_each("provider", "caller", "gateway")),
    Definition("omniroute_guard_findings", "counter", ("sign", "action"), "Signs of prompt injection, and what was done."),
    Definition("omniroute_pii_found", "counter", ("kind", "side"), "Personal data found, by kind, in input or output."),
    Definition("omniroute_shaping_pieces", "counter", ("how",), "Pieces of text that the guard and the search for personal data looked at: searched, or known from before."),
    Definition("omniroute_shaping_skipped", "counter", ("reason",), "Requests that went on unshaped: too_large or unreadable."),
    Definition("omniroute_grammar_violations", "counter", ("dialect",), "Sampled translated streams out of order."),
    Definition("omniroute_records", "counter", ("path",), "Usage records handed over: stream, spool or lost.", at_zero=_each("stream", "spool", "lost")),
    Definition("omniroute_snapshot_failures", "counter", ("reason",), "Published snapshots that could not be used.", at_zero=_each("missing", "unreadable")),
    Definition("omniroute_redis_errors", "counter", ("operation",), "Trips to Redis that failed or ran out of time.", at_zero=_each("take", "settle", "take_slot")),
    Definition("omniroute_redis_outages", "counter", ("cause",), "Times that a worker entered local mode: Redis was lost or slow.", at_zero=_each("lost", "slow")),
    Definition("omniroute_local_mode_seconds", "counter", (), "Seconds that workers were on their own."),
    Definition("omniroute_relayed_requests", "counter", ("status",), "Requests relayed to the admin process."),
    Definition("omniroute_cache_lookups", "counter", ("found",), "Cacheable requests by where their answer was: front, store or miss; of the misses, semantic or shadow.", at_zero=_each("front", "store", "miss")),
    Definition("omniroute_cache_answers", "counter", ("kept",), "Answers of cacheable requests, by whether they were kept.", at_zero=_each("kept", "not_kept")),
    Definition("omniroute_cache_failures", "counter", ("operation",), "Trips to the cache store that failed or ran out of time.", at_zero=_each("get", "put")),
    Definition("omniroute_cache_store_up", "gauge", (), "1 while every worker reaches the cache store.", "livemin"),
    Definition("omniroute_cache_front_bytes", "gauge", (), "Bytes of kept answers in workers' own memory."),
    Definition("omniroute_prompt_cache_tokens", "counter", ("connection", "model", "kind"), "Input tokens of answers: all of it, and what a provider's prompt cache was read and written for."),
    Definition("omniroute_semantic_lookups", "counter", ("result",), "Questions looked for by meaning, by what came of it."),
    Definition("omniroute_semantic_embeddings", "counter", ("provider", "outcome"), "Vectors of questions asked for, by how that ended."),
    Definition("omniroute_saved_tokens", "counter", ("how", "kind"), "Tokens that answers from the cache did not use, by how they were found."),
    Definition("omniroute_stored_bodies", "counter", ("outcome",), "Requests whose bodies were to be stored: handed_over, or dropped for want of room or of a store."),
    Definition("omniroute_samples", "counter", ("outcome",), "Requests sampled while an owner watches: published, or skipped; unwatched or store_away: made for nobody."),
    Definition("omniroute_flights", "counter", ("place",), "Requests that may share an upstream call, by their place in it; and what kept them from it."),
    Definition("omniroute_traced_requests", "counter", ("outcome",), "Requests whose spans were made: exported; lost: queue_full, refused by the collector, or failed.", at_zero=_each("exported", "queue_full", "refused", "failed")),
    Definition("omniroute_open_requests", "gauge", (), "Requests being served."),
    Definition("omniroute_open_streams", "gauge", (), "Streamed answers being sent."),
    Definition("omniroute_queue_size", "gauge", ("queue",), "Entries waiting or open in a bounded queue."),
    Definition("omniroute_cache_size", "gauge", ("cache",), "Entries in a bounded cache."),
    Definition("omniroute_tier_spent_usd", "gauge", ("tier",), "Spent of a tier's budget in its present period.", "livemax"),
    Definition("omniroute_snapshot_revision", "gauge", (), "Oldest revision that a worker runs.", "livemin"),
    Definition("omniroute_redis_up", "gauge", (), "1 while every worker reaches Redis.", "livemin"),
    Definition("omniroute_draining", "gauge", (), "1 while a worker is draining.", "livemax"),
    Definition("omniroute_event_loop_lag_seconds", "gauge", (), "Largest delay of a worker's event loop.", "livemax"),
)  # fmt: skip

CONTROL_DEFINITIONS = (
    *PROCESS_DEFINITIONS,
    Definition("omniroute_sql_up", "gauge", (), "1 while the admin process reaches its database.", "livemin"),
    Definition("omniroute_ledger_waiting_records", "gauge", (), "Records that are not in SQL yet.", "livemax"),
    Definition("omniroute_ledger_lag_seconds", "gauge", (), "Age of the oldest record that is not in SQL yet.", "livemax"),
    Definition("omniroute_ledger_rejected_records", "gauge", (), "Records set aside because they could not be read.", "livemax"),
    Definition("omniroute_spool_bytes", "gauge", (), "Records on this machine's disk that Redis has not yet.", "livemax"),
    Definition("omniroute_job_failing", "gauge", ("name",), "1 while a background job fails.", "livemax"),
    Definition("omniroute_logins", "counter", ("outcome",), "Passwords and log-in links tried with the admin process: right, wrong, or throttled after too many."),
    Definition("omniroute_resting", "gauge", ("provider", "connection", "state"), "Targets left alone after failures: cooling; of breakers open, half_open (its time is over, a request will try), ramping. Without connection: the provider itself.", "livemax"),
    Definition("omniroute_quota_used_ratio", "gauge", ("provider", "connection", "window"), "Used part of what providers tell of their own limits: requests or tokens.", "livemax"),
    Definition("omniroute_key_budget_used_ratio", "gauge", ("key", "period"), "Used part of keys' budgets, of those that are furthest.", "livemax"),
    Definition("omniroute_tier_budget_used_ratio", "gauge", ("tier",), "Used part of tiers' budgets.", "livemax"),
    Definition("omniroute_valkey_up", "gauge", ("store",), "1 while the server answers; store is state or cache.", "livemax"),
    Definition("omniroute_valkey_ping_seconds", "gauge", ("store",), "A round trip to the server.", "livemax"),
    Definition("omniroute_valkey_memory_bytes", "gauge", ("store",), "Memory that the server uses for data.", "livemax"),
    Definition("omniroute_valkey_memory_limit_bytes", "gauge", ("store",), "Most that it may use; 0 = no limit.", "livemax"),
    Definition("omniroute_valkey_clients", "gauge", ("store",), "Connected clients.", "livemax"),
    Definition("omniroute_valkey_replicas", "gauge", ("store",), "Connected replicas.", "livemax"),
    Definition("omniroute_valkey_keys", "gauge", ("store",), "Keys in the server.", "livemax"),
    Definition("omniroute_valkey_persistence_ok", "gauge", ("store",), "1 while its last write to disk went well.", "livemax"),
    Definition("omniroute_valkey_commands", "counter", ("store",), "Commands run, as this process has seen."),
    Definition("omniroute_valkey_key_looks", "counter", ("store", "result"), "Look-ups of keys: hit or miss."),
    Definition("omniroute_valkey_evicted_keys", "counter", ("store",), "Keys that went for want of memory."),
    Definition("omniroute_valkey_refused_connections", "counter", ("store",), "Connections beyond the server's limit."),
)  # fmt: skip
"""Of the admin process."""


class Counter:
    """Sums per label values, gathered until the next flush."""

    __slots__ = ("pending",)

    def __init__(self) -> None:
        self.pending: dict[Labels, float] = {}

    def add(self, labels: Labels = (), amount: float = 1) -> None:
        pending = self.pending
        pending[labels] = pending.get(labels, 0) + amount


class Gauge:
    """The last value per label values."""

    __slots__ = ("pending",)

    def __init__(self) -> None:
        self.pending: dict[Labels, float] = {}

    def set(self, value: float, labels: Labels = ()) -> None:
        self.pending[labels] = value


class Histogram:
    """Bucket counts and sums per label values, gathered until the next flush. `buckets` are upper bounds, rising."""

    __slots__ = ("_buckets", "pending")

    def __init__(self, buckets: tuple[float, ...] = LATENCY_BUCKETS_S) -> None:
        self._buckets = buckets
        self.pending: dict[Labels, tuple[list[int], list[float]]] = {}

    def observe(self, value: float, labels: Labels = ()) -> None:
        cell = self.pending.get(labels)
        if cell is None:
            cell = self.pending[labels] = ([0] * (len(self._buckets) + 1), [0.0])
        cell[0][bisect_left(self._buckets, value)] += 1
        cell[1][0] += value


class MetricSet:
    """Metrics of one process by field: `omniroute_tokens` is `tokens`. `flush` moves what has gathered to prometheus-client."""

    def __init__(self, definitions: Sequence[Definition], registry: CollectorRegistry | None) -> None:
        self.registry = registry or CollectorRegistry()
        self._definitions = definitions
        self._exported = {definition.name: _exported(definition, self.registry) for definition in definitions}
        for definition in definitions:
            for labels in definition.at_zero:
                self._exported[definition.name].labels(*labels)
        self._known: dict[str, set[Labels]] = {definition.name: set() for definition in definitions}
        self.process_cpu_seconds = Counter()
        self.process_memory_bytes = Gauge()
        self.process_open_files = Gauge()
        self.folded_series = Counter()

    def flush(self) -> None:
        """Hand over what has gathered. Costs some microseconds per label set that changed."""
        for definition in self._definitions:
            field = getattr(self, definition.name.removeprefix("omniroute_"))
            if not field.pending:
                continue
            pending, field.pending = field.pending, {}
            known = self._known[definition.name]
            for labels, value in pending.items():
                kept = labels
                if labels not in known:
                    if len(known) < MAX_SERIES:
                        known.add(labels)
                    else:
                        kept = (OTHER,) * len(labels)
                        self.folded_series.add((definition.name,))
                _hand_over(definition, self._exported[definition.name], kept, value)


class Metrics(MetricSet):
    """The worker's."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(DEFINITIONS, registry)
        self.requests = Counter()
        self.request_duration_seconds = Histogram()
        self.first_byte_seconds = Histogram()
        self.tokens = Counter()
        self.overhead_seconds = Histogram(OVERHEAD_BUCKETS_S)
        self.cost_usd = Counter()
        self.unpriced_tokens = Counter()
        self.saved_usd = Counter()
        self.key_requests = Counter()
        self.key_tokens = Counter()
        self.key_cost_usd = Counter()
        self.estimated_usage = Counter()
        self.attempts = Counter()
        self.retries = Counter()
        self.budget_warnings = Counter()
        self.address_refusals = Counter()
        self.auth_refusals = Counter()
        self.shed_requests = Counter()
        self.streams_interrupted = Counter()
        self.guard_findings = Counter()
        self.pii_found = Counter()
        self.shaping_skipped = Counter()
        self.shaping_pieces = Counter()
        self.grammar_violations = Counter()
        self.records = Counter()
        self.snapshot_failures = Counter()
        self.redis_errors = Counter()
        self.redis_outages = Counter()
        self.local_mode_seconds = Counter()
        self.relayed_requests = Counter()
        self.cache_lookups = Counter()
        self.cache_answers = Counter()
        self.cache_failures = Counter()
        self.semantic_lookups = Counter()
        self.semantic_embeddings = Counter()
        self.cache_store_up = Gauge()
        self.cache_front_bytes = Gauge()
        self.prompt_cache_tokens = Counter()
        self.saved_tokens = Counter()
        self.stored_bodies = Counter()
        self.samples = Counter()
        self.flights = Counter()
        self.traced_requests = Counter()
        self.open_requests = Gauge()
        self.open_streams = Gauge()
        self.queue_size = Gauge()
        self.cache_size = Gauge()
        self.tier_spent_usd = Gauge()
        self.snapshot_revision = Gauge()
        self.redis_up = Gauge()
        self.draining = Gauge()
        self.event_loop_lag_seconds = Gauge()
        self._keys: dict[str, str] = {}

    def key_label(self, name: str) -> str:
        """The label of a key: its name while there are not too many, else OTHER."""
        label = self._keys.get(name)
        if label is None:
            if len(self._keys) >= MAX_KEYS:
                return OTHER
            label = self._keys[name] = name
        return label


class ControlMetrics(MetricSet):
    """The admin process's."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(CONTROL_DEFINITIONS, registry)
        self.sql_up = Gauge()
        self.ledger_waiting_records = Gauge()
        self.ledger_lag_seconds = Gauge()
        self.ledger_rejected_records = Gauge()
        self.spool_bytes = Gauge()
        self.job_failing = Gauge()
        self.logins = Counter()
        self.resting = Gauge()
        self.quota_used_ratio = Gauge()
        self.key_budget_used_ratio = Gauge()
        self.tier_budget_used_ratio = Gauge()
        self.valkey_up = Gauge()
        self.valkey_ping_seconds = Gauge()
        self.valkey_memory_bytes = Gauge()
        self.valkey_memory_limit_bytes = Gauge()
        self.valkey_clients = Gauge()
        self.valkey_replicas = Gauge()
        self.valkey_keys = Gauge()
        self.valkey_persistence_ok = Gauge()
        self.valkey_commands = Counter()
        self.valkey_key_looks = Counter()
        self.valkey_evicted_keys = Counter()
        self.valkey_refused_connections = Counter()


def _exported(definition: Definition, registry: CollectorRegistry) -> prometheus_client.metrics.MetricWrapperBase:
    if definition.kind == "counter":
        return prometheus_client.Counter(definition.name, definition.help, definition.labels, registry=registry)
    if definition.kind == "gauge":
        return prometheus_client.Gauge(
            definition.name, definition.help, definition.labels, registry=registry, multiprocess_mode=definition.mode
        )
    return prometheus_client.Histogram(
        definition.name, definition.help, definition.labels, registry=registry, buckets=definition.buckets
    )


def _hand_over(definition: Definition, exported: Any, labels: Labels, value: Any) -> None:
    child = exported.labels(*labels) if labels else exported
    if definition.kind == "counter":
        child.inc(value)
    elif definition.kind == "gauge":
        child.set(value)
    else:
        # prometheus-client has no way to add many observations at once; its own `observe` does just this.
        counts, total = value
        for bucket, count in zip(child._buckets, counts, strict=True):
            if count:
                bucket.inc(count)
        child._sum.inc(total[0])
