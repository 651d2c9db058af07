"""Serves `/metrics`: the sum of what all processes wrote to the metrics folder, and what the supervisor knows itself.

Live gauges of processes that are gone are dropped. Counters and histograms of such processes are folded into one
file, so that figures never fall and a worker that keeps dying does not fill the disk. Nothing here may end the
supervisor: a scrape that fails is answered with 500 and logged.
"""

import os
import socket
import socketserver
import threading
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from gateway import __version__

_MOST_SCRAPES_AT_ONCE = 8
_SOCKET_TIMEOUT_S = 5.0
_STOP_POLL_S = 0.1
_RETIRED = "retired"
_KEPT_KINDS = ("counter", "histogram", "summary")

_log = structlog.get_logger()


class ProcessFacts(Collector):
    """What the supervisor knows of its children, asked for at each scrape: (name, runs, restarts)."""

    def __init__(self, facts: Callable[[], Iterable[tuple[str, bool, int]]]) -> None:
        self._facts = facts

    def collect(self) -> Iterator[Metric]:
        """Two families with the process's name as label, and the version."""
        up = GaugeMetricFamily("omniroute_up", "1 while the process runs.", labels=["process"])
        restarts = CounterMetricFamily(
            "omniroute_process_restarts", "Times the process ended and was started again.", labels=["process"]
        )
        for name, is_running, count in self._facts():
            up.add_metric([name], float(is_running))
            restarts.add_metric([name], count)
        build = GaugeMetricFamily("omniroute_build_info", "1, with the version that runs.", labels=["version"])
        build.add_metric([__version__], 1.0)
        yield up
        yield restarts
        yield build


class MetricsServer:
    """An HTTP server in a thread of its own."""

    def __init__(
        self, address: tuple[str, int], folder: Path, facts: Collector, is_alive: Callable[[int], bool]
    ) -> None:
        """Bind the port. Raises OSError when it is taken. `is_alive` tells of a pid whether it is one of ours."""
        self._folder = folder
        self._is_alive = is_alive
        self._facts = facts
        self._scraping = threading.Lock()
        self._server = _BoundedServer(address, _handler(self.exposition))

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to answer."""
        threading.Thread(target=self._server.serve_forever, args=(_STOP_POLL_S,), name="metrics", daemon=True).start()

    def stop(self) -> None:
        """Answer no more and free the port."""
        self._server.shutdown()
        self._server.server_close()

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """All metrics as text, and its content type, in the format that the scraper asks for."""
        encode, content_type = choose_encoder(accept)
        registry = CollectorRegistry()
        registry.register(self._facts)
        with self._scraping:
            retire_dead_processes(self._folder, self._is_alive)
            registry.register(_sum_of_files(self._folder))
            return encode(registry), content_type


def _sum_of_files(folder: Path) -> Collector:
    collector: Collector = MultiProcessCollector(None, path=str(folder))  # type: ignore[no-untyped-call]  # no types
    return collector


def retire_dead_processes(folder: Path, is_alive: Callable[[int], bool]) -> None:
    """Drop the live gauges of processes that are gone and fold their counters into the retired files."""
    files = [path for path in folder.glob("*.db") if path.stem.rpartition("_")[2].isdecimal()]
    dead = {pid for pid in {_pid_of(path) for path in files} if not is_alive(pid)}
    for pid in dead:
        mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]  # the library has no types here
    for kind in _KEPT_KINDS:
        finished = [path for path in files if path.name.startswith(kind + "_") and _pid_of(path) in dead]
        if finished:
            _fold(folder / f"{kind}_{_RETIRED}.db", finished)


def _pid_of(path: Path) -> int:
    return int(path.stem.rpartition("_")[2])


def _fold(retired: Path, finished: list[Path]) -> None:
    """Sum files into `retired`, whole or not at all."""
    sources = [str(path) for path in (retired, *finished) if path.exists()]
    merged: Iterable[Metric] = MultiProcessCollector.merge(sources, accumulate=False)  # type: ignore[no-untyped-call]  # no types
    fresh = retired.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    values: Any = MmapedDict(str(fresh))  # type: ignore[no-untyped-call]  # the library has no types here
    for metric in merged:
        for sample in metric.samples:
            names, labels = list(sample.labels), list(sample.labels.values())
            values.write_value(mmap_key(metric.name, sample.name, names, labels, metric.documentation), sample.value, 0)
    values.close()
    fresh.replace(retired)
    for path in finished:
        path.unlink(missing_ok=True)


class _BoundedServer(socketserver.ThreadingTCPServer):
    """Serves few scrapers at once and closes on the rest. (`http.server`'s own would look its name up in DNS.)"""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._places = threading.BoundedSemaphore(_MOST_SCRAPES_AT_ONCE)
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A scraper that goes away is nothing to report."""


def _handler(exposition: Callable[[str], tuple[bytes, str]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _SOCKET_TIMEOUT_S
        server_version = "omniroute"
        sys_version = ""

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self._answer(404, b"only /metrics is served here\n", "text/plain; charset=utf-8")
                return
            try:
                body, content_type = exposition(self.headers.get("Accept", ""))
            except Exception as error:  # noqa: BLE001  (the named boundary: a bad file must not end the endpoint)
                _log.error("metrics could not be summed", error=repr(error), pid=os.getpid())
                self._answer(500, b"the metrics could not be read\n", "text/plain; charset=utf-8")
                return
            self._answer(200, body, content_type)

        def _answer(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the library's name)
            """No access log for scrapes."""

    return Handler
