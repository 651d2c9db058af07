"""One load on one subject, and the rounds of all of them: drives `loadc`, samples the scheduler, keeps every figure.

It decides nothing about what the figures mean (summary.py) and starts no subject (subjects.py).
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from loadtests.processes import CpuSample, Process, family, peers_of, role_of, rss_kb, sample, spent_us, turns_between
from loadtests.subjects import BIN, KEY, Running
from loadtests.workloads import Workload

Figures = dict[str, Any]
PROBES_A_SECOND = 500
SETTLE_LIMIT_S = 4.0
_LAG = re.compile(r"^omniroute_event_loop_lag_seconds(?:{[^}]*})? (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Cores:
    """The gateway's core and the one for mock and client; None where the machine has only one."""

    gateway: int | None
    tools: int | None

    @staticmethod
    def choose() -> "Cores":
        usable = sorted(os.sched_getaffinity(0))
        return Cores(usable[0], usable[1]) if len(usable) > 1 else Cores(None, None)


class Client:
    """A running `loadc` that says when it begins to count and keeps its connections until it is let go."""

    def __init__(self, port: int, arguments: tuple[str, ...], model: str) -> None:
        command = [str(BIN / "loadc"), "-x", "-p", str(port), *arguments]
        environment = {**os.environ, "LOADC_MODEL": model, "LOADC_KEY": KEY}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)

    def await_begin(self) -> None:
        assert self.process.stdout is not None
        self.process.stdout.readline()

    def result(self) -> Figures:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"loadc ended with {self.process.wait(10)} and gave no result")
        figures: Figures = json.loads(line)
        figures["bad"] = figures["err"] + figures["non2xx"]
        return figures

    def let_go(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.process.communicate(timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def drive(port: int, model: str, load: Workload, running: Running | None, cores: Cores, mock: int) -> Figures:
    """Put one load on one port, and count what it costs from the end of the warm-up to the end of the load."""
    arguments = ("-w", str(load.warmup_s), "-t", str(load.seconds), *load.arguments)
    members = family(running.process.pid, running.mark) if running and running.process else []
    pids = [member.pid for member in members]
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(Client(port, arguments, model))
        probe = stack.enter_context(_probe(port, load)) if load.is_probed else None
        client.await_begin()
        if probe is not None:
            probe.await_begin()
        before = sample(pids, cores.gateway)
        lag_ms = _watch_lag(running, load) if load.is_probed else 0.0
        figures = client.result()
        after = sample(pids, cores.gateway)
        figures["per_second"] = figures[load.counted] / figures["secs"]
        if running is not None:
            figures["rss_kb"] = rss_kb(running.worker)
            figures["bad"] += not figures["rss_kb"]  # the worker is gone, whatever was answered
            figures.update(_cost(running, members, before, after, max(1, figures[load.counted])))
        if probe is not None:
            answered = probe.result()
            figures.update(probe_p50=answered["lat_p50"], probe_p99=answered["lat_p99"], probe_max=answered["lat_max"])
            figures.update(lag_ms=lag_ms, bad=figures["bad"] + answered["bad"])
            probe.let_go()
        client.let_go()
    _settle(mock)
    return figures


def _probe(port: int, load: Workload) -> Client:
    """Asks for a page that needs nothing but the loop. Latency counts from when each question was due."""
    rate = ("-G", "-u", "/healthz", "-c", "8", "-r", str(PROBES_A_SECOND))
    return Client(port, (*rate, "-w", str(load.warmup_s), "-t", str(load.seconds)), "")


def _watch_lag(running: Running | None, load: Workload) -> float:
    """The largest delay of the loop that the gateway itself reports while the load runs, ms."""
    if running is None or not running.metrics_port:
        return 0.0
    worst, until = 0.0, time.monotonic() + load.seconds - 0.2
    while time.monotonic() < until:
        time.sleep(0.15)
        page = f"http://127.0.0.1:{running.metrics_port}/metrics"
        with contextlib.suppress(OSError), urllib.request.urlopen(page, timeout=1) as answer:
            worst = max(worst, parse_lag_ms(answer.read().decode()))
    return worst


def parse_lag_ms(metrics: str) -> float:
    return max((float(value) * 1000 for value in _LAG.findall(metrics)), default=0.0)


def _cost(running: Running, members: list[Process], before: CpuSample, after: CpuSample, count: int) -> Figures:
    assert running.process is not None
    by_role: dict[str, float] = {}
    for member in members:
        role = role_of(member, running.process.pid, running.worker)
        by_role[role] = by_role.get(role, 0.0) + spent_us(before, after, [member.pid]) / count
    busy_s = after.core_busy_s - before.core_busy_s
    took_s = after.taken_at - before.taken_at
    return {
        "worker_us": spent_us(before, after, [running.worker]) / count,
        "all_us": spent_us(before, after) / count,
        "by_role_us": by_role,
        "worker_turns": turns_between(before, after, [running.worker]) / count,
        "others_pct": 100 * max(0.0, busy_s - spent_us(before, after) / 1e6) / took_s,
        "worker_core_pct": spent_us(before, after, [running.worker]) / 1e4 / took_s,
    }


def _settle(mock: int) -> None:
    """Wait until nothing of the last load runs on: what it left behind must not be charged to the next."""
    deadline = time.monotonic() + SETTLE_LIMIT_S
    while time.monotonic() < deadline and mock_stats(mock)["streams_open"]:
        time.sleep(0.02)
    time.sleep(0.05)


def mock_stats(mock: int) -> dict[str, int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{mock}/stats", timeout=5) as answer:
        stats: dict[str, int] = json.loads(answer.read())
        return stats


def measure(subjects: list[Running], mock: int, loads: list[Workload], rounds: int, cores: Cores) -> list[Figures]:
    """All rounds of all loads on all subjects, interleaved; one entry for each measurement.

    A subject that serves no more is left out from there on; why stands in its `lost`.
    """
    taken: list[Figures] = []
    for number in range(rounds):
        for load in loads:
            print(f"round {number + 1} of {rounds}: {load.name}: {load.says}", file=sys.stderr, flush=True)
            if load.is_direct:
                figures = drive(mock, "gpt-mock", load, None, cores, mock)
                taken.append({"subject": "direct", "workload": load.name, "round": number, **figures})
            for variant, running, model in in_turn(subjects, load, number):
                if running.lost:
                    continue
                figures = drive(running.port, model, load, running, cores, mock)
                taken.append({"subject": variant, "workload": load.name, "round": number, **figures})
                if figures["bad"]:
                    print(f"  {variant}: {figures['bad']} bad; {running.look_again()}", file=sys.stderr, flush=True)
    return taken


def in_turn(subjects: list[Running], load: Workload, number: int) -> Iterator[tuple[str, Running, str]]:
    """Who is put under this load: forwards in even rounds, backwards in odd ones, so that no place is the better one."""
    turns = [
        (variant, running, model)
        for running in subjects
        for variant, model in running.models.items()
        if variant in load.variants
    ]
    yield from turns if number % 2 == 0 else reversed(turns)


def weigh(running: Running, variant: str, load: Workload, mock: int) -> Figures:
    """Memory of a worker that has just started, with streams open, and a second after they closed. Ends the subject."""
    try:
        return _weigh(running, running.models[variant], load, mock)
    finally:
        running.end()


def _weigh(running: Running, model: str, load: Workload, mock: int) -> Figures:
    time.sleep(1.0)
    idle = rss_kb(running.worker)
    arguments = ("-w", str(load.warmup_s), "-t", str(load.seconds), *load.arguments)
    with Client(running.port, arguments, model) as client:
        client.await_begin()
        open_now, loaded = mock_stats(mock)["streams_open"], rss_kb(running.worker)
        bad = client.result()["bad"]
        client.let_go()
    _settle(mock)
    time.sleep(1.0)
    return {
        "ready_s": running.ready_s,
        "idle_kb": idle,
        "streams": open_now,
        "open_kb": loaded,
        "stream_kb": (loaded - idle) / max(1, open_now),
        "after_kb": rss_kb(running.worker),
        "bad": bad,
    }


def share(running: Running, workers: list[int], connections: int, rate: int, seconds: float) -> Figures:
    """How connections and requests fall to the workers: each answer counted to the worker that holds its connection.

    `rate` is requests/s over all connections in turn; 0 is as fast as each connection is answered.
    """
    pace = ("-r", str(rate)) if rate else ()
    arguments = ("-P", "-c", str(connections), "-w", "0.5", "-t", str(seconds), "-B", "2048", "-m", "b=1024", *pace)
    model = running.models["product"]
    with Client(running.port, arguments, model) as client:
        client.await_begin()
        before = sample(workers, None)
        held = {pid: peers_of(pid, running.port) for pid in workers}
        figures = client.result()
        after = sample(workers, None)
        client.let_go()
    answers = {int(port): count for port, count in figures["ports"].items()}
    return {
        "rate": rate,
        "connections": [len(held[pid]) for pid in workers],
        "requests": [sum(answers.get(port, 0) for port in held[pid]) for pid in workers],
        "cpu_ms": [spent_us(before, after, [pid]) / 1000 for pid in workers],
        "rps": figures["rps"],
        "lat_p50": figures["lat_p50"],
        "lat_p99": figures["lat_p99"],
        "bad": figures["bad"],
    }
