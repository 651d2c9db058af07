"""What the metrics are told of a record, and the log of one that failed."""

import structlog

from gateway.accounting.cost import Rates, cost_of
from gateway.domain.record import RequestRecord
from gateway.telemetry.metrics import OTHER, Metrics

_log = structlog.get_logger()

NANO = 1_000_000_000


def measure(record: RequestRecord, metrics: Metrics) -> None:
    """Count one request that has ended. What was asked and answered is not logged."""
    kind = "stream" if record.is_stream else "unary"
    where = (record.endpoint, record.provider, kind)
    metrics.requests.add((record.endpoint, record.provider, str(record.status), record.error))
    metrics.request_duration_seconds.observe(record.duration_ms / 1000, where)
    if record.first_byte_ms is not None:
        metrics.first_byte_seconds.observe(record.first_byte_ms / 1000, where)
    usage, provider = record.usage, record.provider
    if usage.input:
        metrics.tokens.add((provider, "input"), usage.input)
    if usage.output:
        metrics.tokens.add((provider, "output"), usage.output)
    if usage.cache_read:
        metrics.tokens.add((provider, "cache_read"), usage.cache_read)
    if usage.cache_write:
        metrics.tokens.add((provider, "cache_write"), usage.cache_write)
    if usage.reasoning:
        metrics.tokens.add((provider, "reasoning"), usage.reasoning)
    if record.cache:
        metrics.saved_tokens.add((record.cache, "input"), record.saved_input)
        metrics.saved_tokens.add((record.cache, "output"), record.saved_output)
        metrics.saved_usd.add((record.cache,), record.saved_nano_usd / NANO)
    _measure_key(record, metrics)
    if usage.estimated:
        metrics.estimated_usage.add((provider,))
    if record.status >= 500 or record.error.startswith("stream_"):
        last = record.attempts[-1] if record.attempts else None
        _log.warning(
            "request_failed",
            request_id=record.id,
            endpoint=record.endpoint,
            provider=provider,
            status=record.status,
            error=record.error,
            attempts=len(record.attempts),
            cause=last.outcome if last else "",  # its words are for the ledger: they may quote what was asked
            provider_status=last.status if last else 0,
        )


def measure_answer(record: RequestRecord, metrics: Metrics, rates: Rates, named_models: frozenset[str]) -> None:
    """What a provider's answer cost, and how long the gateway took beside it. `named_models` have a label of their own."""
    usage, model = record.usage, record.model
    if model not in named_models:
        model = OTHER
    if record.cost_nano_usd:
        metrics.cost_usd.add((record.provider, model), record.cost_nano_usd / NANO)
    elif usage.input or usage.output:
        rate = rates.rate(record.provider, record.model, record.at)
        if not cost_of(usage, rate).is_known:
            metrics.unpriced_tokens.add((record.provider, model), usage.input + usage.output)
    if usage.input:
        _measure_prompt_cache(record, model, metrics)
    if record.first_byte_ms is not None:
        attempts_ms = 0.0
        for attempt in record.attempts:
            attempts_ms += attempt.duration_ms
        metrics.overhead_seconds.observe(max(0.0, record.first_byte_ms - attempts_ms) / 1000, (record.endpoint,))


def _measure_key(record: RequestRecord, metrics: Metrics) -> None:
    key, status, usage = metrics.key_label(record.key_name or record.key_id), record.status, record.usage
    is_cut = record.error.startswith("stream_")
    metrics.key_requests.add((key, "failed" if status >= 500 or is_cut else "ok" if status < 400 else "refused"))
    if usage.input:
        metrics.key_tokens.add((key, "input"), usage.input)
    if usage.output:
        metrics.key_tokens.add((key, "output"), usage.output)
    if usage.cache_read:
        metrics.key_tokens.add((key, "cache_read"), usage.cache_read)
    if record.cost_nano_usd:
        metrics.key_cost_usd.add((key,), record.cost_nano_usd / NANO)


def _measure_prompt_cache(record: RequestRecord, model: str, metrics: Metrics) -> None:
    usage, where = record.usage, (record.connection_id, model)
    metrics.prompt_cache_tokens.add((*where, "input"), usage.input)
    if usage.cache_read:
        metrics.prompt_cache_tokens.add((*where, "read"), usage.cache_read)
    if usage.cache_write:
        metrics.prompt_cache_tokens.add((*where, "written"), usage.cache_write)
