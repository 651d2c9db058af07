"""The sum of all processes' figures, over HTTP."""

import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.serve.metrics_server import MetricsServer, ProcessFacts, retire_dead_processes

WRITER = """
import prometheus_client as p
p.Counter("calls", "Calls.", ["kind"]).labels("a").inc(2)
p.Histogram("seconds", "Time.", buckets=(1, 2)).observe(1.5)
p.Gauge("open", "Open.", multiprocess_mode="livesum").set(4)
"""


def write_figures(folder: Path) -> None:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    subprocess.run([sys.executable, "-c", WRITER], env=environment, check=True)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MetricsServer]:
    facts = ProcessFacts(lambda: [("valkey", True, 3)])
    made = MetricsServer(("127.0.0.1", 0), tmp_path, facts, lambda _pid: False)
    made.start()
    yield made
    made.stop()


def url_of(server: MetricsServer) -> str:
    return f"http://127.0.0.1:{server.port}"


def test_counters_of_the_dead_stay_and_their_gauges_drop(server: MetricsServer, tmp_path: Path) -> None:
    for expected in (2.0, 4.0, 6.0):
        write_figures(tmp_path)
        text = httpx.get(f"{url_of(server)}/metrics", timeout=60).text
        assert f'calls_total{{kind="a"}} {expected}' in text
        assert f"seconds_count {expected / 2}" in text
        assert f'seconds_bucket{{le="2.0"}} {expected / 2}' in text
        assert 'seconds_bucket{le="1.0"} 0.0' in text
        assert "open " not in text


def test_files_of_the_dead_do_not_pile_up(tmp_path: Path) -> None:
    for _ in range(4):
        write_figures(tmp_path)
        retire_dead_processes(tmp_path, lambda _pid: False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["counter_retired.db", "histogram_retired.db"]


def test_files_of_the_living_are_left_alone(tmp_path: Path) -> None:
    write_figures(tmp_path)
    before = sorted(tmp_path.iterdir())
    retire_dead_processes(tmp_path, lambda _pid: True)
    assert sorted(tmp_path.iterdir()) == before


def test_what_the_supervisor_knows_is_served(server: MetricsServer) -> None:
    text = httpx.get(f"{url_of(server)}/metrics", timeout=60).text
    assert 'omniroute_up{process="valkey"} 1.0' in text
    assert 'omniroute_process_restarts_total{process="valkey"} 3.0' in text


def test_a_broken_file_is_a_500_and_not_the_end(server: MetricsServer, tmp_path: Path) -> None:
    (tmp_path / "counter_retired.db").write_bytes(struct.pack("iii", 64, 0, 9_999) + bytes(52))
    assert httpx.get(f"{url_of(server)}/metrics", timeout=60).status_code == 500
    (tmp_path / "counter_retired.db").unlink()
    assert httpx.get(f"{url_of(server)}/metrics", timeout=60).status_code == 200


def test_other_paths_are_not_found(server: MetricsServer) -> None:
    assert httpx.get(f"{url_of(server)}/", timeout=60).status_code == 404


def test_silent_connections_do_not_keep_a_scraper_out_for_ever(server: MetricsServer) -> None:
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(7)]
    assert httpx.get(f"{url_of(server)}/metrics", timeout=60).status_code == 200
    for connection in silent:
        connection.close()
