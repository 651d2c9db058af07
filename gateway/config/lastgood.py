"""The last good snapshot on disk, so that a worker can serve without Redis and without the admin process."""

import os
from pathlib import Path

from gateway.config.snapshot import Snapshot, UnreadableSnapshot, decode_snapshot

_FILE = "snapshot.json"


def save_lastgood(folder: Path, data: bytes) -> None:
    """Replace the file at once. Its secrets stay sealed. Several workers may do this: each writes the same."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = folder / f"{_FILE}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    temporary.replace(folder / _FILE)


def load_lastgood(folder: Path) -> Snapshot | None:
    """The last good snapshot; None when there is none that this version can read."""
    try:
        return decode_snapshot((folder / _FILE).read_bytes())
    except (OSError, UnreadableSnapshot):
        return None
