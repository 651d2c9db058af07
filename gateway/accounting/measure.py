"""What the metrics are told of a record, and the log of one that failed."""

import structlog

from gateway.domain.record import RequestRecord
from gateway.telemetry.metrics import Metrics

_log = structlog.get_logger()


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
    if usage.cache_read or usage.cache_write:
        _measure_prompt_cache(record, metrics)
    if usage.cache_write:
        metrics.tokens.add((provider, "cache_write"), usage.cache_write)
    if usage.reasoning:
        metrics.tokens.add((provider, "reasoning"), usage.reasoning)
    if record.cache:
        metrics.saved_tokens.add((record.cache, "input"), record.saved_input)
        metrics.saved_tokens.add((record.cache, "output"), record.saved_output)
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


def _measure_prompt_cache(record: RequestRecord, metrics: Metrics) -> None:
    usage, where = record.usage, (record.connection_id, record.model)
    metrics.prompt_cache_tokens.add((*where, "input"), usage.input)
    metrics.prompt_cache_tokens.add((*where, "read"), usage.cache_read)
    metrics.prompt_cache_tokens.add((*where, "written"), usage.cache_write)
