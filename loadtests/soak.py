"""`make soak`: the whole product under a steady load for as long as wanted, to see whether anything grows or is lost.

    python -m loadtests.soak [--seconds 900] [--share 0.6] [--rate R] [--workers 2] [--warmup S]

Starts the product with two workers and the C mock, which answers 5 % of the requests badly; measures how much both
carry, then asks for a share of that. 5 % of the callers leave, half of them before they are answered; each minute the
configuration is read anew. Memory and descriptors of every process are sampled each second. Writes loadtests/out/soak.json, draws
nothing (soak_graph.py does), and ends with 1 when something grew or the ledger is not what was asked, each request once.
"""

import argparse
import contextlib
import json
import os
import queue
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from loadtests.bench import OUT, about_machine, build_tools, leave
from loadtests.processes import family, role_of, rss_kb, workers_of
from loadtests.soak_verdict import Books, Trend, books_of, come_and_gone, faults_of, pile_of, trends_of
from loadtests.subjects import (
    KEY,
    LIMITS,
    ROOT,
    NotReadyError,
    Running,
    Upstream,
    problem_with,
    start_mock,
    start_product,
    stop,
)

FAULTS_PER_MILLE = 50
RELOAD_EVERY_S = 60.0
AT_ONCE = 192
CAPACITY_S = 8.0
LEDGER_LIMIT_S = 120.0
CONFIG = """\
version: 1
nodes:
  - {{id: local, prefix: local, dialect: openai_chat, base_url: "http://127.0.0.1:{mock}/v1", allow_private: true}}
connections:
  - {{provider: local, name: first, api_key: "${{BENCH_UPSTREAM_KEY}}"}}
  - {{provider: local, name: second, api_key: "${{BENCH_UPSTREAM_KEY}}"}}
  - {{provider: local, name: third, api_key: "${{BENCH_UPSTREAM_KEY}}"}}
combos:
  - {{name: reload-{turn}, models: [local/soak]}}
keys:
  - {{name: bench, secret: "${{BENCH_KEY}}", {limits}}}
settings:
  resilience: {{retry_after_max_s: 0.05}}
"""
"""Three accounts, so that a fault is made good by the next. A 429 of the mock rests one of them for 50 ms, not for a second."""


def config_text(mock: int, turn: int) -> str:
    return CONFIG.format(mock=mock, turn=turn, limits=LIMITS["all"])


@dataclass(slots=True)
class Soak:
    """One run and what it has seen. `samples` have `since_s`, since the steady load began."""

    options: argparse.Namespace
    running: Running
    mock: int
    config: Path
    began: float = 0.0
    reloads: int = 0
    samples: list[dict[str, Any]] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)

    def reload(self) -> None:
        """Change the configuration, and have it read."""
        assert self.running.process is not None
        self.reloads += 1
        self.config.write_text(config_text(self.mock, self.reloads))
        self.running.process.send_signal(signal.SIGHUP)

    def sample(self, told: dict[str, Any]) -> None:
        self.samples.append({"since_s": round(time.monotonic() - self.began, 2), "processes": self.processes(), **told})

    def processes(self) -> dict[str, dict[str, int]]:
        """Every process of the product by its role, with its memory and descriptors."""
        found: dict[str, dict[str, int]] = {}
        assert self.running.process is not None
        for pid in self._pids():
            with contextlib.suppress(OSError):
                descriptors = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
                memory_kb = rss_kb(pid)
                # One that has ended and was not waited for has none, as Valkey's child that wrote its file anew.
                if memory_kb:
                    found[self.names[pid]] = {"rss_kb": memory_kb, "descriptors": descriptors, "pid": pid}
        return found

    def _pids(self) -> list[int]:
        assert self.running.process is not None
        members = family(self.running.process.pid, self.running.mark)
        new = [member for member in members if member.pid not in self.names]
        if new:
            workers = workers_of(members, self.running.port)
            for member in new:
                role = "worker" if member.pid in workers else self._role(member)
                self.names[member.pid] = self._numbered(role)
        return [member.pid for member in members]

    def _role(self, member: Any) -> str:
        assert self.running.process is not None
        if "cache.sock" in member.command:
            return "cache store"
        role = role_of(member, self.running.process.pid, 0)
        return "granian" if role == "other" and "gateway.serve.workers" in member.command else role

    def _numbered(self, role: str) -> str:
        taken = sum(name == role or name.startswith(f"{role} ") for name in self.names.values())
        return role if role != "worker" and not taken else f"{role} {taken + 1}"


class Load:
    """The process of the callers: wishes go in, a line a second comes out."""

    def __init__(self, port: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "loadtests.soak_callers", str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "SOAK_KEY": KEY},
            cwd=ROOT,
            text=True,
        )
        self.lines: queue.Queue[str] = queue.Queue(10_000)
        threading.Thread(target=self._read, daemon=True).start()

    def run(self, **wish: float) -> Iterator[dict[str, Any]]:
        """Each line until this wish is fulfilled, the last one with `is_end`."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(wish) + "\n")
        self.process.stdin.flush()
        while True:
            told: dict[str, Any] = json.loads(self.lines.get(timeout=90) or "null")
            yield told
            if told.get("is_end"):
                return

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)


def measured_capacity(load: Load) -> float:
    """Answers a second of all callers at once, without the first second and the last."""
    told = list(load.run(at_once=AT_ONCE, seconds=CAPACITY_S))
    first, last = told[1], told[int(CAPACITY_S) - 2]
    return float((last["sent"] - first["sent"]) / (last["at"] - first["at"]))


def run_steady(soak: Soak, load: Load, rate: float) -> dict[str, Any]:
    """The load itself; the last line of the callers."""
    soak.began = time.monotonic()
    reload_at, told = soak.began + RELOAD_EVERY_S / 2, {}
    for told in load.run(rate=rate, seconds=soak.options.seconds):
        if told.get("is_end"):
            break
        soak.sample(told)
        _show(soak, told)
        if time.monotonic() > reload_at:
            reload_at += RELOAD_EVERY_S
            soak.reload()
    return told


def _show(soak: Soak, told: dict[str, Any]) -> None:
    if len(soak.samples) % 15 == 0:
        memory = sum(process["rss_kb"] for process in soak.samples[-1]["processes"].values()) // 1024
        print(
            f"{soak.samples[-1]['since_s']:6.0f} s  {told['sent']} sent  {told['open']} open  p99 {told['total_ms'].get('p99')} ms"
            f"  {memory} MB  {told['counts']}",
            file=sys.stderr,
            flush=True,
        )


def read_books(database: Path, end: dict[str, Any]) -> Books:
    """The ledger when every record has reached it, or as it is after two minutes."""
    deadline = time.monotonic() + LEDGER_LIMIT_S
    while True:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=60)) as db:
            rows = db.execute("SELECT request_id, state FROM request_records WHERE request_id LIKE 'soak-%'").fetchall()
        books = books_of(end["sent"], end["unsure"], ((int(name[5:]), state) for name, state in rows))
        if books.balance or time.monotonic() > deadline:
            return books
        time.sleep(1)


def revision(running: Running) -> int:
    """The oldest configuration that any worker obeys."""
    page = f"http://127.0.0.1:{running.metrics_port}/metrics"
    with urllib.request.urlopen(page, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return min(int(float(line.split()[-1])) for line in lines if line.startswith("omniroute_snapshot_revision"))


def run(options: argparse.Namespace) -> int:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        mock, port = start_mock(None, FAULTS_PER_MILLE)
        stack.callback(stop, mock)
        running = start_product(
            Upstream(port), None, folder, workers=options.workers, name="soak", text=config_text(port, 0)
        )
        stack.callback(running.end)
        _await_answer(running)
        load = Load(running.port)
        stack.callback(stop, load.process)
        soak = Soak(options, running, port, folder / "omniroute.yaml")
        return _soak(soak, load, folder / "data" / "omniroute.db")


def _await_answer(running: Running) -> None:
    for _ in range(20):  # the mock answers badly now and then
        if not (problem := problem_with(running, "local/soak")):
            return
    raise NotReadyError(problem)


def _soak(soak: Soak, load: Load, database: Path) -> int:
    capacity = 0.0 if soak.options.rate else measured_capacity(load)
    rate = soak.options.rate or capacity * soak.options.share
    measured = f"capacity {capacity:.0f}/s, " if capacity else ""
    print(f"{measured}load {rate:.0f}/s for {soak.options.seconds:.0f} s", file=sys.stderr, flush=True)
    before = revision(soak.running)
    end = run_steady(soak, load, rate)
    taken = _reloads_taken(soak, before)
    books = read_books(database, end)
    warmup_s = soak.options.warmup or min(180.0, soak.options.seconds / 3)
    trends = trends_of(soak.samples, warmup_s, soak.options.seconds - 1)
    faults = faults_of(trends, books, end["counts"], come_and_gone(soak.samples), (soak.reloads, taken))
    _report(trends, books, end, soak.reloads)
    _keep(soak, capacity, rate, warmup_s, trends, books, end, faults)
    for fault in faults:
        print(f"FAILED: {fault}")
    if any(trend.grows for trend in trends) and (pile := pile_of(soak.samples, warmup_s, soak.options.seconds - 1)):
        print(f"But {pile}.")
    if not faults:
        print("held: nothing grew, every request is in the ledger once")
    return 1 if faults else 0


def _reloads_taken(soak: Soak, before: int) -> int:
    """How many of the reloads all workers obey; waited for, as the last one may be on its way."""
    deadline = time.monotonic() + 30
    while (taken := revision(soak.running) - before) < soak.reloads and time.monotonic() < deadline:
        time.sleep(0.5)
    return taken


def _report(trends: list[Trend], books: Books, end: dict[str, Any], reloads: int) -> None:
    for trend in trends:
        print(trend)
    print(f"requests: {end['counts']}, refused with {end['statuses']}; {reloads} reloads")
    print(f"ledger: {books.sent} sent, {books.rows} rows; {books.unsure} callers left before they can know")
    for failure in end["failures"]:
        print(f"  {failure}")


def _keep(
    soak: Soak, capacity: float, rate: float, warmup_s: float, trends: list[Trend], books: Books, end: dict[str, Any],
    faults: list[str],
) -> None:  # fmt: skip
    OUT.mkdir(parents=True, exist_ok=True)
    options = vars(soak.options) | {"capacity": round(capacity), "rate": round(rate, 1), "warmup_s": warmup_s}
    kept = {
        "machine": about_machine(),
        "options": options,
        "faults": faults,
        "trends": [asdict(trend) | {"grows": trend.grows} for trend in trends],
        "books": asdict(books),
        "counts": end["counts"],
        "statuses": end["statuses"],
        "failures": end["failures"],
        "reloads": soak.reloads,
        "samples": soak.samples,
    }
    (OUT / "soak.json").write_text(json.dumps(kept))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=900.0, help="how long, without measuring the capacity")
    parser.add_argument("--share", type=float, default=0.6, help="of the measured capacity")
    parser.add_argument("--rate", type=float, default=0.0, help="requests/s; the capacity is not measured then")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--warmup", type=float, default=0.0, help="s that are not judged; by default a third, at most 180"
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, leave)  # so that what was started is ended then too
    build_tools()
    try:
        return run(options)
    except NotReadyError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
