"""A real Prometheus on a free port, and promtool: Debian's own, put into `.tools` of the checkout when first asked for."""

import importlib.util
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from tests.support.product import REPOSITORY, free_port, wait_for

TOOLS = REPOSITORY / ".tools/prometheus"
RULES = REPOSITORY / "deploy/helm/omniroute/files/rules"


@cache
def tools() -> Path:
    """The folder with `prometheus` and `promtool`. Where none is to be had tests are skipped, but never on CI."""
    installer = _installer()
    try:
        installer.install(TOOLS)
    except installer.NotToBeHad as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no Prometheus: {error}")
    return TOOLS


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([tools() / "promtool", *arguments], capture_output=True, text=True, timeout=300)


class RealPrometheus:
    """Scrapes every second."""

    def __init__(self, port: int) -> None:
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)

    def is_ready(self) -> bool:
        try:
            return self._client.get("/-/ready").status_code == 200
        except httpx.HTTPError:
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an instant query. Raises AssertionError with Prometheus's own words."""
        answer = self._client.post("/api/v1/query", data={"query": expression}).json()
        assert answer["status"] == "success", f"{answer.get('error')}: {expression}"
        result = answer["data"]["result"]
        return result if isinstance(result, list) and answer["data"]["resultType"] == "vector" else [result]

    def label_values(self, expression: str) -> list[str]:
        """Grafana's `label_values(selector, label)`, or with a metric's name for a selector."""
        selector, _, label = expression.removeprefix("label_values(").removesuffix(")").rpartition(",")
        answer = self._client.get(f"/api/v1/label/{label.strip()}/values", params={"match[]": selector}).json()
        assert answer["status"] == "success", answer
        found: list[str] = answer["data"]
        return found

    def close(self) -> None:
        self._client.close()


@contextmanager
def running_prometheus(folder: Path, targets: Sequence[str], rules: Sequence[Path] = ()) -> Iterator[RealPrometheus]:
    """Start one that scrapes `host:port` targets; end it. JSON is YAML."""
    port = free_port()
    config = folder / "prometheus.yml"
    scrape = {"job_name": "omniroute", "static_configs": [{"targets": list(targets), "labels": {"namespace": "llm"}}]}
    every = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config.write_text(json.dumps({"global": every, "scrape_configs": [scrape], "rule_files": list(map(str, rules))}))
    arguments = [
        tools() / "prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    ]  # fmt: skip
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(list(map(str, arguments)), stdout=log, stderr=log, env={"GOMAXPROCS": "1"})
    prometheus = RealPrometheus(port)
    try:
        wait_for(prometheus.is_ready, 10, (folder / "prometheus.log").read_text)
        yield prometheus
    finally:
        prometheus.close()
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _installer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install_prometheus", REPOSITORY / "deploy/tools/prometheus.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
