"""`make bench-compare REV=…`: the working tree against another revision, side by side on one machine.

    python -m loadtests.compare REV [--rounds N] [--loads NAME,…] [--variants NAME,…] [--json FILE]

REV is checked out into a temporary worktree, and both products run at once on the same core. Each short round puts both
under each load, in the other order every time; a ratio is taken within a round and its spread over the rounds is shown.
Mock, client and configuration are the working tree's for both. The worktree is removed whatever happens.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from loadtests.bench import OUT, build_tools, drop_what_fails
from loadtests.measure import Cores, Figures, drive
from loadtests.processes import rss_kb
from loadtests.subjects import MODELS, ROOT, NotReadyError, Running, start_mock, start_product, start_tls_front, stop
from loadtests.summary import STEADY, Ratio, ratios
from loadtests.workloads import KB, MB, PRODUCTS, Workload, at_rate, burst, paced, unary

Taken = dict[tuple[str, str], tuple[list[Figures], list[Figures]]]
"""(load, variant) → figures of the working tree and of the other revision, round by round."""


def compared_loads() -> list[Workload]:
    """Short, because many short rounds say more about a noisy machine than few long ones."""
    return [
        unary("2KB-64", 2 * KB, 64, 0.9),
        unary("2KB-1", 2 * KB, 1, 0.6, PRODUCTS),
        unary("64KB-64", 64 * KB, 64, 0.8),
        unary("100KB-8", 100 * KB, 8, 0.8),
        unary("1MB-1", MB, 1, 0.8),
        at_rate(200, 1.2),
        paced(200, 0.9),
        paced(1_000, 1.2),
        burst("burst-32", 32, 500, 0.7),
    ]


@contextlib.contextmanager
def worktree(revision: str, folder: Path, repository: Path = ROOT) -> Iterator[Path]:
    """The files of a revision, apart from the working tree; its record in the repository goes with it."""
    place = folder / "revision"
    try:
        subprocess.run(
            ["git", "worktree", "add", "--quiet", "--detach", str(place), revision], cwd=repository, check=True
        )
        yield place
    finally:
        if place.exists():
            subprocess.run(["git", "worktree", "remove", "--force", str(place)], cwd=repository, check=True)


def revision_named(name: str) -> str:
    """The commit that a name stands for; ends the program when there is none."""
    found = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    if found.returncode:
        sys.exit(f"no such revision: {name}")
    return found.stdout.strip()


def compare(ours: Running, theirs: Running, loads: list[Workload], rounds: int, cores: Cores, mock: int) -> Taken:
    """Rounds of both, the order turned each time."""
    taken: Taken = {}
    both = [variant for variant in ours.models if variant in theirs.models]
    for number in range(rounds):
        for load in loads:
            for variant in both:
                if variant not in load.variants:
                    continue
                sides = taken.setdefault((load.name, variant), ([], []))
                turns = [(ours, sides[0]), (theirs, sides[1])]
                for running, figures in turns if number % 2 == 0 else reversed(turns):
                    figures.append(drive(running.port, running.models[variant], load, running, cores, mock))
    return taken


def render(taken: Taken, name: str, idle_kb: tuple[int, int]) -> str:
    lines = [
        f"working tree / {name}: under 1 is less (CPU, waiting) or fewer (requests or chunks a second)",
        f"{'load':10}{'variant':14}{'figure':14}{'tree':>11}{name[:10]:>11}{'ratio':>8}{'lowest-highest':>17}  verdict",
    ]
    for (load, variant), (ours, theirs) in taken.items():
        for figure, ratio in ratios(ours, theirs).items():
            lines.append(_line(load, variant, figure, ratio, _middle(ours, figure), _middle(theirs, figure)))
    bad = [f"{load} {variant}" for (load, variant), sides in taken.items() if any(f["bad"] for s in sides for f in s)]
    if bad:
        lines.append(f"answers failed, those rounds do not count: {', '.join(bad)}")
    lines.append(f"worker idle: {idle_kb[0] / 1024:.1f} MB against {idle_kb[1] / 1024:.1f} MB")
    lines.append("Figures in (brackets) move with whatever else the machine does; trust the others.")
    return "\n".join(lines)


def _line(load: str, variant: str, figure: str, ratio: Ratio, ours: float, theirs: float) -> str:
    shown = figure if figure in STEADY else f"({figure})"
    spread = f"{ratio.low:.3f}-{ratio.high:.3f}"
    return f"{load:10}{variant:14}{shown:14}{ours:>11,.1f}{theirs:>11,.1f}{ratio.middle:>8.3f}{spread:>17}  {ratio.verdict}"


def _middle(figures: list[Figures], name: str) -> float:
    values = sorted(float(entry[name]) for entry in figures if not entry["bad"])
    return values[len(values) // 2] if values else 0.0


def options_from(arguments: list[str]) -> argparse.Namespace:
    def names(text: str) -> list[str]:
        return text.split(",")

    parser = argparse.ArgumentParser(description="Measure the working tree against another revision, alternately.")
    parser.add_argument("revision")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--loads", type=names, default=["2KB-64", "100KB-8", "sse-200", "burst-32"])
    parser.add_argument("--variants", type=names, default=["product", "product-curl"], help=", ".join(MODELS))
    parser.add_argument("--json", type=Path, default=OUT / "compare.json")
    return parser.parse_args(arguments)


def chosen(names: list[str]) -> list[Workload]:
    known = {load.name: load for load in compared_loads()}
    if unknown := [name for name in names if name not in known]:
        sys.exit(f"no such load: {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in names]


def _started(stack: ExitStack, running: Running, variants: list[str]) -> Running:
    stack.callback(running.end)
    running.models = {variant: model for variant, model in running.models.items() if variant in variants}
    if trouble := drop_what_fails(running):
        print(trouble, file=sys.stderr)
    return running


def run(options: argparse.Namespace, revision: str, loads: list[Workload]) -> tuple[Taken, tuple[int, int]]:
    cores = Cores.choose()
    with tempfile.TemporaryDirectory(prefix="omnicmp-") as temporary, ExitStack() as stack:
        folder = Path(temporary)
        for name in ("tree", "rev", "front"):
            (folder / name).mkdir()
        other = stack.enter_context(worktree(revision, folder))
        mock_process, mock = start_mock(cores.tools)
        stack.callback(stop, mock_process)
        front, upstream = start_tls_front(mock, cores.tools, folder / "front")
        stack.callback(stop, front)
        ours, theirs = (
            _started(
                stack, start_product(upstream, cores.gateway, folder / name, root=root, name=name), options.variants
            )
            for name, root in (("tree", ROOT), ("rev", other))
        )
        if cores.tools is not None:
            os.sched_setaffinity(0, {cores.tools})
        time.sleep(0.5)
        idle = rss_kb(ours.worker), rss_kb(theirs.worker)
        return compare(ours, theirs, loads, options.rounds, cores, mock), idle


def as_json(taken: Taken, revision: str) -> dict[str, Any]:
    return {
        "revision": revision,
        "ratios": {
            f"{load} {variant}": {figure: dataclasses.asdict(r) for figure, r in ratios(*sides).items()}
            for (load, variant), sides in taken.items()
        },
        "measurements": [
            {"side": side, "workload": load, "subject": variant, **entry}
            for (load, variant), sides in taken.items()
            for side, entries in zip(("tree", "revision"), sides, strict=True)
            for entry in entries
        ],
    }


def _leave(_number: int, _frame: object) -> None:
    sys.exit(143)


def main() -> int:
    options = options_from(sys.argv[1:])
    signal.signal(signal.SIGTERM, _leave)  # so that the worktree goes, and what was started ends
    loads, revision = chosen(options.loads), revision_named(options.revision)
    build_tools()
    try:
        taken, idle = run(options, revision, loads)
    except NotReadyError as error:
        print(error, file=sys.stderr)
        return 1
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(as_json(taken, revision), indent=1) + "\n")
    print(render(taken, options.revision, idle))
    return 0 if taken else 1


if __name__ == "__main__":
    sys.exit(main())
