"""The product as it was before the newest migration, out of the repository's own history."""

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from tests.support.product import REPOSITORY

MIGRATIONS = "admin_api/store/migrations/versions"


def older_tree(folder: Path) -> Path:
    """Unpack it into `folder`: the parent of the commit that brought the newest migration. Skips where there is no history."""
    newest = max(path.name for path in (REPOSITORY / MIGRATIONS).glob("[0-9]*.py"))
    added = _git("log", "--diff-filter=A", "--format=%H", "-1", "--", f"{MIGRATIONS}/{newest}").decode().strip()
    if not added:
        pytest.skip(f"{newest} is not committed yet, or the history is not here")
    packed = _git("archive", f"{added}~1", "gateway", "admin_api")
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    assert not (folder / MIGRATIONS / newest).exists()
    return folder


def _git(*arguments: str) -> bytes:
    done = subprocess.run(["git", "-C", str(REPOSITORY), *arguments], capture_output=True, timeout=60)
    if done.returncode:
        pytest.skip("the repository's history is not here")
    return done.stdout
