"""A record becomes spans: one of the request, one of each call, events of those passed over."""

import json
from typing import Any

from gateway.domain.record import AttemptRecord, RequestRecord
from gateway.domain.usage import Usage
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.spans import MAX_TEXT, SpanEncoder
from gateway.telemetry.trace import Collector, Ended, Trace, Tracer

SAID = "the provider quotes what was asked"
NANO = 1_000_000_000


def ended(*attempts: AttemptRecord, called: tuple[int, ...] = (), **fields: Any) -> Ended:
    """A request that took a second, from 100 on the monotonic clock and 1,000 on the wall's; attempts 0.1 s each."""
    tracer = Tracer(Collector("http://c/v1/traces"), 1.0, lambda _: b"", Metrics(), lambda size: b"\x01" * size)
    trace = Trace(tracer, 7, 8, 0, 100.0)
    for number in range(len(attempts)):
        trace.attempted(100.0 + number / 10, 100.1 + number / 10)
    for number in called:
        trace.upstream(number, "https://api.example/v1", "openai_chat", ())
    given: dict[str, Any] = {"requested_model": "m", "status": 200, "key_name": "k"}
    record = RequestRecord(
        "id", 1000.0, "w", "/v1/chat/completions", "openai_chat", **given | fields, attempts=attempts
    )
    return Ended(trace, record, 101.0, 1001 * NANO)


def spans_of(one: Ended) -> list[dict[str, Any]]:
    body = SpanEncoder({"service.name": "s"}, "1", {"acme": "acme.ai"}).encode([one])
    [resource] = json.loads(body)["resourceSpans"]
    found: list[dict[str, Any]] = resource["scopeSpans"][0]["spans"]
    return found


def attributes(span: dict[str, Any]) -> dict[str, Any]:
    return {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]}


def test_times_are_the_walls_and_the_answering_call_lasts_to_the_end() -> None:
    tried, answered = AttemptRecord("acme", "c", "a", "server_error", 500), AttemptRecord("acme", "c", "b", "committed")
    root, first, second = spans_of(ended(tried, answered, called=(0, 1)))
    assert (int(root["startTimeUnixNano"]), int(root["endTimeUnixNano"])) == (1000 * NANO, 1001 * NANO)
    assert int(first["endTimeUnixNano"]) - int(first["startTimeUnixNano"]) == NANO // 10
    assert int(second["endTimeUnixNano"]) == 1001 * NANO


def test_tokens_and_money_stand_once_at_the_call_that_answered() -> None:
    tried, answered = AttemptRecord("acme", "c", "a", "silent"), AttemptRecord("acme", "c", "b", "committed")
    usage = Usage(input=10, output=5, cache_read=3, reasoning=2)
    one = ended(tried, answered, called=(0, 1), usage=usage, cost_nano_usd=NANO // 2, is_stream=True)
    told = [attributes(span) for span in spans_of(one)]
    assert [span.get("gen_ai.usage.input_tokens") for span in told] == [None, None, "10"]
    assert [span.get("omniroute.cost_usd") for span in told] == [None, None, 0.5]
    assert told[2]["gen_ai.usage.cache_read.input_tokens"] == "3"
    assert told[2]["gen_ai.usage.reasoning.output_tokens"] == "2"
    assert "gen_ai.usage.cache_creation.input_tokens" not in told[2]
    assert told[2]["gen_ai.provider.name"] == "acme.ai"


def test_who_was_passed_over_is_an_event_and_no_call() -> None:
    rested, answered = AttemptRecord("acme", "c", "a", "resting"), AttemptRecord("acme", "c", "b", "committed")
    root, call = spans_of(ended(rested, answered, called=(1,)))
    [event] = root["events"]
    assert attributes(event)["error.type"] == "resting"
    assert attributes(call)["omniroute.attempt"] == "2"


def test_a_providers_words_are_in_no_span() -> None:
    one = ended(
        AttemptRecord("acme", "c", "a", "caller_error", 400, error=SAID), called=(0,), status=400, error="bad_request"
    )
    assert SAID not in json.dumps(spans_of(one))


def test_any_name_can_be_written_and_none_is_long() -> None:
    name = "m\ud800" * 1_000
    one = ended(AttemptRecord("acme", "c", name, "committed"), called=(0,), requested_model=name)
    root, call = spans_of(one)
    assert len(attributes(root)["omniroute.requested_model"]) == MAX_TEXT
    assert len(call["name"]) <= MAX_TEXT + 5


def test_an_answer_from_the_cache_is_a_span_without_calls() -> None:
    [root] = spans_of(ended(cache="hit"))
    assert attributes(root)["omniroute.cache"] == "hit"
    assert "status" not in root
