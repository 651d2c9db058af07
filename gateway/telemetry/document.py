"""Writes `docs/metrics.md` from the definitions: `python -m gateway.telemetry.document [FILE]`. Same metrics, same bytes."""

import sys
from collections.abc import Iterable
from pathlib import Path

from gateway.telemetry.metrics import DEFINITIONS, LATENCY_BUCKETS_S, Definition

DOCUMENT = Path("docs/metrics.md")

_HEAD = """\
# Metrics

Written by `python -m gateway.telemetry.document` from `gateway/telemetry/metrics.py`; do not edit.

Served at `/metrics` on the metrics port in the Prometheus text format, summed over all workers. Label values come from
the configuration and from closed lists, never from a caller. Counters end in `_total`, histograms give `_bucket`,
`_sum` and `_count`.

| name | kind | labels | of many workers | meaning |
|---|---|---|---|---|
"""
_MODES = {"livesum": "sum", "livemin": "smallest", "livemax": "largest"}


def metrics_document(definitions: Iterable[Definition]) -> str:
    """The whole page as Markdown."""
    buckets = ", ".join(f"{bucket:g}" for bucket in LATENCY_BUCKETS_S)
    return _HEAD + "".join(map(_row, definitions)) + f"\nBuckets of the histograms, in seconds: {buckets}.\n"


def _row(definition: Definition) -> str:
    name = definition.name + ("_total" if definition.kind == "counter" else "")
    labels = ", ".join(f"`{label}`" for label in definition.labels) or "none"
    mode = _MODES[definition.mode] if definition.kind == "gauge" else "sum"
    return f"| `{name}` | {definition.kind} | {labels} | {mode} | {definition.help} |\n"


if __name__ == "__main__":
    (Path(sys.argv[1]) if len(sys.argv) > 1 else DOCUMENT).write_text(metrics_document(DEFINITIONS))
