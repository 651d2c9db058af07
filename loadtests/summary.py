"""From single measurements to what can be said: medians, ratios to the floor, ratios of two revisions. Pure."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Figures = dict[str, Any]
Summary = dict[str, dict[str, Figures]]

COMPARED = ("worker_us", "all_us", "worker_turns", "rps", "eps", "lat_p50", "lat_p99", "ttfb_p50", "ow_p50")
"""Figures that two revisions are compared by."""
STEADY = ("worker_us", "all_us", "worker_turns")
"""Those that a busy machine moves little."""
SAME = 0.03
"""Two revisions closer than this are called the same: one run against itself differs by as much."""


def summarise(taken: list[Figures]) -> Summary:
    """Medians over the rounds: subject → workload → figure."""
    cells: dict[tuple[str, str], list[Figures]] = {}
    for entry in taken:
        cells.setdefault((entry["subject"], entry["workload"]), []).append(entry)
    table: Summary = {}
    for (subject, load), entries in cells.items():
        table.setdefault(subject, {})[load] = _cell(entries)
    return table


def _cell(entries: list[Figures]) -> Figures:
    names = [name for name, value in entries[0].items() if isinstance(value, (int, float)) and name != "round"]
    cell: Figures = {name: statistics.median(entry[name] for entry in entries) for name in names}
    cell["bad"] = sum(entry["bad"] for entry in entries)
    cell["rounds"] = len(entries)
    if "all_us" in cell:
        cell["all_us_low"], cell["all_us_high"] = _ends(entry["all_us"] for entry in entries)
    if "probe_max" in cell:
        # Other programs can only add to the longest wait, and each round held the loop many times: the least is nearest.
        cell["probe_max"] = min(entry["probe_max"] for entry in entries)
        cell["lag_ms"] = max(entry["lag_ms"] for entry in entries)  # looked at so seldom that most rounds miss it
    roles = [entry["by_role_us"] for entry in entries if "by_role_us" in entry]
    if roles:
        names = sorted({name for role in roles for name in role})
        cell["by_role_us"] = {name: statistics.median(role.get(name, 0.0) for role in roles) for name in names}
    return cell


def _ends(values: Iterable[float]) -> tuple[float, float]:
    ordered = sorted(values)
    return ordered[0], ordered[-1]


def ratio_to(summary: Summary, subject: str, floor: str, load: str, figure: str = "all_us") -> float | None:
    """How many times the floor's figure, or None where either is missing, failed or zero."""
    ours, base = summary.get(subject, {}).get(load), summary.get(floor, {}).get(load)
    if ours is None or base is None or ours["bad"] or base["bad"] or not base.get(figure):
        return None
    return float(ours[figure] / base[figure])


@dataclass(frozen=True, slots=True)
class Ratio:
    """One figure of one revision over the other's, round by round: in the middle, and at its ends."""

    middle: float
    low: float
    high: float
    rounds: int

    @property
    def verdict(self) -> str:
        """Sure only if every round says the same, and there were enough of them for chance to be out of it."""
        if self.rounds < 4:
            return "too few rounds"
        if abs(self.middle - 1) < SAME or self.low <= 1 <= self.high:
            return "the same within noise"
        return "less" if self.middle < 1 else "more"


def ratios(ours: list[Figures], theirs: list[Figures]) -> dict[str, Ratio]:
    """Figure → the ratio ours / theirs of rounds that ran next to each other; failed rounds do not count."""
    pairs = [(mine, other) for mine, other in zip(ours, theirs, strict=True) if not mine["bad"] and not other["bad"]]
    found = {}
    for figure in COMPARED:
        values = [
            mine[figure] / other[figure]
            for mine, other in pairs
            if mine.get(figure, 0) > 0 and other.get(figure, 0) > 0
        ]
        if values:
            low, high = _ends(values)
            found[figure] = Ratio(statistics.median(values), low, high, len(values))
    return found
