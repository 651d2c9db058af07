"""SQLite files as wholes: copy one while it is in use, check one, and pour one into the database that is in use.

(`postgres_copies.py` makes the same files from PostgreSQL.) Everything here blocks and is called in a thread. A copy is made by SQLite's own backup: one consistent view, whatever is
written meanwhile. Pouring is one transaction of SQLite: a process that is killed on the way leaves the old contents.
"""

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

HEAD = b"SQLite format 3\x00"
FACTS = "backup_facts"
"""The table that a backup has beside ours: what it is of."""

_WRITE_LIMIT_S = 30.0
_DONE = 101
_SPARE_BYTES = 1 << 20
ADDED_ROWS = ("request_records", "request_bodies", "rejected_records", "audit_log")
NEWER_ROWS = ("usage_sums", "latency_counts", "usage_tops")


class BackupFailed(Exception):
    """A file could not be written; nothing of it was left behind. The message says why."""


class BadDatabase(Exception):
    """A file that is no database, is damaged, or is not one of ours. The message says which."""


def copy_live(live: Path, target: Path, facts: dict[str, str]) -> int:
    """Copy a database that is in use to a new file (0600) that appears whole or not at all; its size in bytes.

    Raises BackupFailed.
    """
    partial = target.with_suffix(".partial")
    try:
        require_space(target.parent, size_on_disk(live))
        os.close(os.open(partial, os.O_CREAT | os.O_TRUNC | os.O_RDWR | os.O_CLOEXEC, 0o600))
        with closing(_connect(live)) as source, closing(sqlite3.connect(partial)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
            write_facts(copy, facts)
            copy.commit()
        return set_in_place(partial, target)
    except (OSError, sqlite3.Error) as error:
        raise BackupFailed(f"cannot write {target.name} in {target.parent}: {told(error)}") from error
    finally:
        partial.unlink(missing_ok=True)


def set_in_place(partial: Path, target: Path) -> int:
    """Let a file that is whole appear under its name, also after a power cut; its size in bytes. Raises OSError."""
    _sync(partial)
    partial.replace(target)
    _sync(target.parent)
    return target.stat().st_size


def copy_foreign(source: Path, target: Path) -> None:
    """Copy a database that is not ours without touching it, with what stands in its write-ahead log.

    SQLite would write files beside it even to read; so its bytes are copied. Raises BackupFailed, or BadDatabase.
    """
    try:
        with source.open("rb") as file:
            if file.read(len(HEAD)) != HEAD:
                raise BadDatabase("it is not a SQLite database")
        log = Path(f"{source}-wal")
        require_space(target.parent, source.stat().st_size + (log.stat().st_size if log.exists() else 0))
        shutil.copyfile(source, target)
        if log.exists():
            shutil.copyfile(log, f"{target}-wal")
        target.chmod(0o600)
    except OSError as error:
        raise BackupFailed(f"cannot copy {source}: {told(error)}") from error


def check_intact(path: Path) -> frozenset[str]:
    """The names of a database's tables, when it is whole. Raises BadDatabase."""
    try:
        with path.open("rb") as file:
            if file.read(len(HEAD)) != HEAD:
                raise BadDatabase("it is not a SQLite database")
        with closing(_connect(path)) as connection:
            (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if found != "ok":
                raise BadDatabase(f"it is damaged: {found}"[:300])
            return frozenset(
                name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
            )
    except sqlite3.Error as error:
        raise BadDatabase(f"it cannot be read: {error}") from error
    except OSError as error:
        raise BadDatabase(f"it cannot be read: {error.strerror}") from error


def read_facts(path: Path) -> dict[str, str]:
    """What a backup says of itself; empty for a database that is no backup."""
    with closing(_connect(path)) as connection:
        try:
            return dict(connection.execute(f"SELECT name, value FROM {FACTS}"))  # noqa: S608  (a constant)
        except sqlite3.Error:
            return {}


def count_rows(path: Path, *tables: str) -> dict[str, int]:
    """Rows of some of our tables. Raises BadDatabase."""
    try:
        with closing(_connect(path)) as connection:
            return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}  # noqa: S608  (constants)
    except sqlite3.Error as error:
        raise BadDatabase(f"it cannot be read: {error}") from error


def keep_what_happened(staged: Path, live: Path) -> None:
    """Add the ledger and the audit log of `live` to a file that is to take its place: a restore undoes no bill.

    Both have the same schema. Sums are those of `live`, all of them: they hold what the older ones do, in other spans by now.
    Raises BackupFailed.
    """
    with _writing(staged) as connection:
        connection.execute("ATTACH DATABASE ? AS live", (f"file:{_quoted(live)}?mode=rw",))
        connection.execute("BEGIN IMMEDIATE")
        there = _tables_of(connection, "main") & _tables_of(connection, "live")
        for name in (name for name in (*ADDED_ROWS, *NEWER_ROWS) if name in there):
            if name in NEWER_ROWS:
                connection.execute(f"DELETE FROM main.{name}")  # noqa: S608  (names of our own schema)
            columns = ", ".join(f'"{row[1]}"' for row in connection.execute(f"PRAGMA main.table_info({name})"))
            connection.execute(f"INSERT OR IGNORE INTO main.{name} ({columns}) SELECT {columns} FROM live.{name}")  # noqa: S608  (the same)
        connection.execute("COMMIT")


def pour(staged: Path, live: Path) -> None:
    """Give the database in use the contents of `staged`, at once: readers see the old or the new, a crash leaves the old.

    Writers of other processes wait meanwhile. Raises BackupFailed.
    """
    deadline = time.monotonic() + _WRITE_LIMIT_S

    def give_up(status: int, _left: int, _pages: int) -> None:
        if status != _DONE and time.monotonic() > deadline:
            raise TimeoutError("another process holds the database")

    with _writing(staged) as source, _writing(live) as target:
        try:
            require_space(live.parent, size_on_disk(staged))
            source.backup(target, progress=give_up, sleep=0.05)
        except (OSError, TimeoutError) as error:
            raise BackupFailed(f"cannot write {live.name}: {told(error)}") from error


def size_on_disk(path: Path) -> int:
    """Bytes of a database with its write-ahead log."""
    log = Path(f"{path}-wal")
    return path.stat().st_size + (log.stat().st_size if log.exists() else 0)


@contextmanager
def _writing(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(_connect(path, "rw")) as connection:
            connection.execute("PRAGMA synchronous=FULL")
            yield connection
    except sqlite3.Error as error:
        raise BackupFailed(f"cannot write {path.name}: {told(error)}") from error


def _connect(path: Path, mode: str = "rw") -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{_quoted(path)}?mode={mode}", uri=True, timeout=_WRITE_LIMIT_S)
    connection.isolation_level = None
    return connection


def _quoted(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _tables_of(connection: sqlite3.Connection, schema: str) -> set[str]:
    return {name for (name,) in connection.execute(f"SELECT name FROM {schema}.sqlite_master WHERE type='table'")}  # noqa: S608  (one of two constants)


def write_facts(connection: sqlite3.Connection, facts: dict[str, str]) -> None:
    """Say in a backup what it is of. The caller owns the transaction."""
    connection.execute(f"CREATE TABLE IF NOT EXISTS {FACTS} (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
    connection.executemany(f"INSERT OR REPLACE INTO {FACTS} VALUES (?, ?)", facts.items())  # noqa: S608  (a constant)


def require_space(folder: Path, size: int) -> None:
    """Raises OSError when so many bytes have no room there."""
    if shutil.disk_usage(folder).free < size + _SPARE_BYTES:
        raise OSError(28, f"the disk is full: {(size + _SPARE_BYTES) >> 20} MiB are needed")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def told(error: Exception) -> str:
    """What went wrong with a file, in a few words."""
    if isinstance(error, OSError) and error.errno == 28:
        said = error.strerror or ""
        return said if said.startswith("the disk") else "the disk is full"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "the disk is full" if "disk is full" in str(error) else str(error)
