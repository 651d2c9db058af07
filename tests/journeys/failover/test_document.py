"""The page on fail-over."""

from pathlib import Path

from tests.journeys.failover.cells import PAIRS, SCENARIOS, cells
from tests.journeys.failover.document import document
from tests.journeys.failover.hear import CALLERS

DOCUMENT = Path(__file__).parents[3] / "docs/failover.md"


def test_the_document_is_fresh() -> None:
    assert DOCUMENT.read_text() == document(), "run: python -m tests.journeys.failover.document"


def test_no_cell_is_there_twice() -> None:
    found = [cell.id for cell in cells()]
    assert len(set(found)) == len(found)


def test_every_caller_meets_every_scenario() -> None:
    met = {(cell.scenario.name, cell.caller) for cell in cells()}
    assert met == {(scenario.name, caller) for scenario in SCENARIOS for caller in CALLERS}


def test_every_caller_has_a_fallback_of_its_own_dialect_and_one_of_another() -> None:
    for caller, pairs in PAIRS.items():
        assert (caller, caller) in pairs
        assert any(fallback != caller for _, fallback in pairs)
        assert any(first != caller for first, _ in pairs)
