"""How much waits in the spool folder."""

from pathlib import Path


def spool_bytes(folder: Path) -> int:
    """Bytes of all spool files, 0 when there is no folder."""
    total = 0
    for path in folder.glob("*.ndjson"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total
