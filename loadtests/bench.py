"""`make bench`: what the gateway costs, as ratios to a bare floor measured in the same run on the same machine.

    python -m loadtests.bench [--quick] [--rounds N] [--only NAME,…] [--without-product]

Builds the C tools, starts the C mock, the floors and the product side by side, and goes round them workload by workload,
so that a noisy minute hits all alike. Prints a table, writes loadtests/out/bench.json. Loopback only; everything it
starts is ended by pid. How to read the figures: loadtests/README.md.
"""

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.processes import family, role_of, rss_kb, sample, spent_us
from loadtests.report import write_report
from loadtests.subjects import (
    BIN,
    KEY,
    ROOT,
    NotReadyError,
    Running,
    problem_with,
    start_floor,
    start_mock,
    start_nginx,
    start_product,
    stop,
    stop_family,
)

STREAMS = 200
Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Workload:
    """One load: arguments of `loadc`, and which of its counts the CPU time is divided by."""

    name: str
    arguments: tuple[str, ...]
    counted: str
    warmup_s: float
    seconds: float
    direct: bool = False
    """Also measured with no gateway between, as a base for added latency."""
    open_streams: int = 0


def workloads(quick: bool) -> list[Workload]:
    paced = ("-s", "-c", str(STREAMS), "-m", "n=1000000,d=20000,s=220", "-R", "500000")
    return [
        Workload("unary", ("-c", "32", "-m", "b=1024"), "reqs", *((0.3, 1.0) if quick else (0.5, 1.8))),
        Workload(
            "open200", ("-c", "64", "-r", "200", "-m", "b=1024"), "reqs", *((0.3, 1.5) if quick else (0.5, 2.5)), True
        ),
        Workload("paced", paced, "events", *((1.0, 1.0) if quick else (1.2, 1.8)), True, STREAMS),
        Workload(
            "burst", ("-s", "-c", "32", "-m", "n=500,d=0,s=220"), "events", *((0.3, 0.7) if quick else (0.4, 1.2))
        ),
    ]


@dataclass(frozen=True, slots=True)
class Cores:
    """The gateway's core and the one for mock and client; None where the machine has only one."""

    gateway: int | None
    tools: int | None

    @staticmethod
    def choose() -> "Cores":
        usable = sorted(os.sched_getaffinity(0))
        return Cores(usable[0], usable[1]) if len(usable) > 1 else Cores(None, None)


def drive(port: int, model: str, load: Workload, running: Running | None, cores: Cores) -> Figures:
    """Put one load on one port, and measure the CPU spent between the end of the warm-up and the end of the load."""
    command = [str(BIN / "loadc"), "-p", str(port), "-w", str(load.warmup_s), "-t", str(load.seconds), *load.arguments]
    members = family(running.process.pid, running.mark) if running and running.process else []
    pids = [member.pid for member in members]
    rss_before = rss_kb(running.worker) if running else 0
    environment = {**os.environ, "LOADC_MODEL": model, "LOADC_KEY": KEY}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as client:
        time.sleep(load.warmup_s)
        before = sample(pids, cores.gateway)
        time.sleep(load.seconds / 2)
        rss = rss_kb(running.worker) if running else 0
        output, _ = client.communicate(timeout=load.seconds + 30)
        after = sample(pids, cores.gateway)
    figures: Figures = json.loads(output)
    figures["bad"] = figures["err"] + figures["non2xx"]
    if running is None:
        return figures
    count = max(1, figures[load.counted])
    figures["worker_us"] = spent_us(before, after, [running.worker]) / count
    figures["all_us"] = spent_us(before, after) / count
    figures["by_role_us"] = _by_role(running, members, before, after, count)
    figures["rss_kb"], figures["rss_grew_kb"] = rss, rss - rss_before
    busy = after.core_busy_s - before.core_busy_s
    figures["others_pct"] = 100 * max(0.0, busy - spent_us(before, after) / 1e6) / (after.taken_at - before.taken_at)
    return figures


def _by_role(running: Running, members: list[Any], before: Any, after: Any, count: int) -> dict[str, float]:
    assert running.process is not None
    spent: dict[str, float] = {}
    for member in members:
        role = role_of(member, running.process.pid, running.worker)
        spent[role] = spent.get(role, 0.0) + spent_us(before, after, [member.pid]) / count
    return spent


def measure(subjects: list[Running], mock: int, loads: list[Workload], rounds: int, cores: Cores) -> list[Figures]:
    """All rounds of all loads on all subjects, interleaved; one entry for each measurement."""
    taken: list[Figures] = []
    for round_number in range(rounds):
        for load in loads:
            if load.direct:
                taken.append(_entry("direct", load, round_number, drive(mock, "gpt-mock", load, None, cores)))
            for running in subjects:
                for variant, model in running.models.items():
                    figures = drive(running.port, model, load, running, cores)
                    taken.append(_entry(variant, load, round_number, figures))
    return taken


def _entry(variant: str, load: Workload, round_number: int, figures: Figures) -> Figures:
    return {"subject": variant, "workload": load.name, "round": round_number, **figures}


def summarise(taken: list[Figures]) -> dict[str, dict[str, Figures]]:
    """Medians over the rounds: subject → workload → figure."""
    table: dict[str, dict[str, Figures]] = {}
    for entry in taken:
        table.setdefault(entry["subject"], {}).setdefault(entry["workload"], {"rounds": []})["rounds"].append(entry)
    for subject in table.values():
        for load, cell in subject.items():
            entries = cell.pop("rounds")
            numbers = [key for key, value in entries[0].items() if isinstance(value, (int, float)) and key != "round"]
            subject[load] = {key: statistics.median(entry[key] for entry in entries) for key in numbers}
            # Memory once taken is seldom given back, so only the first time shows what a load needs.
            subject[load]["rss_grew_kb"] = max(entry.get("rss_grew_kb", 0) for entry in entries)
            if roles := [entry["by_role_us"] for entry in entries if "by_role_us" in entry]:
                subject[load]["by_role_us"] = {
                    role: statistics.median(r.get(role, 0.0) for r in roles)
                    for role in sorted({k for r in roles for k in r})
                }
    return table


def start_all(
    stack: ExitStack, mock: int, cores: Cores, folder: Path, options: argparse.Namespace
) -> tuple[list[Running], str]:
    """Start what is to be measured; a product that will not start is said, and the floors are still measured."""
    subjects: list[Running] = []
    trouble = ""
    starters: dict[str, Any] = {
        "nginx": lambda place: start_nginx(mock, cores.gateway, place),
        "floor-raw": lambda place: start_floor("raw", mock, cores.gateway, place),
        "floor-curl": lambda place: start_floor("curl", mock, cores.gateway, place),
        "product": lambda place: start_product(mock, cores.gateway, place),
    }
    for name, start in starters.items():
        if (options.only and name not in options.only) or (name == "product" and options.without_product):
            continue
        place = folder / name
        place.mkdir()
        try:
            running = start(place)
        except (NotReadyError, OSError) as error:
            trouble += f"{name} could not be measured: {error}\n"
            continue
        if running is not None:
            stack.callback(stop_family, running)
            time.sleep(0.5)
            running.idle_rss_kb = rss_kb(running.worker)
            trouble += _drop_what_fails(running)
            subjects.append(running)
    return subjects, trouble


def _drop_what_fails(running: Running) -> str:
    """A variant that cannot answer one request is not worth a figure; says which and why."""
    problems = {variant: problem_with(running, model) for variant, model in running.models.items()}
    running.models = {variant: model for variant, model in running.models.items() if not problems[variant]}
    return "".join(f"{variant} {problem}\n" for variant, problem in problems.items() if problem)


def options_from(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the gateway against a bare floor, in one run.")
    parser.add_argument("--quick", action="store_true", help="one short round, under 40 s")
    parser.add_argument("--rounds", type=int, default=0, help="default 3, or 1 with --quick")
    parser.add_argument("--only", type=lambda text: text.split(","), help="of nginx,floor-raw,floor-curl,product")
    parser.add_argument("--without-product", action="store_true")
    parser.add_argument("--out", type=Path, default=ROOT / "loadtests" / "out" / "bench.json")
    return parser.parse_args(arguments)


def _leave(_number: int, _frame: object) -> None:
    sys.exit(143)


def main() -> int:
    options = options_from(sys.argv[1:])
    signal.signal(signal.SIGTERM, _leave)  # so that what was started is ended then too
    subprocess.run(["make", "-s", "-C", str(ROOT / "loadtests" / "native")], check=True)
    cores = Cores.choose()
    rounds = options.rounds or (1 if options.quick else 3)
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="omnibench-") as folder, ExitStack() as stack:
        mock_process, mock = start_mock(cores.tools)
        stack.callback(stop, mock_process)
        subjects, trouble = start_all(stack, mock, cores, Path(folder), options)
        if cores.tools is not None:
            os.sched_setaffinity(0, {cores.tools})  # this process and the clients it starts
        taken = measure(subjects, mock, workloads(options.quick), rounds, cores)
    about = {
        "rounds": rounds,
        "quick": options.quick,
        "cores": [cores.gateway, cores.tools],
        "python": platform.python_version(),
        "machine": platform.platform(),
        "load_average_before": load_before,
        "streams": STREAMS,
        "started": {r.name: {"ready_s": r.ready_s, "idle_rss_kb": r.idle_rss_kb} for r in subjects},
        "trouble": trouble,
    }
    print(write_report(options.out, about, summarise(taken), taken))
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main())
