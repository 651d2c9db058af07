"""One process under supervision: started, watched, started again with growing delays, stopped with its whole group.

Every child leads its own session, so a signal to the terminal's group passes it by, and a signal to *its* group
reaches its own children too (the server's main process and its workers).
"""

import contextlib
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

    def __init__(self, name: str, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        self.name = name
        self.is_wanted = True
        self.restarts = 0
        self.due_at = 0.0
        self._start = start
        self._backoff = Backoff()
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0

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
        process = self._process
        if process is None or not _has_ended(process):
            return
        self.signal_group(signal.SIGKILL)
        code = process.wait()
        self._process = None
        if not self.is_wanted:
            return
        delay_s = self._backoff.delay_after(now - self._started_at)
        self.due_at = now + delay_s
        self.restarts += 1
        _log.error("process ended", process=self.name, pid=process.pid, code=code, restart_in_s=round(delay_s, 1))

    def signal(self, signum: int) -> None:
        """Send a signal to the process alone."""
        if self._process is not None:
            self._process.send_signal(signum)

    def signal_group(self, signum: int) -> None:
        """Send a signal to the process and all that it started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signum)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Look without reaping where that is possible: until then the group's id can belong to nothing else."""
    if sys.platform != "linux":
        return process.poll() is not None
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True
