"""How a SQLite file is doing: its sizes, and whether its pages are whole. Everything here blocks and is called in a thread."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

_STEPS = 100_000
"""Of SQLite's machine, between two looks whether to go on: some ms."""


class Stopped(Exception):
    """The check was told to stop; nothing is known."""


def file_sizes(path: Path) -> tuple[int, int]:
    """Bytes of a database and of its write-ahead log; 0 for what is not there."""
    return _size(path), _size(Path(f"{path}-wal"))


def find_damage(path: Path, should_stop: Callable[[], bool]) -> str:
    """What is wrong with the file's pages, empty when they are whole. Reads all of them. Raises Stopped.

    Writers go on meanwhile; the write-ahead log is not emptied until it ends.
    """
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5.0)) as connection:
            connection.set_progress_handler(should_stop, _STEPS)
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            return "" if found == "ok" else str(found)[:300]
    except sqlite3.OperationalError as error:
        if str(error) == "interrupted":
            raise Stopped from error
        return f"it cannot be read: {error}"
    except sqlite3.Error as error:
        return f"it cannot be read: {error}"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
