"""What the metrics are told of an answer: its price, whose it is, and how long the gateway took beside it."""

from typing import Any

import pytest

from gateway.accounting.cost import Rates
from gateway.accounting.measure import measure, measure_answer
from gateway.config.snapshot import Price
from gateway.domain.record import AttemptRecord, RequestRecord
from gateway.domain.usage import Usage
from gateway.routing.prices import PriceBook
from gateway.telemetry.metrics import OTHER, Metrics

RATES = Rates(PriceBook((Price("p/priced", input=1.0, output=2.0),), {}))
MANY = 10_000
NAMED = frozenset({"priced", "free"})


def record(**fields: Any) -> RequestRecord:
    given: dict[str, Any] = {
        "id": "i", "at": 1.0, "worker": "w", "endpoint": "/e", "dialect": "openai_chat", "requested_model": "m",
        "key_name": "k", "provider": "p", "model": "priced", "status": 200, "usage": Usage(input=10, output=5),
    }  # fmt: skip
    return RequestRecord(**given | fields)


def answered(*records: RequestRecord) -> Metrics:
    metrics = Metrics()
    for one in records:
        measure(one, metrics)
        measure_answer(one, metrics, RATES, NAMED)
    return metrics


def test_money_is_counted_by_model_and_by_key() -> None:
    metrics = answered(record(cost_nano_usd=2_000_000_000), record(cost_nano_usd=500_000_000))
    assert metrics.cost_usd.pending == {("p", "priced"): 2.5}
    assert metrics.key_cost_usd.pending == {("k",): 2.5}
    assert metrics.unpriced_tokens.pending == {}


def test_tokens_without_a_price_are_told_and_those_that_cost_nothing_are_not() -> None:
    metrics = answered(record(model="free"), record(model="priced", usage=Usage()))
    assert metrics.unpriced_tokens.pending == {("p", "free"): 15}


def test_the_rate_of_prompt_caches_counts_answers_that_had_none_too() -> None:
    metrics = Metrics()
    for read in (0, 8):
        one = record(model="priced", usage=Usage(input=10, cache_read=read), connection_id="c", key_name="k")
        measure(one, metrics)
        measure_answer(one, metrics, RATES, NAMED)
    told = {labels[2]: count for labels, count in metrics.prompt_cache_tokens.pending.items()}
    assert told == {"input": 20, "read": 8}
    assert {labels[1]: count for labels, count in metrics.key_tokens.pending.items()} == {"input": 20, "cache_read": 8}


def test_models_that_nobody_named_make_no_series_of_their_own() -> None:
    usage = Usage(input=10, cache_read=5)
    metrics = Metrics()
    for number in range(MANY):
        measure_answer(record(model=f"m{number}", usage=usage, connection_id="c"), metrics, RATES, NAMED)
    assert set(metrics.unpriced_tokens.pending) == {("p", OTHER)}
    assert {labels[1] for labels in metrics.prompt_cache_tokens.pending} == {OTHER}
    assert len(metrics.overhead_seconds.pending) <= 1


@pytest.mark.parametrize(
    ("status", "error", "result"),
    [
        (200, "", "ok"), (200, "stream_reset", "failed"), (502, "x", "failed"), (404, "x", "refused"), (499, "x", "refused"),
    ],
)  # fmt: skip
def test_a_request_of_a_key_went_well_was_refused_or_failed(status: int, error: str, result: str) -> None:
    assert answered(record(status=status, error=error)).key_requests.pending == {("k", result): 1}


def test_the_overhead_is_what_no_attempt_took() -> None:
    attempts = tuple(AttemptRecord("p", "c", "m", outcome, duration_ms=30.0) for outcome in ("silent", "committed"))
    metrics = answered(record(first_byte_ms=61.5, attempts=attempts), record(first_byte_ms=None))
    [(labels, (_, total))] = metrics.overhead_seconds.pending.items()
    assert labels == ("/e",)
    assert total[0] == pytest.approx(0.0015)
