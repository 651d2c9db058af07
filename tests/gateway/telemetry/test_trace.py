"""Who is traced, by whose word, and what becomes of spans that nobody takes."""

import asyncio
from collections.abc import Sequence

import pytest

from gateway.domain.record import RequestRecord
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.trace import MAX_WAITING, Collector, Ended, Parent, Trace, Tracer, parent_in
from tests.support.trace_collector import running_collector

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"
RECORD = RequestRecord("i", 1.0, "w", "/e", "openai_chat", "m")


def counting(size: int) -> bytes:
    counting.number += 1  # type: ignore[attr-defined]  # state of a stand-in for chance
    return int(counting.number).to_bytes(size, "big")  # type: ignore[attr-defined]


counting.number = 0  # type: ignore[attr-defined]


def encode(batch: Sequence[Ended]) -> bytes:
    return b'{"resourceSpans":[]}'


def tracer(url: str = "http://127.0.0.1:9/v1/traces", ratio: float = 1.0, metrics: Metrics | None = None) -> Tracer:
    return Tracer(Collector(url, {}), ratio, encode, metrics or Metrics(), counting)


@pytest.mark.parametrize(
    ("value", "parent"),
    [
        (GOOD, Parent(int(TRACE, 16), int(SPAN, 16), is_sampled=True)),
        (f"00-{TRACE}-{SPAN}-00", Parent(int(TRACE, 16), int(SPAN, 16), is_sampled=False)),
        (f"01-{TRACE}-{SPAN}-01-more", Parent(int(TRACE, 16), int(SPAN, 16), is_sampled=True)),
        (f"00-{TRACE}-{SPAN}-01-more", None),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (GOOD.upper(), None),
        ("", None),
        ("00-1", None),
    ],
)
def test_a_traceparent_is_read_as_the_standard_says(value: str, parent: Parent | None) -> None:
    assert parent_in([(b"traceparent", value.encode())]) == parent


def test_two_traceparents_are_none() -> None:
    assert parent_in([(b"traceparent", GOOD.encode())] * 2) is None


@pytest.mark.parametrize(("flag", "is_traced"), [("01", True), ("00", False)])
@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_the_callers_word_counts_more_than_the_ratio(flag: str, is_traced: bool, ratio: float) -> None:
    headers = [(b"traceparent", f"00-{TRACE}-{SPAN}-{flag}".encode())]
    assert (tracer(ratio=ratio).begin(headers, 0.0) is not None) == is_traced


@pytest.mark.parametrize(("ratio", "is_traced"), [(0.0, False), (1.0, True)])
def test_without_a_parent_the_ratio_decides(ratio: float, is_traced: bool) -> None:
    assert (tracer(ratio=ratio).begin([], 0.0) is not None) == is_traced


def test_ids_of_attempts_differ_and_are_the_same_each_time() -> None:
    trace = Trace(tracer(), 1, 2**64 - 5, 0, 0.0)
    ids = [trace.span_id_of(number) for number in range(50)]
    assert len({trace.span_id, *ids}) == 51
    assert ids == [trace.span_id_of(number) for number in range(50)]
    assert all(0 < one < 2**64 for one in ids)


def test_a_call_has_one_traceparent_its_own_and_no_foreign_state() -> None:
    lines = (b"user-agent: x", b"traceparent: 00-bad", b"tracestate: a=1")
    trace = Trace(tracer(), 1, 2, 0, 0.0)
    sent = trace.upstream(0, "https://h.example/v1", "openai_chat", lines)
    assert sent == (b"user-agent: x", b"traceparent: 00-%032x-%016x-01" % (1, trace.span_id_of(0)))
    assert (trace.calls[0].host, trace.calls[0].port) == ("h.example", 443)
    continued = Trace(tracer(), 1, 2, 3, 0.0).upstream(0, "https://h.example/v1", "openai_chat", lines)
    assert b"tracestate: a=1" in continued


@pytest.mark.parametrize(
    ("answer", "model"),
    [
        (b'{"id":"1","model":"gpt-x","choices":[]}', "gpt-x"),
        (b'event: message_start\ndata: {"message":{"model": "claude-x"}}\n\n', "claude-x"),
        (b'{"candidates":[],"modelVersion":"gemini-x"}', "gemini-x"),
        (b'{"choices":[{"message":{"content":"\\"model\\":\\"forged\\""}}]}', ""),
        (b"", ""),
    ],
)
def test_the_answers_own_model_is_found(answer: bytes, model: str) -> None:
    trace = Trace(tracer(), 1, 2, 0, 0.0)
    trace.answered(answer)
    assert trace.response_model == model


def test_what_waits_is_bounded_and_what_is_dropped_counted() -> None:
    metrics = Metrics()
    full = tracer(metrics=metrics)
    for _ in range(MAX_WAITING + 3):
        trace = full.begin([], 0.0)
        assert trace is not None
        trace.end(RECORD)
    assert len(full) == MAX_WAITING
    assert metrics.traced_requests.pending == {("queue_full",): 3}


async def test_what_is_left_is_sent_at_the_end() -> None:
    metrics = Metrics()
    with running_collector() as collector:
        ending = tracer(f"http://127.0.0.1:{collector.port}/v1/traces", metrics=metrics)
        for _ in range(100):
            trace = ending.begin([], 0.0)
            assert trace is not None
            trace.end(RECORD)
        await ending.close(60)
    assert metrics.traced_requests.pending == {("exported",): 100}


async def test_a_collector_that_is_away_does_not_hold_up_the_end() -> None:
    metrics = Metrics()
    ending = tracer(metrics=metrics)
    trace = ending.begin([], 0.0)
    assert trace is not None
    trace.end(RECORD)
    await asyncio.wait_for(ending.close(0.05), 60)
    assert metrics.traced_requests.pending == {("failed",): 1}
