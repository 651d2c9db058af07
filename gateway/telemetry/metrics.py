"""All metrics of the worker: their names, kinds, labels and help. `docs/metrics.md` is generated from here.

The request path adds to plain dicts; a task flushes what has gathered to prometheus-client every 250 ms, into the
multiprocess files that the supervisor sums and serves. Label values come from configuration and closed lists,
never from a caller unchecked.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import prometheus_client
from prometheus_client import CollectorRegistry

Labels = tuple[str, ...]

LATENCY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)


@dataclass(frozen=True, slots=True)
class Definition:
    """One metric. `mode` is how a gauge of many workers becomes one figure (prometheus-client's word)."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: Labels
    help: str
    mode: Literal["livesum", "livemin", "livemax"] = "livesum"


DEFINITIONS = (
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
    Definition("omniroute_estimated_usage", "counter", ("provider",), "Requests whose usage was counted here."),
    Definition("omniroute_attempts", "counter", ("provider", "outcome"), "Upstream attempts by how they ended."),
    Definition("omniroute_retries", "counter", ("verdict",), "Calls beyond a request's first: made, or refused to spare providers."),
    Definition(
        "omniroute_budget_warnings", "counter", (), "Requests of keys that have spent the part of their budget they warn at."
    ),
    Definition(
        "omniroute_address_refusals", "counter", ("reason",), "Requests refused for where they came from: blocked, banned, rate."
    ),
    Definition("omniroute_auth_refusals", "counter", ("reason",), "Requests refused before they had a valid key."),
    Definition("omniroute_shed_requests", "counter", ("class", "reason"), "Requests refused because a worker had too much to do."),
    Definition("omniroute_streams_interrupted", "counter", ("side",), "Streams that ended early, by whose fault."),
    Definition("omniroute_guard_findings", "counter", ("sign", "action"), "Signs of prompt injection, and what was done."),
    Definition("omniroute_pii_found", "counter", ("kind", "side"), "Personal data found, by kind, in input or output."),
    Definition("omniroute_shaping_pieces", "counter", ("how",), "Pieces of text that the guard and the search for personal data looked at: searched, or known from before."),
    Definition("omniroute_shaping_skipped", "counter", ("reason",), "Requests that went on unshaped: too_large or unreadable."),
    Definition("omniroute_grammar_violations", "counter", ("dialect",), "Sampled translated streams out of order."),
    Definition("omniroute_records", "counter", ("path",), "Usage records handed over: stream, spool or lost."),
    Definition("omniroute_snapshot_failures", "counter", ("reason",), "Published snapshots that could not be used."),
    Definition("omniroute_redis_errors", "counter", ("operation",), "Trips to Redis that failed or ran out of time."),
    Definition("omniroute_redis_outages", "counter", ("cause",), "Times that a worker entered local mode: Redis was lost or slow."),
    Definition("omniroute_local_mode_seconds", "counter", (), "Seconds that workers were on their own."),
    Definition("omniroute_relayed_requests", "counter", ("status",), "Requests relayed to the admin process."),
    Definition("omniroute_cache_lookups", "counter", ("found",), "Cacheable requests by where their answer was: front, store or miss; of the misses, semantic or shadow."),
    Definition("omniroute_cache_answers", "counter", ("kept",), "Answers of cacheable requests, by whether they were kept."),
    Definition("omniroute_cache_failures", "counter", ("operation",), "Trips to the cache store that failed or ran out of time."),
    Definition("omniroute_cache_store_up", "gauge", (), "1 while every worker reaches the cache store.", "livemin"),
    Definition("omniroute_cache_front_bytes", "gauge", (), "Bytes of kept answers in workers' own memory."),
    Definition("omniroute_prompt_cache_tokens", "counter", ("connection", "model", "kind"), "Input tokens of answers that used a provider's prompt cache: all of their input, read and written."),
    Definition("omniroute_semantic_lookups", "counter", ("result",), "Questions looked for by meaning, by what came of it."),
    Definition("omniroute_semantic_embeddings", "counter", ("provider", "outcome"), "Vectors of questions asked for, by how that ended."),
    Definition("omniroute_saved_tokens", "counter", ("how", "kind"), "Tokens that answers from the cache did not use, by how they were found."),
    Definition("omniroute_stored_bodies", "counter", ("outcome",), "Requests whose bodies were to be stored: handed_over, or dropped for want of room or of a store."),
    Definition("omniroute_samples", "counter", ("outcome",), "Requests sampled while an owner watches: published, or skipped; unwatched or store_away: made for nobody."),
    Definition("omniroute_flights", "counter", ("place",), "Requests that may share an upstream call, by their place in it; and what kept them from it."),
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
    """Bucket counts and sums per label values, gathered until the next flush."""

    __slots__ = ("pending",)

    def __init__(self) -> None:
        self.pending: dict[Labels, tuple[list[int], list[float]]] = {}

    def observe(self, value: float, labels: Labels = ()) -> None:
        cell = self.pending.get(labels)
        if cell is None:
            cell = self.pending[labels] = ([0] * (len(LATENCY_BUCKETS_S) + 1), [0.0])
        cell[0][bisect_left(LATENCY_BUCKETS_S, value)] += 1
        cell[1][0] += value


class Metrics:
    """The worker's metrics by field; `flush` moves what has gathered to prometheus-client."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.requests = Counter()
        self.request_duration_seconds = Histogram()
        self.first_byte_seconds = Histogram()
        self.tokens = Counter()
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
        self.open_requests = Gauge()
        self.open_streams = Gauge()
        self.queue_size = Gauge()
        self.cache_size = Gauge()
        self.tier_spent_usd = Gauge()
        self.snapshot_revision = Gauge()
        self.redis_up = Gauge()
        self.draining = Gauge()
        self.event_loop_lag_seconds = Gauge()
        self._exported = {definition.name: _exported(definition, self.registry) for definition in DEFINITIONS}

    def flush(self) -> None:
        """Hand over what has gathered. Costs some microseconds per label set that changed."""
        for definition in DEFINITIONS:
            field = getattr(self, definition.name.removeprefix("omniroute_"))
            if not field.pending:
                continue
            pending, field.pending = field.pending, {}
            _hand_over(definition, self._exported[definition.name], pending)


def _exported(definition: Definition, registry: CollectorRegistry) -> prometheus_client.metrics.MetricWrapperBase:
    if definition.kind == "counter":
        return prometheus_client.Counter(definition.name, definition.help, definition.labels, registry=registry)
    if definition.kind == "gauge":
        return prometheus_client.Gauge(
            definition.name, definition.help, definition.labels, registry=registry, multiprocess_mode=definition.mode
        )
    return prometheus_client.Histogram(
        definition.name, definition.help, definition.labels, registry=registry, buckets=LATENCY_BUCKETS_S
    )


def _hand_over(definition: Definition, exported: Any, pending: Mapping[Labels, Any]) -> None:
    for labels, value in pending.items():
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
