"""Starts the product, or a part of it with stubs, as real processes on free ports in a data dir of its own.

`Product` knows the tree below the supervisor, so a test can end one process by its role and look what is left.
"""

import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from tests.support.patience import PATIENCE

STUB = "tests.support.serve_stub"
"""Real supervisor, Valkey and granian; stub application and stub admin."""
REAL = "gateway"
REPOSITORY = Path(__file__).parents[2]
START_LIMIT_S = 30.0
FIRST_PORT, PORTS, SHARES = 12_000, 4_000, 5
_asked = itertools.count(os.getpid() * 97)
"""Where to look next: two runs at once begin apart."""


class Product:
    """One run of `python -m <module> <role>`, of the code in `tree`. Ends with `stop`; `products` below makes sure of it."""

    def __init__(
        self, data_dir: Path, module: str = STUB, role: str = "serve", tree: Path = REPOSITORY, **variables: str
    ) -> None:
        self.data_dir = data_dir
        self.port = int(variables.get("PORT", 0)) or free_port()
        self.metrics_port = int(variables.get("OMNIROUTE_METRICS_PORT", 0)) or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.output = ""
        self.errors = ""
        environment = {
            **clean_environment(),
            "PYTHONPATH": str(tree),
            "DATA_DIR": str(data_dir),
            "PORT": str(self.port),
            "OMNIROUTE_METRICS_PORT": str(self.metrics_port),
            "OMNIROUTE_WORKERS": "2",
            "OMNIROUTE_NO_OPEN": "true",
            **variables,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, role],
            env=environment,
            cwd=tree,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._readers = [
            threading.Thread(target=self._read, args=(name,), daemon=True) for name in ("stdout", "stderr")
        ]
        for reader in self._readers:
            reader.start()

    def wait_ready(self) -> "Product":
        wait_for(lambda: "is ready" in self.output or self._failed(), START_LIMIT_S, lambda: self.errors)
        return self

    def wait(self, limit_s: float = 20.0) -> int:
        """Wait for the supervisor's end; its exit code."""
        code = self.process.wait(limit_s * PATIENCE)
        for reader in self._readers:
            reader.join(10)
        return code

    def stop(self, signum: int = signal.SIGTERM, limit_s: float = 20.0) -> int:
        self.process.send_signal(signum)
        return self.wait(limit_s)

    def child(self, name: str) -> int:
        """Process id of a child by its role: valkey, admin, gateway (the server's main process); 0 if it is away."""
        patterns = {
            "valkey": r"/valkey-server .*valkey\.sock",
            "cache": r"/valkey-server .*cache\.sock",
            "admin": r" -m \S*admin",
            "gateway": r" -m \S*workers$",
        }
        for pid, parent, command in processes():
            if parent == self.process.pid and "tied_exec" not in command and re.search(patterns[name], command):
                return pid
        return 0

    def workers(self) -> list[int]:
        main = self.child("gateway")
        return [pid for pid, parent, _ in processes() if main and parent == main]

    def tree(self) -> list[int]:
        """Every process below the supervisor."""
        found, table = {self.process.pid}, processes()
        for _ in table:
            found |= {pid for pid, parent, _ in table if parent in found}
        return sorted(found - {self.process.pid})

    def kill(self, name: str) -> int:
        """End a child the hard way; its process id."""
        pid = self.child(name)
        assert pid > 0, f"{name} does not run: {processes_below(self.process.pid)}"
        os.kill(pid, signal.SIGKILL)
        return pid

    def get(self, path: str, limit_s: float = 15.0) -> httpx.Response:
        return httpx.get(self.url + path, timeout=limit_s)

    def answers(self, path: str = "/readyz") -> bool:
        try:
            return self.get(path).status_code == 200
        except httpx.HTTPError:
            return False

    def metrics(self) -> dict[str, float]:
        text = httpx.get(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=30).text
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, value in lines}

    def end_all(self) -> None:
        """End whatever is left of it, by process id."""
        for pid in [*self.tree(), self.process.pid]:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        self.wait()

    def _failed(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"the product ended with {self.process.returncode}:\n{self.output}\n{self.errors}")
        return False

    def _read(self, name: str) -> None:
        pipe = getattr(self.process, name)
        for line in pipe:
            if name == "stdout":
                self.output += line
            else:
                self.errors += line
        pipe.close()


@contextmanager
def products() -> Iterator[Callable[..., Product]]:
    """A maker of products that ends all it made."""
    made: list[Product] = []

    def make(*arguments: object, **variables: object) -> Product:
        made.append(Product(*arguments, **variables))  # type: ignore[arg-type]  # passed through as they are
        return made[-1]

    try:
        yield make
    finally:
        for product in made:
            product.end_all()


def clean_environment() -> Mapping[str, str]:
    """Of this tree: an installed package of the same name may be another one."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV")}
    return kept | {"PYTHONPATH": str(REPOSITORY)}


def free_port() -> int:
    """One that nobody has, nor is given meanwhile: below those that the kernel deals out to connections, each process of a run from its own."""
    first = FIRST_PORT + PORTS * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % SHARES)
    for _ in range(PORTS):
        port = first + next(_asked) % PORTS
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def processes() -> list[tuple[int, int, str]]:
    """(pid, parent, command line) of every process that is not a zombie."""
    found = []
    for one in Path("/proc").iterdir():
        if not one.name.isdigit() or (parent := _parent(int(one.name))) is None:
            continue
        with suppress(OSError):  # it has ended meanwhile
            command = (one / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").rstrip()
            found.append((int(one.name), parent, command))
    return found


def processes_below(parent: int) -> list[tuple[int, str]]:
    return [(pid, command) for pid, other, command in processes() if other == parent]


def is_alive(pid: int) -> bool:
    return _parent(pid) is not None


def _parent(pid: int) -> int | None:
    """Of a process that runs. Asked twenty times a second while tests wait, so no program is started for it."""
    try:
        state, parent = Path("/proc", str(pid), "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return None if state in "ZX" else int(parent)


def wait_for(condition: Callable[[], object], limit_s: float, explain: Callable[[], str] = lambda: "") -> None:
    deadline = time.monotonic() + limit_s * PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen within {limit_s * PATIENCE} s. {explain()}")
        time.sleep(0.05)
