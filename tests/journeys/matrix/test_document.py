"""The page on dialects."""

from pathlib import Path

from tests.journeys.matrix.cells import CASES, DROPPED, IMPOSSIBLE, PROVIDERS, cells
from tests.journeys.matrix.document import document

DOCUMENT = Path(__file__).parents[3] / "docs/dialects.md"


def test_the_document_is_fresh() -> None:
    assert DOCUMENT.read_text() == document(), "run: python -m tests.journeys.matrix.document"


def test_no_cell_is_left_out() -> None:
    found = list(cells())
    assert len({cell.id for cell in found}) == len(found) == len(CASES) * 5 * len(PROVIDERS)


def test_every_reason_is_one_of_a_cell() -> None:
    assert [one for one in IMPOSSIBLE if not any(one.matches(cell) for cell in cells())] == []


def test_what_is_dropped_is_told_of_every_pair() -> None:
    pairs = {(cell.caller, cell.provider) for cell in cells() if cell.case.name == "dropped" and not cell.reason}
    assert set(DROPPED) == pairs
