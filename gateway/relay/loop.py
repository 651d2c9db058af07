"""The attempt loop, one for every path: targets in the plan's order until one commits."""

import time
from collections.abc import Awaitable, Callable

from gateway.domain.errors import CallerGone, UpstreamFailed
from gateway.domain.record import AttemptRecord
from gateway.domain.target import Target
from gateway.relay.attempt import Attempts, Committed, Failed
from gateway.relay.exchange import Exchange
from gateway.telemetry.metrics import Metrics


async def relay(
    exchange: Exchange,
    plan: tuple[Target, ...],
    attempts: Attempts,
    metrics: Metrics,
    on_nudge: Callable[[], Awaitable[None]],
) -> Committed:
    """Try each target once. Raises UpstreamFailed with the first real cause and all attempts, or CallerGone."""
    first: Failed | None = None
    for index, target in enumerate(plan, start=1):
        started_at = time.monotonic()
        try:
            result = await attempts.make(exchange, target, on_nudge, is_last=index == len(plan))
        except CallerGone:
            exchange.target = target
            _note(exchange, target, "caller_left", started_at, time.monotonic(), None, metrics)
            raise
        if isinstance(result, Committed):
            exchange.target = target
            _note(exchange, target, "committed", started_at, time.monotonic(), None, metrics, result.asking.notes)
            return result
        _note(exchange, target, result.outcome.name, started_at, time.monotonic(), result, metrics)
        first = first or result
        if result.outcome.then == "stop":
            first = result
            break
        if exchange.has_caller_left:
            raise CallerGone
    assert first is not None
    exchange.target = exchange.target or plan[0]
    raise _as_error(first, exchange)


def _note(
    exchange: Exchange,
    target: Target,
    outcome: str,
    started_at: float,
    ended_at: float,
    failed: Failed | None,
    metrics: Metrics,
    dropped: tuple[str, ...] = (),
) -> None:
    metrics.attempts.add((target.connection.provider, outcome))
    exchange.attempts.append(
        AttemptRecord(
            provider=target.connection.provider,
            connection_id=target.connection.id,
            model=target.model,
            outcome=outcome,
            status=failed.status if failed else 0,
            duration_ms=round((ended_at - started_at) * 1000, 2),
            error=failed.message[:300] if failed else "",
            dropped=dropped,
        )
    )


def _as_error(failed: Failed, exchange: Exchange) -> UpstreamFailed:
    outcome = failed.outcome
    return UpstreamFailed(
        failed.message,
        status=outcome.status,
        code=outcome.code,
        attempts=tuple(exchange.attempts),
        retry_after_s=outcome.retry_after_s,
        body=failed.body if outcome.is_callers_fault else b"",
        content_type=failed.content_type,
    )
