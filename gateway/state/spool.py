"""Records on disk, for when Redis cannot take them: one JSON record a line, appended before the answer's last byte.

The owner holds an exclusive `flock` on its file; whoever can lock a file (the owner's successor, or the ledger job
of the control plane) may hand its lines over and delete it. Ids make a line that arrives twice count once.
"""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

MAX_SPOOL_BYTES = 1 << 30
MAX_FILE_BYTES = 16 << 20
"""A file that has grown to this is let go and another begun: whoever takes one over reads it whole."""


class SpoolFull(Exception):
    """The spool folder holds its bound already."""


class Spool:
    """The append side of one worker. No file exists until the first record needs one."""

    def __init__(self, folder: Path, worker: str) -> None:
        self._folder = folder
        self._worker = worker
        self._descriptor: int | None = None
        self._part = 0
        self._file_bytes = 0
        self._written = 0

    def append(self, record: bytes) -> None:
        """Write one record; it survives the end of this process, though not a power cut. Raises SpoolFull, OSError."""
        if self._written + len(record) > MAX_SPOOL_BYTES:
            raise SpoolFull
        if self._descriptor is None:
            self._descriptor = self._open()
        line = record + b"\n"
        if os.write(self._descriptor, line) != len(line):
            raise SpoolFull  # the disk is: the line is cut, and no reader takes it for whole
        self._written += len(record) + 1
        self._file_bytes += len(record) + 1
        if self._file_bytes >= MAX_FILE_BYTES:
            self._close()

    def release(self) -> None:
        """Close the file, so that anybody may take it over. The next record begins another."""
        self._close()
        self._written = 0

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            self._file_bytes = 0

    def _open(self) -> int:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._part += 1
        path = self._folder / f"{self._worker}-{self._part}.ndjson"
        unlocked = path.with_suffix(".new")  # nobody may see the file before it is locked
        descriptor = os.open(unlocked, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        unlocked.rename(path)
        return descriptor


def adoptable(folder: Path) -> Iterator[tuple[Path, list[bytes]]]:
    """Each file that nobody owns, locked while the caller handles it, with its whole lines.

    A last line cut by a crash is left out: its answer's last byte was never sent. The caller deletes the file
    when all lines have been handed over.
    """
    for path in sorted(folder.glob("*.ndjson")):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield path, [line for line in path.read_bytes().split(b"\n")[:-1] if line]
        except (BlockingIOError, FileNotFoundError):
            continue
        finally:
            os.close(descriptor)
