"""One product per data dir: a lock file whose descriptor is handed on to the embedded Valkey only.

The lock is free when the supervisor *and* Valkey have ended, so a second server never opens the same files, and
never takes over the socket of a first one that still lives (Valkey would let it).
"""

import fcntl
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

WAIT_S = 5.0
"""Long enough for a predecessor that was killed to take its Valkey with it."""
_POLL_S = 0.05


class DataDirInUse(RuntimeError):
    """Another process holds the data dir. The message says which."""


@dataclass(frozen=True, slots=True)
class DataDirLock:
    """A lock that is held. `descriptor` may be inherited by Valkey and by nothing else."""

    path: Path
    descriptor: int

    def release(self) -> None:
        """Let go of our share; a Valkey that has it too keeps the lock."""
        os.close(self.descriptor)


def take_data_dir_lock(path: Path, wait_s: float = WAIT_S, sleep: Callable[[float], None] = time.sleep) -> DataDirLock:
    """Take the lock, waiting at most `wait_s`. Raises DataDirInUse."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + wait_s
    while not _is_taken(descriptor):
        if time.monotonic() >= deadline:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace")
            os.close(descriptor)
            raise DataDirInUse(_refusal(path, holder))
        sleep(_POLL_S)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()} {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n".encode(), 0)
    return DataDirLock(path, descriptor)


def _is_taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _refusal(path: Path, holder: str) -> str:
    pid, _, since = holder.strip().partition(" ")
    who = f"process {pid}, started {since}" if pid.isdecimal() else "another process"
    return f"the data dir {path.parent} is in use by {who}: stop it first, or choose another one with --data-dir"
