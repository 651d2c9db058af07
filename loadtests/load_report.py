"""From what users saw to a report: percentiles, answers a second, refusals, what was to be kept and was not. Pure.

Of the standard library alone (see scenario.py). `report` gives what is written as JSON, `markdown` shows it.
"""

from collections.abc import Mapping
from typing import Any

from loadtests.scenario import Scenario
from loadtests.tally import ANSWERED, FAILED, REFUSED, Tally, Times

Report = dict[str, Any]
PERCENTS = (50, 95, 99)


def report(scenario: Scenario, tally: Tally, began: float, ended: float, about: Mapping[str, Any]) -> Report:
    """All that can be said of a run from `began` to `ended`, unix seconds. Times are in ms, rates a second."""
    counted_from = began + scenario.warmup_s
    span_s = max(1e-9, ended - counted_from)
    totals = {how: tally.total(how) for how in (ANSWERED, REFUSED, FAILED)}
    everything = sum(totals.values())
    # What ends after the last stage is judged, but is no part of a rate: nobody new was asking any more.
    in_time = {how: sum(number for at, number in one.items() if at < int(ended)) for how, one in tally.seconds.items()}
    found: Report = {
        "scenario": scenario.name,
        "says": scenario.says,
        "about": dict(about),
        "began": began,
        "seconds": span_s,
        "requests": everything,
        **totals,
        "failed_share": totals[FAILED] / everything if everything else 0.0,
        "goodput": in_time.get(ANSWERED, 0) / span_s,
        "refused_a_second": in_time.get(REFUSED, 0) / span_s,
        "events_a_second": in_time.get("events", 0) / span_s,
        "without_retry_after": tally.without_retry_after,
        "reasons": tally.reasons,
        "times": [row for name, times in sorted(tally.times.items()) for row in [_row(name, times)]],
        "all": {measure: _figures(times) for measure, times in sorted(_by_measure(tally).items())},
        "stages": _stages(scenario, tally, began, ended),
    }
    found["missed"] = missed(scenario, found)
    return found


def missed(scenario: Scenario, found: Report) -> list[str]:
    """Every threshold that was not kept, in words."""
    wanted, every = scenario.thresholds, found["all"]
    lines = []
    if not found[ANSWERED]:
        lines.append("nothing was answered")
    if found["failed_share"] > wanted.failed_share:
        lines.append(f"{found['failed_share']:.2%} failed, at most {wanted.failed_share:.2%} may")
    # Where the client may run out of connections it knows when it sent, too: only from then on a refusal can be slow.
    told = {name: figures["p99"] for name, figures in every.items() if name.startswith("refused")}
    refused = max((p99 for name, p99 in told.items() if f"{name}, since sent" not in told), default=0.0)
    judged = {
        "first token p99": (every.get("first token", {}).get("p99", 0.0), wanted.first_token_p99_ms),
        "total p99": (every.get("total", {}).get("p99", 0.0), wanted.total_p99_ms),
        "refusals p99": (refused, wanted.refused_p99_ms),
    }
    lines += [f"{name} {is_:.0f} ms, at most {most:.0f}" for name, (is_, most) in judged.items() if 0 < most < is_]
    if wanted.goodput_share and "goodput_share" in found and found["goodput_share"] < wanted.goodput_share:
        lines.append(f"goodput {found['goodput_share']:.0%} of that at capacity, at least {wanted.goodput_share:.0%}")
    return lines


def markdown(found: Report) -> str:
    """The report for people."""
    lines = [
        f"## {found['scenario']}: {found['says']}",
        "",
        ", ".join(f"{name} {value}" for name, value in found["about"].items()),
        "",
        f"{found['requests']:,} requests in {found['seconds']:.1f} s: {found[ANSWERED]:,} answered, {found[REFUSED]:,} refused, "
        f"{found[FAILED]:,} failed ({found['failed_share']:.2%}). Goodput {found['goodput']:,.1f} answers/s"
        + (f", {found['events_a_second']:,.0f} events/s" if found["events_a_second"] else "")
        + (f", {found['refused_a_second']:,.1f} refusals/s" if found[REFUSED] else "")
        + ".",
        "",
        *_table(
            ("who", "what", "number", "p50 ms", "p95 ms", "p99 ms", "most ms"),
            [
                (row["kind"], row["measure"], f"{row['count']:,}", *(f"{row[name]:,.1f}" for name in ("p50", "p95", "p99", "most")))
                for row in _rows(found)
            ],
        ),
    ]  # fmt: skip
    if found["stages"]:
        head = ("stage", "users", "seconds", "answered/s", "refused/s", "failed/s")
        rows = [
            (str(place), f"{one['users']:,}", f"{one['seconds']:.0f}", *(f"{one[how]:,.1f}" for how in (ANSWERED, REFUSED, FAILED)))
            for place, one in enumerate(found["stages"], 1)
        ]  # fmt: skip
        lines += ["", *_table(head, rows)]
    lines += product_lines(found)
    if found["without_retry_after"]:
        lines += ["", f"{found['without_retry_after']:,} refusals with 429 or 503 did not say when to come again."]
    if found["reasons"]:
        lines += [
            "",
            "What failed:",
            "",
            *(f"* {number:,} times: {reason}" for reason, number in found["reasons"].items()),
        ]
    lines += ["", "Kept: all that was to be kept." if not found["missed"] else f"Missed: {'; '.join(found['missed'])}."]
    return "\n".join(lines) + "\n"


def product_lines(found: Report) -> list[str]:
    """What the product took, where it was started for the run."""
    if "product" not in found:
        return []
    took = found["product"]
    roles = ", ".join(f"{role} {seconds:,.1f} s" for role, seconds in sorted(took["cpu_s"].items()) if seconds >= 0.05)  # fmt: skip
    return [
        "",
        f"The product took {took['cores']:.2f} cores ({roles}); memory of a worker at the end: {took['worker_rss_mb']:,.0f} MB.",
    ]


def _rows(found: Report) -> list[dict[str, Any]]:
    every = [{"kind": "all", "measure": name, **figures} for name, figures in found["all"].items()]
    return every + (found["times"] if len({row["kind"] for row in found["times"]}) > 1 else [])


def _row(name: str, times: Times) -> dict[str, Any]:
    kind, _, measure = name.partition("|")
    return {"kind": kind, "measure": measure, **_figures(times)}


def _figures(times: Times) -> dict[str, Any]:
    return {
        "count": times.count,
        **{f"p{percent}": times.percentile_ms(percent) for percent in PERCENTS},
        "most": times.most_us / 1000,
        "mean": times.sum_us / max(1, times.count) / 1000,
    }


def _by_measure(tally: Tally) -> dict[str, Times]:
    """Of all kinds of users together."""
    found: dict[str, Times] = {}
    for name, times in tally.times.items():
        found.setdefault(name.partition("|")[2], Times()).add(times)
    return found


def _stages(scenario: Scenario, tally: Tally, began: float, ended: float) -> list[dict[str, Any]]:
    """Rates of each stage, from its whole seconds, without the warm-up."""
    found, start = [], began
    for stage in scenario.stages:
        first, last = max(start, began + scenario.warmup_s), min(start + stage.seconds, ended)
        start += stage.seconds
        whole = range(int(first) + 1, int(last))
        rates = {
            how: sum(tally.seconds.get(how, {}).get(at, 0) for at in whole) / max(1, len(whole))
            for how in (ANSWERED, REFUSED, FAILED)
        }
        found.append({"users": stage.users, "seconds": stage.seconds, **rates})
    return found


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    marks = ["---" if place == 0 or name == "what" else "---:" for place, name in enumerate(head)]
    return [_line(head), _line(marks), *(_line(row) for row in rows)]


def _line(cells: Any) -> str:
    return "| " + " | ".join(str(cell).replace("|", "/") for cell in cells) + " |"
