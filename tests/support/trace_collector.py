"""A stand-in for an OpenTelemetry collector: takes OTLP as JSON over HTTP, holds it against the protocol's own names, keeps the spans."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_SPAN = {
    "traceId", "spanId", "parentSpanId", "traceState", "name", "kind", "startTimeUnixNano", "endTimeUnixNano", "attributes",
    "events", "status", "flags",
}  # fmt: skip
_VALUES = {"stringValue": str, "boolValue": bool, "intValue": str, "doubleValue": float}


@dataclass(frozen=True)
class Span:
    """One span, its attributes by name."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: int
    starts: int
    ends: int
    attributes: dict[str, Any]
    status: int
    events: list[dict[str, Any]] = field(default_factory=list)


class TraceCollector:
    """What came: `bodies` as they were, `headers` of the calls. `problems` are breaches of the protocol. `status` is what it answers."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.problems: list[str] = []
        self.status = 200
        self.port = 0

    def spans(self, trace_id: str = "") -> list[Span]:
        found = [
            _span(span)
            for body in list(self.bodies)
            for resource in json.loads(body)["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]
        return [span for span in found if trace_id in ("", span.trace_id)]

    def trace_of(self, request_id: str) -> list[Span]:
        """The spans of the trace whose request has this id of ours."""
        roots = [span for span in self.spans() if span.attributes.get("omniroute.request.id") == request_id]
        return self.spans(roots[0].trace_id) if roots else []

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        if path != "/v1/traces" or headers.get("content-type") != "application/json":
            self.problems.append(f"{path} {headers.get('content-type')}")
        self._check(json.loads(body))
        self.headers.append(headers)
        if self.status == 200:
            self.bodies.append(body)

    def _check(self, message: dict[str, Any]) -> None:
        if set(message) != {"resourceSpans"}:
            self.problems.append(f"members {set(message)}")
        for resource in message["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    self._check_span(span)

    def _check_span(self, span: dict[str, Any]) -> None:
        if not set(span) <= _SPAN:
            self.problems.append(f"members {set(span) - _SPAN}")
        if len(bytes.fromhex(span["traceId"])) != 16 or len(bytes.fromhex(span["spanId"])) != 8:
            self.problems.append(f"ids {span['traceId']} {span['spanId']}")
        for one in span["attributes"]:
            [(kind, value)] = one["value"].items()
            if type(value) is not _VALUES[kind]:
                self.problems.append(f"{one}")
        if not int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"]):
            self.problems.append(f"times {span}")


@contextmanager
def running_collector() -> Iterator[TraceCollector]:
    collector = TraceCollector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.take(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(collector.status)
            self.send_header("content-length", "2")
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the library's name)
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def _span(span: dict[str, Any]) -> Span:
    return Span(
        span["traceId"],
        span["spanId"],
        span.get("parentSpanId", ""),
        span["name"],
        span["kind"],
        int(span["startTimeUnixNano"]),
        int(span["endTimeUnixNano"]),
        {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]},
        span.get("status", {}).get("code", 0),
        span.get("events", []),
    )
