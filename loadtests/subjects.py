"""What is measured: each subject started as its users start it, pinned to the gateway's core, ended by pid.

A subject is a base port and a model name. Starting one returns when it answers; how long that took is one of its figures.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loadtests.certificates import make_certificates
from loadtests.processes import MARK, family, worker_of

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / "loadtests" / "native" / "bin"
START_LIMIT_S = 120.0
STOP_LIMIT_S = 10.0
KEY = "sk-or-bench-0123456789abcdef0123456789abcdef"
GRANIAN = (
    *("--interface", "asgi", "--workers", "1", "--runtime-mode", "st", "--loop", "uvloop", "--http", "1", "--no-ws"),
    *("--backlog", "4096", "--backpressure", "10000", "--workers-kill-timeout", "2", "--no-access-log"),
    *("--log-level", "error"),
)
CONFIG = """\
version: 1
nodes:
  - {{id: local, prefix: local, dialect: openai_chat, base_url: "http://127.0.0.1:{mock}/v1", allow_private: true}}
  - {{id: curled, prefix: curled, dialect: openai_chat, base_url: "http://127.0.0.1:{mock}/v1", allow_private: true}}
  - {{id: sealed, prefix: sealed, dialect: openai_chat, base_url: "https://127.0.0.1:{tls}/v1", allow_private: true}}
connections:
  - {{provider: local, name: bench, api_key: "${{BENCH_UPSTREAM_KEY}}"}}
  - {{provider: curled, name: bench, api_key: "${{BENCH_UPSTREAM_KEY}}", fingerprint: chrome}}
  - {{provider: sealed, name: bench, api_key: "${{BENCH_UPSTREAM_KEY}}"}}
keys:
  - {{name: bench, secret: "${{BENCH_KEY}}", {limits}}}
"""
LIMITS = {
    "none": "rpm: 0",
    "usual": "rpm: 100000000, concurrency: 100000",
    "all": "rpm: 100000000, concurrency: 100000, tpm: 1000000000000, budget: {usd: 100000000, period: monthly}",
}
"""What the key of the benchmark is held to, by `OMNIROUTE_BENCH_LIMITS`: never reached, always counted."""
MODELS = {"product": "local/bench", "product-curl": "curled/bench", "product-tls": "sealed/bench"}
NGINX_CONFIG = """\
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder}; keepalive_requests 10000000;
  upstream mock {{ server 127.0.0.1:{mock}; keepalive 2000; keepalive_requests 10000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096; client_max_body_size 10m; client_body_buffer_size 128k;
    location / {{
      proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }}
  }}
}}
"""


NGINX_FRONT = """\
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder}; keepalive_requests 10000000;
  upstream mock {{ server 127.0.0.1:{mock}; keepalive 2000; keepalive_requests 10000000; }}
  server {{
    listen 127.0.0.1:{port} ssl backlog=4096; ssl_certificate {chain}; ssl_certificate_key {key};
    client_max_body_size 10m; client_body_buffer_size 2m;
    location / {{
      proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }}
  }}
}}
"""


class NotReadyError(Exception):
    """A subject did not answer in time, or ended; the message holds the end of what it printed."""


@dataclass(slots=True)
class Running:
    """A subject that answers. `pids` are all its processes; those of `worker` are what "worker" figures count."""

    name: str
    port: int
    models: dict[str, str]
    """Measured variant → model name to ask for."""
    process: subprocess.Popen[bytes] | None = None
    ready_s: float = 0.0
    worker: int = 0
    idle_rss_kb: int = 0
    mark: str = ""
    metrics_port: int = 0

    log: Path = Path()
    lost: str = ""
    """Why it serves no more."""

    def end(self) -> None:
        stop_family(self)

    def look_again(self) -> str:
        """Find the worker anew: it may have died and been replaced. Gives the end of what the subject printed."""
        assert self.process is not None
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(RuntimeError):
                found = worker_of(family(self.process.pid, self.mark), self.port)
                is_new, self.worker = found != self.worker, found
                return f"{'its worker is a new one; ' if is_new else ''}it printed: {_tail(self.log)}"
            time.sleep(0.1)
        self.lost = f"{self.name} serves no more: {_tail(self.log)}"
        return self.lost


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where the mock answers, plain and behind TLS, and the file of the authority to trust."""

    mock: int
    tls: int = 0
    authority: Path = Path()


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


@contextlib.contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """What is started inside runs on this core only, with all that it starts."""
    usual = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, usual)


def start_mock(core: int | None, faults: int = 0) -> tuple[subprocess.Popen[bytes], int]:
    """The mock and its port; of 1,000 requests it answers `faults` badly."""
    with on_core(core):
        process = subprocess.Popen([BIN / "mockup", "-p", "0", "-e", str(faults)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def start_tls_front(mock: int, core: int | None, folder: Path) -> tuple[subprocess.Popen[bytes], Upstream]:
    """TLS before the mock, by nginx where it is installed."""
    made = make_certificates(folder)
    if shutil.which("nginx") is not None:
        port, config = free_port(), folder / "front.conf"
        config.write_text(NGINX_FRONT.format(folder=folder, port=port, mock=mock, chain=made.chain, key=made.key))
        with on_core(core):
            process = subprocess.Popen(["nginx", "-p", str(folder), "-c", str(config)], stderr=subprocess.DEVNULL)
        _await_port(port)
        return process, Upstream(mock, port, made.authority)
    command = [sys.executable, "-m", "loadtests.tls_front", str(mock), str(made.chain), str(made.key)]
    with on_core(core):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    return process, Upstream(mock, int(process.stdout.readline()), made.authority)


def _await_port(port: int) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.01)
    raise NotReadyError(f"nothing listens on port {port}")


def start_floor(transport: str, upstream: Upstream, core: int | None, folder: Path) -> Running:
    """The bare floor over `raw`, `curl` or `tls` (raw behind TLS)."""
    port = free_port()
    granian = Path(sys.executable).parent / "granian"
    command = [str(granian), *GRANIAN, "--port", str(port), "loadtests.floor_app:app"]
    is_tls = transport == "tls"
    environment = {
        "FLOOR_TRANSPORT": transport,
        "FLOOR_UPSTREAM": f"127.0.0.1:{upstream.tls if is_tls else upstream.mock}",
        "SSL_CERT_FILE": str(upstream.authority),
        "PYTHONPATH": str(ROOT),
    }
    name = f"floor-{transport}"
    running = Running(name, port, {name: "gpt-mock"})
    return _launch(running, command, environment, core, folder, "/")


def start_product(
    upstream: Upstream,
    core: int | None,
    folder: Path,
    *,
    root: Path = ROOT,
    workers: int = 1,
    name: str = "product",
    text: str = "",
) -> Running:
    """The whole product from the checkout at `root`, with the configuration of the benchmark or with `text`."""
    port, metrics = free_port(), free_port()
    config = folder / "omniroute.yaml"
    limits = LIMITS[os.environ.get("OMNIROUTE_BENCH_LIMITS", "all")]
    config.write_text(text or CONFIG.format(mock=upstream.mock, tls=upstream.tls or upstream.mock, limits=limits))
    command = [*_omniroute(root), "serve", "--workers", str(workers), "--config", str(config)]
    environment = {
        "PYTHONPATH": str(root),  # wherever omniroute was installed from
        "PORT": str(port),
        "OMNIROUTE_METRICS_PORT": str(metrics),
        "DATA_DIR": str(folder / "data"),
        "OMNIROUTE_NO_OPEN": "true",
        "OMNIROUTE_DEMO": "false",
        "BENCH_KEY": KEY,
        "INITIAL_PASSWORD": "bench-password-only-here",
        "BENCH_UPSTREAM_KEY": "sk-upstream-bench",
        "SHUTDOWN_TIMEOUT_S": "3",
        "LOG_LEVEL": "warning",
    }
    if upstream.tls:
        environment["SSL_CERT_FILE"] = str(upstream.authority)
    running = Running(name, port, {model: MODELS[model] for model in MODELS if upstream.tls or model != "product-tls"})
    running.metrics_port = metrics
    return _launch(running, command, environment, core, folder, "/readyz")


def _omniroute(root: Path) -> list[str]:
    """The command that runs the product of this checkout, and of no other. Raises NotReadyError."""
    where = [sys.executable, "-c", "import gateway; print(gateway.__path__[0])"]
    found = subprocess.run(where, cwd="/", env={"PYTHONPATH": str(root)}, capture_output=True, text=True)
    if Path(found.stdout.strip() or "/") != root / "gateway":
        raise NotReadyError(f"no product at {root}: {found.stdout.strip() or found.stderr[-300:]}")
    return [sys.executable, "-m", "gateway"]


def start_nginx(upstream: Upstream, core: int | None, folder: Path) -> Running | None:
    """The floor in C, where nginx is installed; else None."""
    if shutil.which("nginx") is None:
        return None
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX_CONFIG.format(folder=folder, port=port, mock=upstream.mock))
    command = ["nginx", "-p", str(folder), "-c", str(config)]
    return _launch(Running("nginx", port, {"nginx": "gpt-mock"}), command, {}, core, folder, "/stats")


def problem_with(running: Running, model: str) -> str:
    """Ask once, unstreamed: empty if the answer is good, else what came instead. A key may take a moment to arrive."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "mock:b=64"}]}).encode()
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    url = f"http://127.0.0.1:{running.port}/v1/chat/completions"
    problem = ""
    for _attempt in range(20):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=5) as answer:
                text = answer.read().decode("utf-8", "replace")
                problem = "" if '"choices"' in text else f"answered without choices: {text[:300]}"
        except urllib.error.HTTPError as error:
            problem = f"answered {error.code}: {error.read(300).decode('utf-8', 'replace')}"
        except OSError as error:
            problem = f"did not answer: {error}"
        if not problem:
            break
        time.sleep(0.1)
    return problem


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, then, for a process that does not end, SIGKILL: by pid, only what we started."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_LIMIT_S)
        return
    process.kill()
    process.wait(STOP_LIMIT_S)


def stop_family(running: Running) -> None:
    """End a subject and whatever of it is left."""
    if running.process is None:
        return
    members = family(running.process.pid, running.mark)
    stop(running.process)
    for member in members:
        with contextlib.suppress(ProcessLookupError):
            if member.pid != running.process.pid and _still_ours(member.pid, running.mark):
                os.kill(member.pid, signal.SIGKILL)


def _still_ours(pid: int, mark: str) -> bool:
    try:
        return f"{MARK}={mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def _launch(
    running: Running, command: list[str], environment: dict[str, str], core: int | None, folder: Path, probe: str
) -> Running:
    running.mark = f"{running.name}-{os.getpid()}"
    log = running.log = folder / "output.log"
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    began = time.monotonic()
    with log.open("wb") as output, on_core(core):
        running.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**kept, **environment, MARK: running.mark},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _await_ready(running, f"http://127.0.0.1:{running.port}{probe}", log)
        running.ready_s = time.monotonic() - began
        running.worker = worker_of(family(running.process.pid, running.mark), running.port)
    except BaseException:
        stop_family(running)
        raise
    return running


def _await_ready(running: Running, url: str, log: Path) -> None:
    assert running.process is not None
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        if running.process.poll() is not None:
            raise NotReadyError(f"{running.name} ended with {running.process.returncode}:\n{_tail(log)}")
        with contextlib.suppress(OSError, urllib.error.URLError), urllib.request.urlopen(url, timeout=1) as answer:
            if answer.status == 200:
                return
        time.sleep(0.005)
    raise NotReadyError(f"{running.name} not ready after {START_LIMIT_S:.0f} s:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return log.read_text("utf-8", "replace")[-1500:]
