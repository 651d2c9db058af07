"""The supervisor's promises, seen from outside: real processes, with a stub application and a stub admin process."""

import os
import pty
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.product import (
    REPOSITORY,
    STUB,
    Product,
    clean_environment,
    free_port,
    is_alive,
    processes,
    products,
    wait_for,
)

pytestmark = pytest.mark.process

Make = Callable[..., Product]


@pytest.fixture
def make() -> Iterator[Make]:
    with products() as maker:
        yield maker


@pytest.fixture
def product(make: Make, tmp_path: Path) -> Product:
    return make(tmp_path / "data").wait_ready()


def test_the_first_start_prints_url_password_key_and_a_call(product: Product) -> None:
    for text in (product.url, "first-password", "first-key", f"curl -N {product.url}/v1/chat/completions"):
        assert text in product.output


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_ends_everything_with_exit_code_0(product: Product, signum: int) -> None:
    tree = product.tree()
    assert len(tree) == 6
    assert product.stop(signum) == 0
    assert not any(is_alive(pid) for pid in tree)
    assert not (product.data_dir / "run" / "valkey.sock").exists()


@pytest.mark.parametrize("name", ["valkey", "admin", "gateway"])
def test_the_kill_of_a_child_is_survived(product: Product, name: str) -> None:
    orphans = product.workers() if name == "gateway" else []
    before = product.kill(name)
    wait_for(lambda: product.child(name) not in (0, before) and product.answers(), 5)
    wait_for(lambda: not any(is_alive(pid) for pid in orphans), 5)
    assert product.metrics()[f'omniroute_process_restarts_total{{process="{name}"}}'] == 1
    assert product.stop() == 0


@pytest.mark.parametrize("victim", ["gateway", "supervisor"])
def test_workers_with_open_streams_do_not_outlive_their_main_process(product: Product, victim: str) -> None:
    orphans = product.workers()
    with httpx.stream("GET", f"{product.url}/slow?s=30", timeout=60) as stream:
        chunks = stream.iter_raw()
        next(chunks)
        os.kill(product.child("gateway") if victim == "gateway" else product.process.pid, signal.SIGKILL)
        wait_for(lambda: not any(is_alive(pid) for pid in orphans), 5)
        with pytest.raises(httpx.HTTPError):
            for _ in chunks:
                pass


def test_workers_that_die_together_and_again_are_replaced_while_the_server_lives_on(product: Product) -> None:
    main = product.child("gateway")
    for _ in range(3):
        before = product.workers()
        assert len(before) == 2
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda before=before: len(set(product.workers()) - set(before)) == 2 and product.answers(), 5)
    assert product.child("gateway") == main


def test_workers_that_cannot_start_do_not_end_the_product(make: Make, tmp_path: Path) -> None:
    product = make(tmp_path, STUB_BROKEN_WORKERS="1")
    wait_for(lambda: product.errors.count("is started again") >= 4, 10)
    assert product.process.poll() is None
    assert product.child("admin")
    assert product.stop() == 0


def test_a_kill_of_the_supervisor_leaves_nothing_and_the_next_start_works(make: Make, tmp_path: Path) -> None:
    first = make(tmp_path).wait_ready()
    tree = first.tree()
    assert len(tree) == 6
    first.process.kill()
    wait_for(lambda: not any(is_alive(pid) for pid in tree), 5)
    second = make(tmp_path, PORT=str(first.port)).wait_ready()
    assert second.stop() == 0


def test_a_second_serve_names_the_first_and_exits_1(make: Make, tmp_path: Path) -> None:
    first = make(tmp_path).wait_ready()
    valkey = first.child("valkey")
    second = make(tmp_path)
    assert second.wait() == 1
    assert f"in use by process {first.process.pid}" in second.errors
    assert first.child("valkey") == valkey
    assert first.answers()


def test_a_valkey_that_outlives_its_supervisor_keeps_the_data_dir_until_it_ends(make: Make, tmp_path: Path) -> None:
    first = make(tmp_path).wait_ready()
    valkey = first.child("valkey")
    assert valkey
    os.kill(valkey, signal.SIGSTOP)
    first.process.kill()
    second = make(tmp_path)
    time.sleep(1.5)
    assert second.process.poll() is None
    assert not second.child("valkey")
    os.kill(valkey, signal.SIGCONT)
    second.wait_ready()
    assert second.child("valkey") not in (0, valkey)
    assert not is_alive(valkey)


def test_sighup_reaches_the_admin_process(product: Product) -> None:
    product.process.send_signal(signal.SIGHUP)
    wait_for((product.data_dir / "reloads").exists, 3)
    assert product.answers()


def test_a_terminal_that_is_closed_is_a_stop_signal(tmp_path: Path) -> None:
    environment = {
        **clean_environment(),
        "DATA_DIR": str(tmp_path),
        "PORT": str(free_port()),
        "OMNIROUTE_METRICS_PORT": str(free_port()),
    }
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(REPOSITORY)
        os.execve(sys.executable, [sys.executable, "-m", STUB, "serve"], environment)
    shown = b""
    while b"is ready" not in shown:
        shown += os.read(terminal, 4096)
    children = [child for child, parent, _ in processes() if parent == pid]
    assert len(children) == 4
    os.close(terminal)
    wait_for(lambda: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT), 10)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    wait_for(lambda: not any(is_alive(child) for child in children), 1)


def test_a_running_stream_ends_whole_while_new_callers_are_refused(product: Product) -> None:
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(product.get("/slow?s=2", 10).content))
    reader.start()
    time.sleep(0.5)
    product.process.send_signal(signal.SIGTERM)
    wait_for(lambda: not product.answers(), 1)
    assert product.child("valkey")
    assert product.wait() == 0
    reader.join(5)
    assert received[0].count(b"data: chunk") == 40


def test_a_stream_beyond_the_deadline_does_not_hold_up_the_end(make: Make, tmp_path: Path) -> None:
    product = make(tmp_path, SHUTDOWN_TIMEOUT_S="1").wait_ready()
    with httpx.stream("GET", f"{product.url}/slow?s=30", timeout=60) as stream:
        chunks = stream.iter_raw()
        next(chunks)
        before = time.monotonic()
        assert product.stop() == 0
        assert 2.5 < time.monotonic() - before < 25, "and not the 30 s of the stream"


def test_the_drain_notice_comes_before_the_delay_and_workers_serve_through_it(make: Make, tmp_path: Path) -> None:
    product = make(tmp_path, SHUTDOWN_DELAY_S="1", SHUTDOWN_TIMEOUT_S="5").wait_ready()
    product.process.send_signal(signal.SIGTERM)
    notice = tmp_path / "run" / "draining"
    wait_for(notice.exists, 0.5)
    assert '"deadline"' in notice.read_text()
    assert product.answers()
    assert product.wait() == 0


def test_a_second_signal_ends_at_once(make: Make, tmp_path: Path) -> None:
    product = make(tmp_path).wait_ready()
    tree = product.tree()
    with httpx.stream("GET", f"{product.url}/slow?s=30", timeout=60) as stream:
        chunks = stream.iter_raw()
        next(chunks)
        product.process.send_signal(signal.SIGTERM)
        time.sleep(0.7)
        assert product.process.poll() is None
        before = time.monotonic()
        assert product.stop(signal.SIGINT) == 130
        assert time.monotonic() - before < 20, "and not the 30 s of the stream"
    wait_for(lambda: not any(is_alive(pid) for pid in tree), 2)


@pytest.mark.parametrize("after_s", [0.0, 0.15, 0.3])
def test_a_stop_signal_during_the_start_is_not_lost(make: Make, tmp_path: Path, after_s: float) -> None:
    product = make(tmp_path)
    wait_for(lambda: next(tmp_path.rglob("valkey.log"), None), 20)  # before that the interpreter itself is starting
    time.sleep(after_s)
    assert product.stop(limit_s=5) == 0
    assert not product.tree()


@pytest.mark.parametrize("after_s", [0.0, 0.15, 0.3])
def test_a_stop_signal_while_a_worker_is_being_replaced_is_not_lost(product: Product, after_s: float) -> None:
    before = product.workers()[0]
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: len(set(product.workers()) - {before}) == 2, 3)
    time.sleep(after_s)
    assert product.stop(limit_s=5) == 0


def test_counters_outlive_a_worker_and_its_gauges_do_not(product: Product) -> None:
    for _ in range(5):
        product.get("/count")
    assert product.metrics()["stub_calls_total"] == 5
    before = product.workers()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: product.answers() and not set(before) & set(product.workers()), 5)
    product.get("/count")
    figures = product.metrics()
    assert figures["stub_calls_total"] == 6
    assert figures["omniroute_worker_restarts_total"] == 2
    wait_for(lambda: product.metrics()["stub_alive"] == 2, 3)
    assert product.metrics()['omniroute_up{process="valkey"}'] == 1
    folder = product.data_dir / "run" / "metrics"
    assert not [path for path in folder.iterdir() if any(str(pid) in path.name for pid in before)]


@pytest.mark.parametrize("variable", ["PORT", "OMNIROUTE_METRICS_PORT"])
def test_a_port_in_use_is_told_and_nothing_is_left(make: Make, tmp_path: Path, variable: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        product = make(tmp_path, **{variable: str(port)})
        assert product.wait() == 1
    assert f"127.0.0.1:{port}" in product.errors
    assert "in use" in product.errors
    assert "Traceback" not in product.errors


def test_a_deep_data_dir_gets_its_sockets_elsewhere(make: Make, tmp_path: Path) -> None:
    product = make(tmp_path / ("deep" * 20) / ("deeper" * 10)).wait_ready()
    address = product.get("/").text.split()[1]
    assert address.startswith("unix:///tmp/omniroute-")
    folder = Path(address.removeprefix("unix://")).parent
    assert folder.stat().st_mode & 0o777 == 0o700
    assert product.stop() == 0
    shutil.rmtree(folder)


def test_valkey_sees_no_secret_and_no_other_child_holds_the_lock(product: Product) -> None:
    names = Path(f"/proc/{product.child('valkey')}/environ").read_bytes()
    assert b"STORAGE_ENCRYPTION_KEY" not in names
    lock = str(product.data_dir / "omniroute.lock")
    holders = {
        pid for pid, _, _ in processes() if pid in {*product.tree(), product.process.pid} and lock in open_files(pid)
    }
    assert holders == {product.process.pid, product.child("valkey"), product.child("cache")}


def test_api_port_takes_the_callers(make: Make, tmp_path: Path) -> None:
    api_port = free_port()
    product = make(tmp_path, API_PORT=str(api_port)).wait_ready()
    assert httpx.get(f"http://127.0.0.1:{api_port}/readyz", timeout=60).status_code == 200
    with pytest.raises(httpx.ConnectError):
        product.get("/readyz")


def open_files(pid: int) -> set[str]:
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.add(str(link.readlink()))
        except OSError:
            continue
    return found


def test_gateway_runs_workers_and_metrics_only(make: Make, tmp_path: Path) -> None:
    secrets = {"API_KEY_SECRET": "pepper", "STORAGE_ENCRYPTION_KEY": "ab" * 32}
    product = make(tmp_path, role="gateway", REDIS_URL="redis://127.0.0.1:1/0", **secrets).wait_ready()
    assert len(product.tree()) == 3
    assert product.get("/").text.split()[1] == "redis://127.0.0.1:1/0"
    assert product.metrics()['omniroute_up{process="gateway"}'] == 1
    assert not (tmp_path / "secrets.json").exists()
    assert product.stop() == 0


def test_admin_runs_the_admin_process_only(make: Make, tmp_path: Path) -> None:
    shared = {
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "DATABASE_URL": "postgresql+asyncpg://127.0.0.1:1/x",
        "API_KEY_SECRET": "pepper",
        "STORAGE_ENCRYPTION_KEY": "ab" * 32,
    }
    product = make(tmp_path, role="admin", **shared).wait_ready()
    assert len(product.tree()) == 1
    assert product.stop() == 0


@pytest.mark.parametrize("role", ["gateway", "admin"])
def test_what_replicas_share_is_required_and_never_made_up(make: Make, tmp_path: Path, role: str) -> None:
    product = make(tmp_path, role=role)
    assert product.wait() == 1
    for name in ("REDIS_URL", "API_KEY_SECRET", "STORAGE_ENCRYPTION_KEY"):
        assert name in product.errors
    assert not (tmp_path / "secrets.json").exists()
