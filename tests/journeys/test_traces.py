"""OpenTelemetry traces through the real product: what a collector gets, and what a provider gets of a trace."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.product import wait_for
from tests.support.real_gateway import KEY, NODE_KEY, RealGateway, running_gateway
from tests.support.trace_collector import Span, TraceCollector, running_collector

pytestmark = pytest.mark.process

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CANARY = "c4n4ry-words-that-only-callers-know"
COLLECTOR_KEY = "c0llector-s3cret"
SERVER, CLIENT, ERROR = 2, 3, 2


@pytest.fixture(scope="module")
def collector() -> Iterator[TraceCollector]:
    with running_collector() as made:
        yield made


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, collector: TraceCollector) -> Iterator[RealGateway]:
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
        "OTEL_EXPORTER_OTLP_HEADERS": f"x-collector-key={COLLECTOR_KEY}",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
    }
    with running_gateway(tmp_path_factory.mktemp("traces"), **variables) as made:
        yield made


class Traced:
    """One call through the gateway, and the spans that became of it."""

    def __init__(self, gateway: RealGateway, collector: TraceCollector, model: str, **given: Any) -> None:
        mark = gateway.mark
        self.request_id = ""
        answer = gateway.chat(model, **given)
        self.status, self.text = answer.status_code, answer.text
        request_id = answer.headers["x-request-id"]
        wait_for(lambda: collector.trace_of(request_id), 10, lambda: f"no spans; {gateway.product.errors[-2000:]}")
        self.spans: list[Span] = collector.trace_of(request_id)
        self.upstream = [dict(one.headers) for one in gateway.seen(mark)]

    @property
    def root(self) -> Span:
        [found] = [span for span in self.spans if span.kind == SERVER]
        return found

    @property
    def calls(self) -> list[Span]:
        return sorted((span for span in self.spans if span.kind == CLIENT), key=lambda span: span.starts)


def test_a_request_is_a_span_and_its_call_another_with_the_conventions_names(
    gateway: RealGateway, collector: TraceCollector
) -> None:
    traced = Traced(gateway, collector, "local/ok")
    root, [call] = traced.root, traced.calls
    assert root.parent_id == ""
    assert root.name == "POST /v1/chat/completions"
    assert root.attributes["http.response.status_code"] == "200"
    assert root.attributes["omniroute.key.name"] == "all"
    assert call.parent_id == root.span_id
    assert call.name == "chat ok"
    assert root.starts <= call.starts <= call.ends <= root.ends
    wanted = {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "local", "gen_ai.request.model": "ok",
        "gen_ai.response.model": "ok", "gen_ai.usage.input_tokens": "11", "gen_ai.usage.output_tokens": "5",
        "gen_ai.request.stream": False, "server.address": "127.0.0.1", "server.port": str(gateway.fake.port),
    }  # fmt: skip
    assert call.attributes | wanted == call.attributes
    assert collector.problems == []


def test_a_stream_tells_when_its_first_chunk_came(gateway: RealGateway, collector: TraceCollector) -> None:
    [call] = Traced(gateway, collector, "local/paced:0.02", stream=True).calls
    seconds = (call.ends - call.starts) / 1e9
    assert call.attributes["gen_ai.request.stream"] is True
    assert 0 < call.attributes["gen_ai.response.time_to_first_chunk"] < seconds


def test_the_provider_is_told_the_place_of_its_own_call(gateway: RealGateway, collector: TraceCollector) -> None:
    headers = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=1"}
    traced = Traced(gateway, collector, "local/ok", headers=headers)
    [asked] = traced.upstream
    assert asked["traceparent"] == f"00-{TRACE}-{traced.calls[0].span_id}-01"
    assert asked["tracestate"] == "vendor=1"
    assert {span.trace_id for span in traced.spans} == {TRACE}
    assert traced.root.parent_id == SPAN


def test_each_attempt_is_a_span_of_its_own(gateway: RealGateway, collector: TraceCollector) -> None:
    traced = Traced(gateway, collector, "always-on")
    failed, answered = traced.calls
    assert (failed.status, failed.attributes["error.type"]) == (ERROR, "server_error")
    assert failed.attributes["http.response.status_code"] == "500"
    assert "gen_ai.usage.input_tokens" not in failed.attributes
    assert answered.status == 0
    assert failed.ends <= answered.starts
    assert [one["traceparent"].split("-")[2] for one in traced.upstream] == [failed.span_id, answered.span_id]
    assert traced.root.attributes["omniroute.combo"] == "always-on"


def test_a_refused_request_is_a_span_without_a_call(gateway: RealGateway, collector: TraceCollector) -> None:
    traced = Traced(gateway, collector, "nobody/has-it")
    assert traced.calls == []
    assert traced.root.attributes["error.type"] == "model_not_found"


def test_a_stream_that_breaks_is_an_error(gateway: RealGateway, collector: TraceCollector) -> None:
    traced = Traced(gateway, collector, "local/cut-after:2", stream=True)
    assert traced.root.status == ERROR
    assert traced.calls[0].attributes["error.type"] == traced.root.attributes["error.type"]
    assert traced.root.attributes["error.type"].startswith("stream_")


def test_a_caller_that_does_not_want_to_be_traced_is_not(gateway: RealGateway, collector: TraceCollector) -> None:
    mark, parent = gateway.mark, f"00-{TRACE[::-1]}-{SPAN}-00"
    assert gateway.chat("local/ok", headers={"traceparent": parent}).status_code == 200
    assert dict(gateway.seen(mark)[0].headers)["traceparent"] == parent
    Traced(gateway, collector, "local/ok")  # of later requests spans have come
    assert collector.spans(TRACE[::-1]) == []


def test_no_text_and_no_secret_is_in_a_span(gateway: RealGateway, collector: TraceCollector) -> None:
    for model in (f"local/says:{CANARY}", "local/status:400:message=" + CANARY, "always-on"):
        Traced(gateway, collector, model, messages=[{"role": "user", "content": CANARY}])
    sent = (
        b"".join(collector.bodies).replace(f"says:{CANARY}".encode(), b"").replace(b"message=" + CANARY.encode(), b"")
    )
    for secret in (CANARY, KEY, NODE_KEY, COLLECTOR_KEY):
        assert secret.encode() not in sent
    assert all(one["x-collector-key"] == COLLECTOR_KEY for one in collector.headers)
    assert COLLECTOR_KEY not in gateway.product.errors


def test_a_collector_that_refuses_costs_callers_nothing_and_is_counted(
    gateway: RealGateway, collector: TraceCollector
) -> None:
    collector.status = 400
    try:
        before = gateway.product.metrics()['omniroute_traced_requests_total{outcome="refused"}']
        assert gateway.chat("local/ok").status_code == 200
        name = 'omniroute_traced_requests_total{outcome="refused"}'
        wait_for(lambda: gateway.product.metrics()[name] > before, 10)
    finally:
        collector.status = 200
    assert re.search(r"traces_lost", gateway.product.errors)
