"""`make flame`: where a worker's time goes, as a flame graph and as a table of functions with their microseconds.

    python -m loadtests.flame [--loads NAME,…] [--variant NAME] [--seconds S] [--native]

Starts the product as the benchmark does and lets py-spy watch its worker under each load. Writes flame-LOAD.svg,
flame-LOAD.raw (collapsed stacks) and flame-LOAD.txt to loadtests/out. py-spy must be allowed to look into the worker:
root, or kernel.yama.ptrace_scope=0. It only samples Python frames unless --native: what C does is its caller's.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from loadtests.bench import OUT, build_tools, chosen_loads
from loadtests.measure import Client, Cores
from loadtests.processes import sample, spent_us
from loadtests.subjects import (
    MODELS,
    NotReadyError,
    Running,
    problem_with,
    start_mock,
    start_product,
    start_tls_front,
    stop,
)
from loadtests.workloads import Workload

TOP = 20
RATE = 250
START_S = 3.0
"""What py-spy may need to find its way into the worker, twice."""


@dataclass(frozen=True, slots=True)
class Row:
    """A function: samples where it was running itself, and where it or what it called was."""

    name: str
    own: int
    whole: int


def parse_stacks(text: str) -> list[tuple[list[str], int]]:
    """Collapsed stacks, `outer;inner;innermost COUNT` a line; lines that are none are left out."""
    stacks = []
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        if stack and count.isdigit():
            stacks.append((stack.split(";"), int(count)))
    return stacks


def busiest_thread(stacks: list[tuple[list[str], int]]) -> list[tuple[list[str], int]]:
    """The stacks of the thread with most samples, without the thread itself as their outermost frame.

    py-spy takes a thread that sleeps beside a busy one for busy now and then.
    """
    samples: dict[str, int] = {}
    for frames, count in stacks:
        samples[frames[0]] = samples.get(frames[0], 0) + count
    busiest = max(samples, key=lambda thread: samples[thread], default="")
    return [(frames[1:], count) for frames, count in stacks if frames[0] == busiest and len(frames) > 1]


def top_functions(stacks: list[tuple[list[str], int]]) -> list[Row]:
    """By own samples. A function that calls itself counts once a stack."""
    own: dict[str, int] = {}
    whole: dict[str, int] = {}
    for frames, count in stacks:
        own[frames[-1]] = own.get(frames[-1], 0) + count
        for name in set(frames):
            whole[name] = whole.get(name, 0) + count
    rows = [Row(name, own.get(name, 0), samples) for name, samples in whole.items()]
    return sorted(rows, key=lambda row: (-row.own, -row.whole, row.name))


def by_room(stacks: list[tuple[list[str], int]]) -> dict[str, int]:
    """Own samples by the folder of the innermost frame: the gateway's rooms, the packages beside it."""
    rooms: dict[str, int] = {}
    for frames, count in stacks:
        room = room_of(frames[-1])
        rooms[room] = rooms.get(room, 0) + count
    return dict(sorted(rooms.items(), key=lambda item: -item[1]))


def room_of(frame: str) -> str:
    """`take (gateway/state/holds.py:12)` is in gateway/state, `run (uvloop/loop.pyx:3)` in uvloop."""
    path = frame.rpartition("(")[2].rstrip(")").partition(":")[0]
    parts = Path(path).parts
    if "gateway" in parts:
        inner = parts[parts.index("gateway") :]
        return "/".join(inner[:2]) if len(inner) > 2 else "/".join(inner)
    return parts[0] if len(parts) > 1 else path or "elsewhere"


def render(load: Workload, stacks: list[tuple[list[str], int]], worker_us: float) -> str:
    """The table, with the worker's measured microseconds shared out by samples."""
    total = sum(count for _, count in stacks) or 1
    unit = "request" if load.counted == "reqs" else "chunk"
    lines = [
        f"{load.name}: {load.says}. {total} samples; the worker spent {worker_us:.1f} µs a {unit}",
        f"{'own %':>7}{'own µs':>9}{'with calls %':>14}{'µs':>8}  function",
    ]
    for row in top_functions(stacks)[:TOP]:
        own, whole = row.own / total, row.whole / total
        lines.append(f"{own:>7.1%}{own * worker_us:>9.1f}{whole:>14.1%}{whole * worker_us:>8.1f}  {row.name}")
    lines.append("By room, own time (what C does is its caller's):")
    for room, count in by_room(stacks).items():
        if count / total >= 0.005:
            lines.append(f"{count / total:>7.1%}{count / total * worker_us:>9.1f}  {room}")
    return "\n".join(lines)


def find_py_spy() -> str | None:
    beside = [Path(sys.executable).parent / "py-spy", OUT / "tools" / "bin" / "py-spy"]
    return next((str(path) for path in beside if path.exists()), None) or shutil.which("py-spy")


def record(py_spy: str, running: Running, form: str, target: Path, seconds: float, native: bool) -> None:
    """Watch the worker for some seconds. Raises NotReadyError with what py-spy said."""
    command = [py_spy, "record", "--pid", str(running.worker), "--duration", str(int(seconds)), "--rate", str(RATE)]
    command += ["--format", form, "--output", str(target), "--function", "--threads", *(["--native"] if native else [])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds * 3 + 30)
    if done.returncode or not target.exists():
        raise NotReadyError(f"py-spy could not watch the worker (root, or ptrace_scope=0?): {done.stderr[-500:]}")


def watch(py_spy: str, running: Running, variant: str, load: Workload, options: argparse.Namespace) -> str:
    """One load, recorded twice (graph and stacks); gives the table."""
    raw, svg = OUT / f"flame-{load.name}.raw", OUT / f"flame-{load.name}.svg"
    lasting = str(load.warmup_s), str(2 * (options.seconds + START_S))
    with Client(running.port, ("-w", lasting[0], "-t", lasting[1], *load.arguments), running.models[variant]) as client:
        client.await_begin()
        before = sample([running.worker], None)
        record(py_spy, running, "raw", raw, options.seconds, options.native)
        record(py_spy, running, "flamegraph", svg, options.seconds, options.native)
        figures = client.result()
        worker_us = spent_us(before, sample([running.worker], None)) / max(1, figures[load.counted])
        client.let_go()
    if figures["bad"]:
        print(f"{load.name}: {figures['bad']} answers failed", file=sys.stderr)
    table = render(load, busiest_thread(parse_stacks(raw.read_text())), worker_us)
    (OUT / f"flame-{load.name}.txt").write_text(table + "\n")
    return f"{table}\n{svg}\n"


def options_from(arguments: list[str]) -> argparse.Namespace:
    def names(text: str) -> list[str]:
        return text.split(",")

    parser = argparse.ArgumentParser(description="Record where a worker's time goes.")
    parser.add_argument("--loads", type=names, default=["2KB-64", "sse-500"], help="names of the benchmark's loads")
    parser.add_argument("--variant", choices=list(MODELS), default="product")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each of the two recordings of a load")
    parser.add_argument("--native", action="store_true", help="C frames too: slower, and the worker stops more often")
    options = parser.parse_args(arguments)
    options.quick = options.full = False
    return options


def _leave(_number: int, _frame: object) -> None:
    sys.exit(143)


def _started(stack: ExitStack, running: Running, variant: str) -> Running:
    stack.callback(running.end)
    if problem := problem_with(running, running.models[variant]):
        raise NotReadyError(f"{variant} {problem}")
    return running


def main() -> int:
    options = options_from(sys.argv[1:])
    signal.signal(signal.SIGTERM, _leave)  # so that what was started is ended then too
    py_spy = find_py_spy()
    if py_spy is None:
        print("py-spy is not installed: pip install py-spy", file=sys.stderr)
        return 1
    loads, cores = chosen_loads(options), Cores.choose()
    build_tools()
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="omniflame-") as temporary, ExitStack() as stack:
        front_place, place = Path(temporary) / "front", Path(temporary) / "product"
        front_place.mkdir()
        place.mkdir()
        mock_process, mock = start_mock(cores.tools)
        stack.callback(stop, mock_process)
        front, upstream = start_tls_front(mock, cores.tools, front_place)
        stack.callback(stop, front)
        try:
            running = _started(stack, start_product(upstream, cores.gateway, place), options.variant)
            if cores.tools is not None:
                os.sched_setaffinity(0, {cores.tools})
            for load in loads:
                print(watch(py_spy, running, options.variant, load, options), flush=True)
                time.sleep(0.5)
        except NotReadyError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
