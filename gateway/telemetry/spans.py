"""A record and what was noted on its way → spans in OTLP's JSON. Pure.

One SERVER span a request, one CLIENT span for each call to a provider, after OpenTelemetry's conventions for generative
AI. Tokens and money stand once, at the call that answered. What was asked and answered, and what providers said of failures, is in none.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from gateway.domain.record import AttemptRecord, RequestRecord
from gateway.telemetry.trace import Ended

SCOPE = "omniroute.gateway"
MAX_TEXT = 256
"""Characters of a value: names of models are callers' own words."""
_SERVER, _CLIENT = 2, 3
_ERROR = 2
_OPERATIONS = {"gemini": "generate_content"}
_NANO = 1_000_000_000

Span = dict[str, Any]


class SpanEncoder:
    """Bodies of calls to a collector. `provider_names`: what OpenTelemetry calls providers, where that is not their id."""

    def __init__(self, resource: Mapping[str, str], version: str, provider_names: Mapping[str, str]) -> None:
        self._resource = {"attributes": _attributes(resource)}
        self._scope = {"name": SCOPE, "version": version}
        self._names = provider_names

    def encode(self, batch: Sequence[Ended]) -> bytes:
        """An `ExportTraceServiceRequest`."""
        spans = [span for ended in batch for span in self.spans(ended)]
        scoped = {"scope": self._scope, "spans": spans}
        return orjson.dumps({"resourceSpans": [{"resource": self._resource, "scopeSpans": [scoped]}]})

    def spans(self, ended: Ended) -> list[Span]:
        """The request's own, then its calls in their order."""
        record, trace = ended.record, ended.trace
        skipped = [(number, one) for number, one in enumerate(record.attempts) if number not in trace.calls]
        root = _span(ended, trace.span_id, trace.parent_id, f"POST {record.endpoint}", _SERVER)
        root["startTimeUnixNano"] = str(ended.ns(trace.started_at))
        root["attributes"] = _attributes(_of_request(record))
        if skipped:
            root["events"] = [self._skipped(ended, number, one) for number, one in skipped]
        if record.status >= 500 or record.error.startswith("stream_"):
            root["status"] = {"code": _ERROR}
        calls = [(number, one) for number, one in enumerate(record.attempts) if number in trace.calls]
        return [root, *(self._call(ended, number, one) for number, one in calls)]

    def _call(self, ended: Ended, number: int, attempt: AttemptRecord) -> Span:
        record, trace, call = ended.record, ended.trace, ended.trace.calls[number]
        operation = _OPERATIONS.get(call.dialect, "chat")
        name = f"{operation} {_text(attempt.model)}"
        span = _span(ended, trace.span_id_of(number), trace.span_id, name, _CLIENT)
        values: dict[str, object] = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": self._names.get(attempt.provider, attempt.provider),
            "gen_ai.request.model": attempt.model,
            "gen_ai.request.stream": record.is_stream,
            "server.address": call.host,
            "server.port": call.port,
            "omniroute.connection.id": attempt.connection_id,
            "omniroute.attempt": number + 1,
        }
        started_at, ended_at = trace.times[number] if number < len(trace.times) else (trace.started_at, ended.ended_at)
        is_answer = attempt.outcome == "committed"
        if is_answer:
            values |= _of_answer(record, trace.response_model)
            if record.is_stream:
                values["gen_ai.response.time_to_first_chunk"] = attempt.duration_ms / 1000
            ended_at = ended.ended_at
        elif attempt.status:
            values["http.response.status_code"] = attempt.status
        error = "" if is_answer and not record.error.startswith(("stream_", "provider_")) else attempt.outcome
        if error:
            values["error.type"] = record.error if is_answer else error
            span["status"] = {"code": _ERROR}
        span["startTimeUnixNano"], span["endTimeUnixNano"] = str(ended.ns(started_at)), str(ended.ns(ended_at))
        span["attributes"] = _attributes(values)
        return span

    def _skipped(self, ended: Ended, number: int, attempt: AttemptRecord) -> dict[str, Any]:
        """A target that was not called: it rests, or has no slot."""
        times = ended.trace.times
        at = times[number][1] if number < len(times) else ended.ended_at
        values = {
            "gen_ai.provider.name": self._names.get(attempt.provider, attempt.provider),
            "gen_ai.request.model": attempt.model,
            "error.type": attempt.outcome,
        }
        return {"name": "target skipped", "timeUnixNano": str(ended.ns(at)), "attributes": _attributes(values)}


def _span(ended: Ended, span_id: int, parent_id: int, name: str, kind: int) -> Span:
    span: Span = {
        "traceId": f"{ended.trace.trace_id:032x}",
        "spanId": f"{span_id:016x}",
        "name": name,
        "kind": kind,
        "endTimeUnixNano": str(ended.ns(ended.ended_at)),
        "flags": 1,
    }
    if parent_id:
        span["parentSpanId"] = f"{parent_id:016x}"
    return span


def _of_request(record: RequestRecord) -> dict[str, object]:
    values: dict[str, object] = {
        "http.request.method": "POST",
        "http.route": record.endpoint,
        "http.response.status_code": record.status,
        "omniroute.request.id": record.id,
        "omniroute.requested_model": record.requested_model,
        "omniroute.key.name": record.key_name,
        "omniroute.attempts": len(record.attempts),
        "omniroute.combo": record.combo,
        "omniroute.cache": record.cache,
    }
    if record.error:
        values["error.type"] = record.error
    return {name: value for name, value in values.items() if value != ""}


def _of_answer(record: RequestRecord, response_model: str) -> dict[str, object]:
    usage = record.usage
    values: dict[str, object] = {
        "gen_ai.usage.input_tokens": usage.input,
        "gen_ai.usage.output_tokens": usage.output,
        "omniroute.usage.is_estimated": usage.estimated,
        "omniroute.cost_usd": record.cost_nano_usd / _NANO,
    }
    if response_model:
        values["gen_ai.response.model"] = response_model
    kinds = {
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning,
    }
    return values | {name: count for name, count in kinds.items() if count}


def _attributes(values: Mapping[str, object]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in values.items()]


def _value(value: object) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"stringValue": _text(str(value))}


def _text(value: str) -> str:
    """Short enough, and such that it can be written: a lone surrogate would cost the whole batch."""
    return value[:MAX_TEXT].encode("utf-8", "replace").decode()
