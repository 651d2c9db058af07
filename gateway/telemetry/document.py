"""Writes `docs/metrics.md` from the definitions: `python -m gateway.telemetry.document [FILE]`. Same metrics, same bytes."""

import sys
from collections.abc import Iterable
from pathlib import Path

from gateway.telemetry.metrics import (
    CONTROL_DEFINITIONS,
    DEFINITIONS,
    LATENCY_BUCKETS_S,
    MAX_KEYS,
    MAX_SERIES,
    OVERHEAD_BUCKETS_S,
    PROCESS_DEFINITIONS,
    Definition,
)

DOCUMENT = Path("docs/metrics.md")

_HEAD = f"""\
# Metrics

Written by `python -m gateway.telemetry.document` from `gateway/telemetry/metrics.py`; do not edit.

Served at `/metrics` on the metrics port in the Prometheus text format, summed over all workers. Label values come from
the configuration and from closed lists, never from a caller. Counters end in `_total`, histograms give `_bucket`,
`_sum` and `_count`. What uses them: [observability.md](observability.md).

The number of series is bounded: {MAX_KEYS} keys a process have series of their own (the first ones that it serves), models only when
the configuration or a provider's data file names them, and no metric has more than {MAX_SERIES} label sets a process. Everything
else is counted under `other`, so sums are right.

## Of workers

| name | kind | labels | of many workers | meaning |
|---|---|---|---|---|
"""
_CONTROL = """
## Of the admin process

Gauges of several admin processes say the same: take the largest. They are looked at every few seconds.

| name | kind | labels | of many workers | meaning |
|---|---|---|---|---|
"""
_SUPERVISOR = """
## Of the supervisor

| name | kind | labels | of many workers | meaning |
|---|---|---|---|---|
| `omniroute_up` | gauge | `process` | one | 1 while the process runs. |
| `omniroute_process_restarts_total` | counter | `process` | one | Times the process ended and was started again. |
| `omniroute_worker_restarts_total` | counter | none | one | Workers that ended and were started again. |
| `omniroute_build_info` | gauge | `version` | one | 1, with the version that runs. |
"""
_MODES = {"livesum": "sum", "livemin": "smallest", "livemax": "largest"}


def metrics_document(definitions: Iterable[Definition], control: Iterable[Definition]) -> str:
    """The whole page as Markdown. `control`: those of the admin process."""
    rows = "".join(map(_row, definitions))
    of_admin = "".join(_row(one) for one in control if one not in PROCESS_DEFINITIONS)
    return (
        _HEAD
        + rows
        + f"\nBuckets of the histograms, in seconds: {_listed(LATENCY_BUCKETS_S)}; of the overhead: {_listed(OVERHEAD_BUCKETS_S)}.\n"
        + _CONTROL
        + of_admin
        + _SUPERVISOR
    )


def _listed(buckets: Iterable[float]) -> str:
    return ", ".join(f"{bucket:g}" for bucket in buckets)


def _row(definition: Definition) -> str:
    name = definition.name + ("_total" if definition.kind == "counter" else "")
    labels = ", ".join(f"`{label}`" for label in definition.labels) or "none"
    mode = _MODES[definition.mode] if definition.kind == "gauge" else "sum"
    return f"| `{name}` | {definition.kind} | {labels} | {mode} | {definition.help} |\n"


if __name__ == "__main__":
    (Path(sys.argv[1]) if len(sys.argv) > 1 else DOCUMENT).write_text(
        metrics_document(DEFINITIONS, CONTROL_DEFINITIONS)
    )
