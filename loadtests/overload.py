"""More than can be answered, by the C client: what is the most that is answered, and what becomes of it when three times as much comes.

locust is Python and would be overloaded first. `loadc` offers its rate whatever comes back, and counts each time from when a request
was due, so a gateway that falls behind cannot hide it.
"""

import json
import os
import subprocess
import time
from dataclasses import dataclass
from typing import Any

from loadtests.asking import mock_words
from loadtests.load_report import Report, missed, product_lines
from loadtests.scenario import Part, Scenario
from loadtests.subjects import BIN, NotReadyError
from loadtests.tally import ANSWERED, FAILED, REFUSED

Counts = dict[str, Any]
END_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Offer:
    """What is asked, of whom."""

    part: Part
    port: int
    key: str
    model: str
    warmup_s: float

    def make(self, seconds: float, connections: int, rate: float = 0.0) -> Counts:
        """Each of the connections asks as fast as it is answered, or all together ask at a rate."""
        words = mock_words(self.part.answer).removeprefix("mock:")
        command = [
            str(BIN / "loadc"), "-p", str(self.port), "-c", str(connections), "-t", str(seconds), "-w", str(self.warmup_s),
            "-B", str(self.part.prompt_bytes), "-m", words, *(["-s"] if self.part.is_streamed else []),
            *(["-r", f"{max(1.0, rate):.0f}"] if rate else []),
        ]  # fmt: skip
        environment = {**os.environ, "LOADC_KEY": self.key, "LOADC_MODEL": self.model}
        limit = seconds + self.warmup_s + END_LIMIT_S
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit, check=True)
        counts: Counts = json.loads(done.stdout)
        return {**counts, "connections": connections, "goodput": counts["good"] / counts["secs"]}


def run_overload(scenario: Scenario, port: int, key: str, model: str, about: dict[str, Any]) -> Report:
    """Find the capacity of what listens on `port`, offer a multiple, and tell. Takes `find_s` for each step, then `seconds`."""
    overload, part = scenario.overload, scenario.mix[0]
    assert overload is not None
    step = Offer(part, port, key, model, overload.warmup_s)
    steps = [step.make(overload.find_s, at_once) for at_once in overload.connections]
    best = max(steps, key=lambda one: float(one["goodput"]))
    if not best["good"]:
        raise NotReadyError("nothing was answered while the capacity was looked for")
    rate, began = best["goodput"] * overload.factor, time.time()
    over = step.make(overload.seconds, overload.most_connections, rate)
    after = step.make(overload.find_s, best["connections"])
    return overload_report(scenario, steps, over, after, rate, began, about)


def overload_report(
    scenario: Scenario, steps: list[Counts], over: Counts, after: Counts, rate: float, began: float, about: dict[str, Any]
) -> Report:  # fmt: skip
    """In the shape of `load_report.report`, with what capacity was and what share of it is left. Times are in ms."""
    best = max(steps, key=lambda step: float(step["goodput"]))
    total = over["good"] + over["non2xx"] + over["err"]
    refused = over["n503"]
    found: Report = {
        "scenario": scenario.name,
        "says": scenario.says,
        "about": about,
        "began": began,
        "seconds": over["secs"],
        "requests": total,
        ANSWERED: over["good"],
        REFUSED: refused,
        FAILED: over["err"] + over["non2xx"] - refused,
        "failed_share": (over["err"] + over["non2xx"] - refused) / max(1, total),
        "capacity": best["goodput"],
        "offered": rate,
        "goodput": over["goodput"],
        "goodput_share": over["goodput"] / max(1e-9, best["goodput"]),
        "goodput_after": after["goodput"],
        "refused_a_second": refused / over["secs"],
        "events_a_second": 0.0,
        "without_retry_after": max(0, refused - over["later"]),
        "late": over["late"],
        "client_cpu_pct": over["client_cpu_pct"],
        "reasons": {f"{over['err']} connections broke": over["err"]} if over["err"] else {},
        "all": {
            "total": {"count": over["good"], "p50": max(0.0, over["good_p50"] / 1000), "p99": max(0.0, over["good_p99"] / 1000)},
            "total at capacity": {"count": best["good"], "p50": best["good_p50"] / 1000, "p99": best["good_p99"] / 1000},
        },
        "times": [],
        "stages": [],
        "steps": steps,
        "over": over,
    }  # fmt: skip
    if refused:
        since_sent = {"p50": over["ref_sent_p50"] / 1000, "p99": over["ref_sent_p99"] / 1000}
        found["all"]["refused 503, since sent"] = {"count": refused, **since_sent}
        found["all"]["refused 503"] = {"count": refused, "p50": over["ref_p50"] / 1000, "p99": over["ref_p99"] / 1000, "most": over["ref_max"] / 1000}  # fmt: skip
    found["missed"] = missed(scenario, found)
    return found


def overload_markdown(found: Report) -> str:
    """The report for people."""
    every = found["all"]
    share = found["refused"] / max(1, found["requests"])
    lines = [
        f"## {found['scenario']}: {found['says']}",
        "",
        ", ".join(f"{name} {value}" for name, value in found["about"].items()),
        "",
        "| | requests/s | p50 ms | p99 ms |",
        "| --- | ---: | ---: | ---: |",
        *(
            f"| {step['connections']:,} at once | {step['goodput']:,.0f} | {step['good_p50'] / 1000:,.1f} | {step['good_p99'] / 1000:,.1f} |"
            for step in found["steps"]
        ),
        f"| **capacity** | {found['capacity']:,.0f} | | |",
        f"| offered | {found['offered']:,.0f} | | |",
        f"| answered | {found['goodput']:,.0f} ({found['goodput_share']:.0%} of capacity) | {every['total']['p50']:,.1f} | {every['total']['p99']:,.1f} |",
    ]
    if refused := every.get("refused 503"):
        lines.append(f"| refused with 503 | {found['refused_a_second']:,.0f} ({share:.0%}) | {refused['p50']:,.1f} | {refused['p99']:,.1f} |")  # fmt: skip
        sent = every["refused 503, since sent"]
        lines.append(f"| the same since they were sent | | {sent['p50']:,.1f} | {sent['p99']:,.1f} |")
    lines += [
        f"| capacity afterwards | {found['goodput_after']:,.0f} | | |",
        "",
        f"{found['failed']:,} failed. {found['without_retry_after']:,} refusals without Retry-After.",
        f"The client was out of connections {found['late']:,} times and took {found['client_cpu_pct']:.0f} % of a core.",
        *product_lines(found),
        "",
        "Kept: all that was to be kept." if not found["missed"] else f"Missed: {'; '.join(found['missed'])}.",
    ]
    return "\n".join(lines) + "\n"
