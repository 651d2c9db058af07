"""The data dir and the run dir: private folders, the latter short enough for unix sockets.

A unix socket's path holds about 108 bytes. A data dir deeper than that gets its run dir in a private folder under
/tmp whose name follows from the data dir, so that commands run later find the same one.
"""

import hashlib
import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path

from gateway.config.settings import BadSetting, Settings
from gateway.serve.drain import drain_notice

_LONGEST_SOCKET_PATH = 100
_LOG_LIMIT_BYTES = 1_048_576
_VALKEY_SOCKET = "valkey.sock"
_CACHE_SOCKET = "cache.sock"
_SHORT_ROOT = Path("/tmp")  # noqa: S108  (the folder made there is ours, 0700, and checked to be)


def with_usable_run_dir(settings: Settings, role: str) -> Settings:
    """Choose the run dir of this role, `serve`, `gateway` or `admin`: they may share a data dir, never a run dir."""
    if settings.run_dir_override is not None:
        return settings
    wanted = settings.run_dir if role == "serve" else settings.data_dir / f"run-{role}"
    if len(os.fsencode(wanted / _VALKEY_SOCKET)) > _LONGEST_SOCKET_PATH:
        name = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:16]
        wanted = _SHORT_ROOT / f"omniroute-{os.getuid()}-{name}"
    return replace(settings, run_dir_override=wanted)


def make_data_dir(folder: Path) -> None:
    """Make the data dir, for us alone. One that exists (a mounted volume) stays as it is. Raises BadSetting."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadSetting(f"cannot use {folder} as the data dir: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadSetting(f"cannot write to the data dir {folder}: choose another one with --data-dir")


def make_private(folder: Path) -> None:
    """Make a folder of ours that only we can enter. Raises BadSetting when somebody else's stands there."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise BadSetting(f"{folder} is not a folder of ours: remove it, or choose another --data-dir")
        if stat.S_IMODE(found.st_mode) & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        raise BadSetting(f"cannot use the folder {folder}: {error.strerror}") from error


def empty_run_dir(settings: Settings) -> None:
    """Begin a run: no notice, no figures and no sockets of the one before. Only the holder of the lock may do this."""
    make_private(settings.run_dir)
    shutil.rmtree(settings.metrics_dir, ignore_errors=True)
    settings.metrics_dir.mkdir(mode=0o700)
    for leftover in (drain_notice(settings), settings.admin_socket):
        leftover.unlink(missing_ok=True)


def valkey_socket(settings: Settings) -> Path:
    """Unix socket of the embedded Valkey."""
    return settings.run_dir / _VALKEY_SOCKET


def cache_socket(settings: Settings) -> Path:
    """Unix socket of the embedded cache store."""
    return settings.run_dir / _CACHE_SOCKET


def open_bounded_log(path: Path) -> int:
    """A descriptor that appends to `path`; a file grown large is begun anew."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    if os.fstat(descriptor).st_size > _LOG_LIMIT_BYTES:
        os.ftruncate(descriptor, 0)
    return descriptor
