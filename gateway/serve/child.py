"""One process under supervision: started, watched, started again with growing delays, stopped with its whole group.

Every child leads its own session, so a signal to the terminal's group passes it by, and a signal to *its* group
reaches its own children too (the server's main process and its workers).
"""

import contextlib
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import structlog

from gateway.serve import tied_exec
from gateway.serve.backoff import Backoff

_log = structlog.get_logger()
_REAP_LIMIT_S = 2.0
_TIED_EXEC = Path(tied_exec.__file__)


def start_tied(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    death_signal: int,
    descriptors: Sequence[int] = (),
    output: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in its own session that gets `death_signal` when we end. Call it from the main thread.

    `descriptors` are all that it inherits; `output` takes its stdout and stderr, else it writes to ours.
    """
    tied = (sys.executable, "-I", "-S", str(_TIED_EXEC), str(os.getpid()), str(int(death_signal)), *arguments)
    return subprocess.Popen(
        tied,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        pass_fds=tuple(descriptors),
    )


class Child:
    """A process that should live: the supervisor asks it every round to notice its end and to start when due."""

    def __init__(self, name: str, start: Callable[[], subprocess.Popen[bytes]], *, orphan_limit_s: float = 0) -> None:
        """`orphan_limit_s`: what its own children get, after SIGTERM, when it has died under them."""
        self.name = name
        self.is_wanted = True
        self.restarts = 0
        self.due_at = 0.0
        self._start = start
        self._backoff = Backoff()
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._orphan_limit_s = orphan_limit_s
        self._remains: list[tuple[float, subprocess.Popen[bytes]]] = []

    @property
    def is_running(self) -> bool:
        return self._process is not None

    @property
    def is_due(self) -> bool:
        """Whether it waits for `due_at` to be started."""
        return self.is_wanted and self._process is None

    @property
    def pid(self) -> int:
        """Process id, which is its group's id as well; 0 while it does not run."""
        return self._process.pid if self._process else 0

    @property
    def pids(self) -> set[int]:
        """Process ids that it waits for: of what runs, and of what has ended before its own children."""
        return {process.pid for _, process in self._remains} | ({self._process.pid} if self._process else set())

    def start_if_due(self, now: float) -> None:
        """Start it when it should live, does not, and has waited long enough."""
        if self._process is not None or not self.is_wanted or now < self.due_at:
            return
        try:
            self._process = self._start()
        except OSError as error:
            self.due_at = now + self._backoff.delay_after(0)
            _log.error("process could not be started", process=self.name, error=str(error))
            return
        self._started_at = now
        _log.debug("process started", process=self.name, pid=self._process.pid)

    def notice_end(self, now: float) -> None:
        """If it has ended: end what is left of its group, and set the time of its next start."""
        self._bury(now)
        process = self._process
        how = _how_it_ended(process) if process else ""
        if process is None or not how:
            return
        self._process = None
        # Not reaped before its group is ended: until then the group's id can belong to nothing else.
        self._remains.append((now + self._orphan_limit_s if self.is_wanted else now, process))
        if sys.platform != "linux":
            # On Linux the kernel has told them already, and granian's workers hang when two signals come at once.
            _signal_group(process, signal.SIGTERM)
        self._bury(now)
        if not self.is_wanted:
            return
        delay_s = self._backoff.delay_after(now - self._started_at)
        self.due_at = now + delay_s
        self.restarts += 1
        _log.error("process ended", process=self.name, pid=process.pid, how=how, restart_in_s=round(delay_s, 1))

    def _bury(self, now: float) -> None:
        """Kill what outlived its leader for too long, and reap the leader."""
        for kill_at, process in self._remains:
            if now >= kill_at:
                _signal_group(process, signal.SIGKILL)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_REAP_LIMIT_S)
        self._remains = [(kill_at, process) for kill_at, process in self._remains if now < kill_at]

    def kill_all(self) -> None:
        """End it and all that it started, now."""
        self._remains += [(0.0, process) for process in (self._process,) if process]
        self._process = None
        self._bury(math.inf)

    def signal(self, signum: int) -> None:
        """Send a signal to the process alone."""
        if self._process is not None:
            self._process.send_signal(signum)


def _signal_group(process: subprocess.Popen[bytes], signum: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signum)


def _how_it_ended(process: subprocess.Popen[bytes]) -> str:
    """Empty while it runs. Looks without reaping, where the system can do that."""
    if sys.platform != "linux":
        code = process.poll()
        return "" if code is None else f"code {code}"
    try:
        end = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return "unknown"
    if end is None:
        return ""
    return f"exit code {end.si_status}" if end.si_code == os.CLD_EXITED else f"signal {end.si_status}"
