"""The page on metrics."""

from pathlib import Path

from gateway.telemetry.document import metrics_document
from gateway.telemetry.metrics import DEFINITIONS

DOCUMENT = Path(__file__).parents[3] / "docs/metrics.md"


def test_the_document_is_fresh() -> None:
    assert DOCUMENT.read_text() == metrics_document(DEFINITIONS), "run: python -m gateway.telemetry.document"


def test_every_metric_has_a_row() -> None:
    rows = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `omniroute_")]
    assert len(rows) == len(DEFINITIONS)
