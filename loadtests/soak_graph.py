"""`make soak` draws what it has written: `python -m loadtests.soak_graph [soak.json]` makes a PNG beside the JSON.

Memory and descriptors of every process, latency, and what became of the requests, over time. Wants matplotlib, which is in
the environment of the load tests alone.
"""

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt

HELD = "nothing grew, every request is in the ledger once"
SPOILT = ("broken", "refused", "failed", "left", "left midway", "left out")


def draw(run: dict[str, Any], target: Path) -> None:
    samples, options = run["samples"], run["options"]
    minutes = [sample["since_s"] / 60 for sample in samples]
    figure, panes = plt.subplots(4, 1, figsize=(11, 13), sharex=True, layout="constrained")
    said = "\n".join(textwrap.shorten(fault, 150) for fault in run["faults"]) or HELD
    of = f" of {options['capacity']}/s" if options["capacity"] else ""
    figure.suptitle(f"Soak: {options['rate']:.0f} requests/s{of}, {options['seconds']:.0f} s\n{said}")
    for name in sorted({name for sample in samples for name in sample["processes"]}):
        of_process = [sample["processes"].get(name) for sample in samples]
        slope = next((one["slope"] for one in run["trends"] if one["name"] == f"{name} memory"), 0.0)
        panes[0].plot(minutes, [p and p["rss_kb"] / 1024 for p in of_process], label=f"{name} ({slope:+.0f} kB/min)")
        panes[1].plot(minutes, [p and p["descriptors"] for p in of_process], label=name)
    # What most descriptors are open for: they rise and fall together.
    panes[1].plot(minutes, [sample["open"] for sample in samples], label="(requests under way)", color="black", ls=":")
    for part in ("p50", "p95", "p99"):
        panes[2].plot(minutes, [sample["total_ms"].get(part) for sample in samples], label=f"whole answer, {part}")
    panes[2].plot(minutes, [sample["first_ms"].get("p50") for sample in samples], label="first byte, p50", ls=":")
    for kind in SPOILT:
        counted = [sample["counts"].get(kind, 0) for sample in samples]
        panes[3].plot(minutes, counted, label=f"{kind}: {run['counts'].get(kind, 0)}")
    for pane, what in zip(panes, ("memory, MB", "descriptors", "ms (log)", "requests so far"), strict=True):
        pane.set_ylabel(what)
        pane.axvspan(0, options["warmup_s"] / 60, color="0.93")
        pane.grid(visible=True, alpha=0.3)
        pane.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
    panes[2].set_yscale("log")
    panes[3].set_xlabel("minutes; grey is the warm-up, which is not judged")
    figure.savefig(target, dpi=110)


def main() -> None:
    source = Path(sys.argv[1] if len(sys.argv) > 1 else "loadtests/out/soak.json")
    target = source.with_suffix(".png")
    draw(json.loads(source.read_text()), target)
    print(f"drawn: {target}")


if __name__ == "__main__":
    main()
