"""The table of attacks and failures in docs/security.md names tests that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs/security.md").read_text().partition("## What is tested where")[2]
ROWS = [line.split("|")[1:3] for line in TABLE.splitlines() if line.startswith("|") and "`" in line]


def named(cell: str) -> list[str]:
    """Files below `tests/`; one without a folder is in that of the one before it."""
    found: list[str] = []
    for name in re.findall(r"`([\w/]+\.py)`", cell):
        folder = "" if "/" in name or not found else found[-1].rpartition("/")[0] + "/"
        found.append(folder + name)
    return found


@pytest.mark.parametrize(("what", "where"), ROWS, ids=[what.strip()[:40] for what, _ in ROWS])
def test_what_stands_in_the_table_is_there(what: str, where: str) -> None:
    files = named(where)
    assert files, f"no test is named for: {what}"
    for file in files:
        text = (ROOT / "tests" / file).read_text()
        assert "def test_" in text, file


def test_the_table_is_found() -> None:
    assert len(ROWS) >= 15
