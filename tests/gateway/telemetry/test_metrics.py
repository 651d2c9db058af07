"""What is counted is what is served: flushed sums, last values, and the right buckets."""

import re

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from gateway.telemetry.metrics import (
    CONTROL_DEFINITIONS,
    DEFINITIONS,
    LATENCY_BUCKETS_S,
    MAX_KEYS,
    MAX_SERIES,
    OTHER,
    ControlMetrics,
    Counter,
    Definition,
    Gauge,
    Histogram,
    Metrics,
    MetricSet,
)


def text_of(metrics: MetricSet) -> str:
    metrics.flush()
    return generate_latest(metrics.registry).decode()


def value(text: str, sample: str) -> float:
    found = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE)
    assert found, sample
    return float(found[1])


@pytest.mark.parametrize(
    ("metrics", "definitions"), [(Metrics(), DEFINITIONS), (ControlMetrics(), CONTROL_DEFINITIONS)]
)
def test_every_definition_has_its_field_of_its_kind(metrics: MetricSet, definitions: tuple[Definition, ...]) -> None:
    kinds = {"counter": Counter, "gauge": Gauge, "histogram": Histogram}
    for definition in definitions:
        field = getattr(metrics, definition.name.removeprefix("omniroute_"))
        assert type(field) is kinds[definition.kind]
        assert definition.help.endswith(".")
    fields = {name for name, field in vars(metrics).items() if isinstance(field, Counter | Gauge | Histogram)}
    assert fields == {definition.name.removeprefix("omniroute_") for definition in definitions}


def test_names_are_unique_and_ours() -> None:
    names = [definition.name for definition in {*DEFINITIONS, *CONTROL_DEFINITIONS}]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"omniroute_[a-z_]+", name) for name in names)
    assert not any(name.endswith("_total") for name in names)


def test_counters_add_up_over_flushes() -> None:
    metrics = Metrics()
    for _ in range(3):
        metrics.tokens.add(("p", "input"), 10)
        metrics.tokens.add(("p", "output"))
        text = text_of(metrics)
    assert value(text, 'omniroute_tokens_total{kind="input",provider="p"}') == 30
    assert value(text, 'omniroute_tokens_total{kind="output",provider="p"}') == 3
    assert metrics.tokens.pending == {}


def test_gauges_give_the_last_value() -> None:
    metrics = Metrics()
    metrics.queue_size.set(5, ("q",))
    metrics.queue_size.set(2, ("q",))
    metrics.open_requests.set(7)
    text = text_of(metrics)
    assert value(text, 'omniroute_queue_size{queue="q"}') == 2
    assert value(text, "omniroute_open_requests") == 7


@pytest.mark.parametrize("seconds", [0.0, 0.004, 0.005, 0.0051, 0.3, 1.0, 599.9, 600.0, 601.0, 1e9])
def test_an_observation_stands_in_its_bucket_and_in_all_above(seconds: float) -> None:
    metrics = Metrics()
    metrics.first_byte_seconds.observe(seconds, ("/e", "p", "stream"))
    text = text_of(metrics)
    labels = 'endpoint="/e",kind="stream",provider="p"'
    for bucket in (*LATENCY_BUCKETS_S, float("inf")):
        edge = "+Inf" if bucket == float("inf") else str(bucket)
        sample = f'omniroute_first_byte_seconds_bucket{{endpoint="/e",kind="stream",le="{edge}",provider="p"}}'
        assert value(text, sample) == (1 if seconds <= bucket else 0), edge
    assert value(text, f"omniroute_first_byte_seconds_count{{{labels}}}") == 1
    assert value(text, f"omniroute_first_byte_seconds_sum{{{labels}}}") == pytest.approx(seconds)


def test_many_observations_flushed_at_once_are_as_good_as_one_by_one() -> None:
    ours, theirs = Metrics(), Metrics(CollectorRegistry())
    seconds = [0.001 * 1.3**i for i in range(60)]
    for one in seconds:
        ours.request_duration_seconds.observe(one, ("/e", "p", "unary"))
        theirs._exported["omniroute_request_duration_seconds"].labels("/e", "p", "unary").observe(one)
    pick = re.compile(r"^omniroute_request_duration_seconds_(?:bucket|count).*$", re.MULTILINE)
    assert pick.findall(text_of(ours)) == pick.findall(text_of(theirs))


def test_a_flush_with_nothing_new_changes_nothing() -> None:
    metrics = Metrics()
    metrics.requests.add(("/e", "p", "200", ""))
    assert text_of(metrics) == text_of(metrics)


def test_a_million_keys_get_as_many_series_as_some_keys() -> None:
    metrics = Metrics()
    for number in range(1_000_000):
        metrics.key_cost_usd.add((metrics.key_label(f"key-{number}"),))
    text = text_of(metrics)
    assert len(re.findall(r"^omniroute_key_cost_usd_total{", text, re.MULTILINE)) == MAX_KEYS + 1
    assert value(text, f'omniroute_key_cost_usd_total{{key="{OTHER}"}}') == 1_000_000 - MAX_KEYS


def test_no_metric_has_more_series_than_its_bound_and_its_sum_stays_right() -> None:
    metrics = Metrics()
    for number in range(MAX_SERIES + 500):
        metrics.cost_usd.add(("p", f"model-{number}"))
        metrics.overhead_seconds.observe(0.001, (f"endpoint-{number}",))
    text = text_of(metrics)
    costs = re.findall(r"^omniroute_cost_usd_total{.*} (\S+)$", text, re.MULTILINE)
    assert len(costs) == MAX_SERIES + 1
    assert sum(map(float, costs)) == MAX_SERIES + 500
    assert len(re.findall(r"^omniroute_overhead_seconds_count{", text, re.MULTILINE)) == MAX_SERIES + 1
    assert value(text_of(metrics), 'omniroute_folded_series_total{metric="omniroute_cost_usd"}') == 500
