"""The page on metrics."""

from pathlib import Path

from gateway.telemetry.document import metrics_document
from gateway.telemetry.metrics import CONTROL_DEFINITIONS, DEFINITIONS, PROCESS_DEFINITIONS

DOCUMENT = Path(__file__).parents[3] / "docs/metrics.md"


def test_the_document_is_fresh() -> None:
    assert DOCUMENT.read_text() == metrics_document(DEFINITIONS, CONTROL_DEFINITIONS), (
        "run: python -m gateway.telemetry.document"
    )


def test_every_metric_has_a_row() -> None:
    rows = {line.split("`")[1] for line in DOCUMENT.read_text().splitlines() if line.startswith("| `omniroute_")}
    defined = {*DEFINITIONS, *CONTROL_DEFINITIONS}
    assert {one.name + ("_total" if one.kind == "counter" else "") for one in defined} <= rows
    assert len(rows) == len(DEFINITIONS) + len(CONTROL_DEFINITIONS) - len(PROCESS_DEFINITIONS) + 4
