"""The benchmark's table and its JSON: figures beside the floor and beside the design's limits. It measures nothing."""

import json
from pathlib import Path
from typing import Any

Summary = dict[str, dict[str, dict[str, Any]]]

CPU_LIMITS_US = (
    ("product", "unary", "worker_us", 170),
    ("product", "unary", "all_us", 250),
    ("product", "paced", "worker_us", 32),
    ("product", "paced", "all_us", 40),
    ("product-curl", "unary", "worker_us", 260),
)
"""What the product may cost, on a machine where floor-raw costs about 56 µs a request."""
ADDED_P50_MS, ADDED_P99_MS = 1.5, 8.0
IDLE_MB, STREAM_KB, READY_S = 90.0, 80.0, 3.0
FLOOR_OF = {"product": "floor-raw", "product-curl": "floor-curl"}


def write_report(path: Path, about: dict[str, Any], summary: Summary, taken: list[dict[str, Any]]) -> str:
    """Keep everything as JSON, and give back the text to print."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"about": about, "summary": summary, "measurements": taken}, indent=1) + "\n")
    parts = [
        _cpu(summary),
        _latency(summary),
        _memory(about, summary),
        _limits(about, summary),
        _caveats(about, summary),
    ]
    return "\n\n".join(part for part in parts if part) + f"\n\nAll figures: {path}"


def _cpu(summary: Summary) -> str:
    lines = [
        "CPU µs (scheduler's count), median of the rounds: worker alone | all processes | x floor of the same transport",
        f"{'':14}{'unary, a request':>32}{'paced, a chunk':>32}{'burst, a chunk':>32}{'req/s':>9}{'chunks/s':>10}",
    ]
    for subject, loads in summary.items():
        if subject == "direct":
            continue
        cells = "".join(f"{_cell(summary, subject, load):>32}" for load in ("unary", "paced", "burst"))
        rates = f"{_of(loads, 'unary', 'rps'):>9,.0f}{_of(loads, 'burst', 'eps'):>10,.0f}"
        lines.append(f"{subject:14}{cells}{rates}")
    for subject, loads in summary.items():
        roles = loads.get("unary", {}).get("by_role_us", {})
        if subject in FLOOR_OF and roles:
            lines.append(f"  {subject}, a unary request: " + ", ".join(f"{k} {v:.1f}" for k, v in roles.items()))
    return "\n".join(lines)


def _cell(summary: Summary, subject: str, load: str) -> str:
    cell = summary[subject].get(load)
    if cell is None:
        return "-"
    if cell["bad"]:
        return "answers failed"
    floor = summary.get(FLOOR_OF.get(subject, ""), {}).get(load)
    text = f"{cell['worker_us']:.1f} | {cell['all_us']:.1f}"
    return f"{text} | x{cell['all_us'] / floor['all_us']:.2f}" if floor else text


def _latency(summary: Summary) -> str:
    direct = summary.get("direct", {})
    if "open200" not in direct:
        return ""
    base50, base99 = direct["open200"]["lat_p50"], direct["open200"]["lat_p99"]
    delay = direct.get("paced", {}).get("ow_p50", 0.0)
    lines = [
        f"Added latency, ms (direct: p50 {base50 / 1000:.2f}, p99 {base99 / 1000:.2f}; chunk one-way p50 {delay / 1000:.2f})",
        f"{'':14}{'200 req/s p50':>16}{'p99':>10}{'chunk one-way p50':>20}{'p99':>10}",
    ]
    for subject, loads in summary.items():
        if subject != "direct" and "open200" in loads:
            paced = loads.get("paced", {})
            lines.append(
                f"{subject:14}{(loads['open200']['lat_p50'] - base50) / 1000:>16.2f}"
                f"{(loads['open200']['lat_p99'] - base99) / 1000:>10.2f}"
                f"{(paced.get('ow_p50', 0) - delay) / 1000:>20.2f}{paced.get('ow_p99', 0) / 1000:>10.2f}"
            )
    return "\n".join(lines)


def _memory(about: dict[str, Any], summary: Summary) -> str:
    lines = [
        f"{'':14}{'ready s':>9}{'idle MB':>9}{'MB at ' + str(about['streams']) + ' streams':>20}{'kB a stream':>13}"
    ]
    for name, started in about["started"].items():
        loads = summary.get(name, {})
        open_mb, grew = _of(loads, "paced", "rss_kb") / 1024, _of(loads, "paced", "rss_grew_kb") / about["streams"]
        lines.append(
            f"{name:14}{started['ready_s']:>9.2f}{started['idle_rss_kb'] / 1024:>9.1f}{open_mb:>20.1f}{grew:>13.1f}"
        )
    return "\n".join(lines)


def _limits(about: dict[str, Any], summary: Summary) -> str:
    """The product against what it must keep; nothing where no product was measured."""
    found = [
        (f"{subject} {load} {figure.removesuffix('_us')} µs", summary[subject][load][figure], float(limit))
        for subject, load, figure, limit in CPU_LIMITS_US
        if load in summary.get(subject, {}) and not summary[subject][load]["bad"]
    ]
    loads, direct = summary.get("product", {}), summary.get("direct", {})
    if "open200" in loads and "open200" in direct:
        for name, limit in (("lat_p50", ADDED_P50_MS), ("lat_p99", ADDED_P99_MS)):
            added = (loads["open200"][name] - direct["open200"][name]) / 1000
            found.append((f"product added {name.removeprefix('lat_')} ms", added, limit))
    if started := about["started"].get("product"):
        found.append(("product ready s", started["ready_s"], READY_S))
        found.append(("product worker idle MB", started["idle_rss_kb"] / 1024, IDLE_MB))
        if "paced" in loads and not loads["paced"]["bad"]:
            found.append(("product kB an open stream", loads["paced"]["rss_grew_kb"] / about["streams"], STREAM_KB))
    lines = [
        f"{'within' if value <= limit else 'OVER':8}{value:>9.2f} of {limit:>6.1f}  {what}"
        for what, value, limit in found
    ]
    return "\n".join(["Against what the product must keep", *lines]) if lines else ""


def _caveats(about: dict[str, Any], summary: Summary) -> str:
    lines = [about["trouble"].strip()] if about["trouble"] else []
    for subject, loads in summary.items():
        for load, cell in loads.items():
            if cell.get("bad"):
                lines.append(f"{subject} {load}: {cell['bad']:.0f} answers failed: its figures mean nothing")
    others = [cell.get("others_pct", 0.0) for loads in summary.values() for cell in loads.values()]
    if max(others, default=0.0) > 10:
        lines.append(f"others took up to {max(others):.0f} % of the gateway's core: trust CPU µs, not rates or latency")
    if about["cores"][0] is None:
        lines.append("only one core: gateway, mock and client shared it; latency and rates mean nothing")
    return "\n".join(lines)


def _of(loads: dict[str, Any], load: str, figure: str) -> float:
    value: float = loads.get(load, {}).get(figure, 0.0)
    return value
