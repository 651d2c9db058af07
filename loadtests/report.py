"""The benchmark's tables and its JSON: figures beside the floor and beside the design's limits. It measures nothing."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadtests.summary import Summary, ratio_to
from loadtests.workloads import FLOOR_OF, MEMORY_STREAMS, PACE, TRANSLATED

Result = dict[str, Any]
"""What bench.json holds: about, summary, memory, workers, measurements."""

CPU_LIMITS_US = (
    ("product", "2KB-64", "worker_us", 170, 100),
    ("product", "2KB-64", "all_us", 250, 150),
    ("product", "cached-64", "worker_us", 150, 120),
    ("product-curl", "2KB-64", "worker_us", 260, 200),
    ("product", "100KB-8", "worker_us", 500, 500),
    ("product", "sse-500", "worker_us", 32, 21),
    ("product", "sse-500", "all_us", 40, 40),
    ("product", "sse-1000", "worker_us", 32, 21),
    ("product", "sse-1000", "all_us", 40, 40),
)
"""What the product must cost at most, and what it aims at, on a machine where floor-raw costs about 56 µs a request."""
ADDED_MS = {"lat_p50": (1.5, 0.7), "lat_p99": (8.0, 3.0)}
TRANSLATED_TIMES, TRANSLATED_ADDED_US = (1.3, 1.15), (3.0, 2.0)
"""A translated chunk beside one that passes unchanged: times where chunks are paced, µs more where they come in heaps."""
PILED_UP = 1.25
"""Chunks a read, from which on a paced load is no longer one."""
IDLE_MB, STREAM_KB, READY_S, HELD_MS = (90.0, 70.0), (80.0, 50.0), (3.0, 1.5), (5.0, 5.0)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a title; the first `words` columns are words, the rest numbers."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    words: int = 2


def keep(path: Path, result: Result) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")


def render(result: Result) -> str:
    """Everything as text for a terminal."""
    parts = [_plain(table) for table in tables(result) if table.rows]
    parts.append("\n".join(caveats(result)))
    return "\n\n".join(part for part in parts if part)


def tables(result: Result) -> list[Table]:
    summary: Summary = result["summary"]
    says: dict[str, str] = result["about"]["loads"]
    return [
        cost(summary, says),
        by_process(summary),
        latency(summary),
        streams(summary),
        held(summary),
        memory(result["memory"]),
        workers(result["workers"]),
        limits(result),
    ]


def cost(summary: Summary, says: dict[str, str]) -> Table:
    """CPU by workload and subject, in the order in which the loads ran."""
    columns = ("load", "subject", "worker µs", "all µs", "lowest-highest", "x floor", "wake-ups", "a second")
    table = Table("CPU µs a request, or a chunk where streams run (scheduler's count, median of the rounds)", columns)
    for load in says:
        for subject, loads in summary.items():
            if subject == "direct" or load not in loads or "probe_max" in loads[load]:
                continue  # what is probed serves the prober too
            cell = loads[load]
            if cell["bad"]:
                table.rows.append((load, subject, *("failed",) * (len(columns) - 2)))
                continue
            times = ratio_to(summary, subject, FLOOR_OF.get(subject, ""), load)
            spread = f"{cell['all_us_low']:.1f}-{cell['all_us_high']:.1f}"
            table.rows.append((
                load, subject, f"{cell['worker_us']:.1f}", f"{cell['all_us']:.1f}", spread, _or_dash(times, ".2f"),
                f"{cell['worker_turns']:.2f}", f"{cell['per_second']:,.0f}",
            ))  # fmt: skip
    return table


def by_process(summary: Summary) -> Table:
    """Where the product's time goes, by process."""
    roles = ("worker", "valkey", "admin", "supervisor", "other")
    table = Table("The product's CPU µs by process", ("load", "subject", *roles))
    for subject, loads in summary.items():
        if subject not in FLOOR_OF:
            continue
        for load, cell in loads.items():
            if not cell["bad"] and "probe_max" not in cell:
                spent = cell["by_role_us"]
                table.rows.append((load, subject, *(f"{spent.get(role, 0.0):.1f}" for role in roles)))
    return table


def latency(summary: Summary) -> Table:
    """Milliseconds over the same load sent straight to the mock."""
    columns = (
        "load",
        "subject",
        "p50",
        "p99",
        "first byte p50",
        "first byte p99",
        "direct first p50",
        "direct first p99",
    )
    table = Table("Added latency at a constant rate, ms (from the moment a request was due)", columns)
    for load, base in summary.get("direct", {}).items():
        if not load.startswith(("rate-", "first-byte")):
            continue
        for subject, loads in summary.items():
            if subject != "direct" and load in loads and not loads[load]["bad"]:
                cell = loads[load]
                added = [(cell[name] - base[name]) / 1000 for name in ("lat_p50", "lat_p99", "ttfb_p50", "ttfb_p99")]
                direct = (base["ttfb_p50"] / 1000, base["ttfb_p99"] / 1000)
                table.rows.append((load, subject, *(f"{value:.2f}" for value in (*added, *direct))))
    return table


def streams(summary: Summary) -> Table:
    """Paced streams: how much of what was offered came through, and how old a chunk was when it did."""
    columns = ("load", "subject", "offered/s", "carried", "chunks a read", "one-way p50 ms", "p99 ms", "worker's core")
    table = Table("Paced streams (one-way: from the mock's write to the client's read)", columns)
    for load in dict.fromkeys(load for loads in summary.values() for load in loads if is_paced(load)):
        for subject, loads in summary.items():
            if load in loads and not loads[load]["bad"]:
                cell, offered = loads[load], int(load.rpartition("-")[2]) * PACE
                ages = [
                    _or_dash(cell[name] / 1000 if cell[name] >= 0 else None, ".2f") for name in ("ow_p50", "ow_p99")
                ]
                table.rows.append((
                    load, subject, f"{offered:,}", f"{cell['eps'] / offered:.0%}", f"{cell['ev_per_read']:.1f}", *ages,
                    f"{cell.get('worker_core_pct', 0):.0f} %" if subject != "direct" else "-",
                ))  # fmt: skip
    return table


def held(summary: Summary) -> Table:
    """How long the loop answers nobody while a large body is worked on."""
    columns = ("load", "subject", "/healthz p50 ms", "p99 ms", "longest ms", "gateway's own lag ms")
    table = Table("How long a large body holds the loop", columns)
    for subject, loads in summary.items():
        for load, cell in loads.items():
            if "probe_max" in cell and not cell["bad"]:
                waits = (cell["probe_p50"] / 1000, cell["probe_p99"] / 1000, cell["probe_max"] / 1000)
                lag = f"{cell['lag_ms']:.2f}" if cell["lag_ms"] else "-"
                table.rows.append((load, subject, *(f"{value:.2f}" for value in waits), lag))
    return table


def memory(weighed: dict[str, Any]) -> Table:
    columns = ("subject", "ready s", "idle MB", "streams open", "MB with them", "kB a stream", "MB after")
    table = Table("Memory of a worker that has just started (resident)", columns, words=1)
    for subject, found in weighed.items():
        table.rows.append((
            subject, f"{found['ready_s']:.2f}", f"{found['idle_kb'] / 1024:.1f}", f"{found['streams']:,}",
            f"{found['open_kb'] / 1024:.1f}", f"{found['stream_kb']:.1f}", f"{found['after_kb'] / 1024:.1f}",
        ))  # fmt: skip
    return table


def workers(shared: dict[str, Any]) -> Table:
    columns = ("connections", "load", "held by each", "requests by each", "CPU by each", "req/s", "p50 ms", "p99 ms")
    table = Table("Two workers, one port", columns)
    for count, tries in shared.items():
        for found in tries:
            load = f"{found['rate']:,}/s" if found["rate"] else "as fast as answered"
            table.rows.append((
                count, load, _parts(found["connections"]), _parts(found["requests"]), _parts(found["cpu_ms"]),
                f"{found['rps']:,.0f}" if not found["bad"] else "failed",
                f"{found['lat_p50'] / 1000:.1f}", f"{found['lat_p99'] / 1000:.1f}",
            ))  # fmt: skip
    return table


def limits(result: Result) -> Table:
    """The product against what it must keep; no row for what was not measured."""
    summary: Summary = result["summary"]
    found: list[tuple[str, float, float, float]] = [
        (f"{subject}, {load}: {figure.removesuffix('_us')} µs", summary[subject][load][figure], must, aim)
        for subject, load, figure, must, aim in CPU_LIMITS_US
        if load in summary.get(subject, {}) and not summary[subject][load]["bad"]
    ]
    loads, direct = summary.get("product", {}), summary.get("direct", {})
    for load in ("rate-200", "first-byte"):
        if load in loads and load in direct and not loads[load]["bad"]:
            for name, (must, aim) in ADDED_MS.items():
                figure = name if load == "rate-200" else name.replace("lat", "ttfb")
                added = (loads[load][figure] - direct[load][figure]) / 1000
                found.append((f"product, {load}: added {name.removeprefix('lat_')} ms", added, must, aim))
    if "held-1MB" in loads and not loads["held-1MB"]["bad"]:
        floor = summary.get("floor-raw", {}).get("held-1MB")
        beside = f" (floor-raw {floor['probe_max'] / 1000:.2f})" if floor else ""
        found.append((f"product, 1 MB body: loop held ms{beside}", loads["held-1MB"]["probe_max"] / 1000, *HELD_MS))
    found += translation(loads)
    if weighed := result["memory"].get("product"):
        found.append(("product: ready s", weighed["ready_s"], *READY_S))
        found.append(("product: worker idle MB", weighed["idle_kb"] / 1024, *IDLE_MB))
        found.append((f"product: kB a stream at {MEMORY_STREAMS:,}", weighed["stream_kb"], *STREAM_KB))
    table = Table("Against what the product must keep", ("what", "is", "must", "aim", "verdict"), words=1)
    for what, value, must, aim in found:
        verdict = "over" if value > must else "within" if value > aim else "aim met"
        piled = [load for load in loads if f", {load}:" in what and is_paced(load) and has_piled_up(loads[load])]
        if piled and verdict != "over":
            verdict = f"within, at {loads[piled[0]]['ev_per_read']:.1f} chunks a read"
        table.rows.append((what, f"{value:.2f}", f"{must:g}", f"{aim:g}", verdict))
    return table


def translation(loads: dict[str, dict[str, Any]]) -> list[tuple[str, float, float, float]]:
    """What a translated chunk costs beside one that passes unchanged, in the same run."""
    found = []
    for load, plain in TRANSLATED.items():
        if load in loads and plain in loads and not loads[load]["bad"] and not loads[plain]["bad"]:
            ours, base = loads[load]["worker_us"], loads[plain]["worker_us"]
            if is_paced(load):
                found.append((f"product, {load}: worker µs x {plain}", ours / base, *TRANSLATED_TIMES))
            else:
                found.append((f"product, {load}: worker µs over {plain}", ours - base, *TRANSLATED_ADDED_US))
    return found


def is_paced(load: str) -> bool:
    return load.startswith(("sse-", "translated-")) and "burst" not in load


def has_piled_up(cell: dict[str, Any]) -> bool:
    """Chunks that came several a read were cheaper than chunks alone: no proof that an aim is met.

    The limit itself is: what 1,000 streams bring in a second would fill the core one and a half times at 32 µs each.
    """
    return bool(cell["ev_per_read"] > PILED_UP)


def caveats(result: Result) -> list[str]:
    """What must be said with the figures."""
    about, summary = result["about"], result["summary"]
    lines = [line for line in about["trouble"].splitlines() if line]
    for subject, loads in summary.items():
        for load, cell in loads.items():
            if cell["bad"]:
                lines.append(f"{subject} {load}: {cell['bad']:.0f} answers failed: its figures mean nothing")
            if is_paced(load) and not cell["bad"] and has_piled_up(cell):
                lines.append(
                    f"{subject} {load}: {cell['ev_per_read']:.1f} chunks a read: its core was full, µs a chunk are flattered"
                )
            if cell.get("client_cpu_pct", 0) > 85:
                lines.append(
                    f"{subject} {load}: the client was busy {cell['client_cpu_pct']:.0f} %: rates are its limit"
                )
    others = [cell.get("others_pct", 0.0) for loads in summary.values() for cell in loads.values()]
    if max(others, default=0.0) > 10:
        lines.append(f"others took up to {max(others):.0f} % of the gateway's core: trust CPU µs, not rates or latency")
    if about["cores"][0] is None:
        lines.append("only one core: gateway, mock and client shared it; latency and rates mean nothing")
    return lines


def _parts(values: Sequence[float]) -> str:
    """Shares of a whole: `52 % / 48 %`, with the numbers where they are counts."""
    whole = sum(values) or 1
    shares = " / ".join(f"{value / whole:.0%}" for value in values)
    return f"{' / '.join(str(v) for v in values)} ({shares})" if all(isinstance(v, int) for v in values) else shares


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _plain(table: Table) -> str:
    grid = [table.columns, *table.rows]
    widths = [max(len(row[column]) for row in grid) for column in range(len(table.columns))]
    lines = [
        "  ".join(
            text.ljust(width) if column < table.words else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in grid
    ]
    return "\n".join([table.title, *lines])
