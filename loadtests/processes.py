"""Which processes belong to a thing under test, and what they have cost: CPU by the scheduler's own count, memory.

Wall-clock figures move with whatever else the machine does; nanoseconds on a CPU do not. Linux only (/proc).
"""

import contextlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

PROC = Path("/proc")
MARK = "OMNIROUTE_BENCH_MARK"
"""A variable set for everything we start, so a process that left its parent is still known as ours."""


@dataclass(frozen=True, slots=True)
class Process:
    pid: int
    parent: int
    command: str


@dataclass(frozen=True, slots=True)
class Spent:
    """What the scheduler has counted for a thread: on a CPU, ready but without one, and how often it was put on one."""

    run_ns: int
    wait_ns: int
    turns: int


@dataclass(frozen=True, slots=True)
class CpuSample:
    """The scheduler's counts by thread at one moment, and the busy time of the gateway's core."""

    taken_at: float
    threads: dict[tuple[int, str], Spent] = field(default_factory=dict)
    core_busy_s: float = 0.0


def parse_schedstat(text: str) -> Spent:
    """One line of /proc/PID/task/TID/schedstat. Raises ValueError."""
    run, wait, turns = (int(number) for number in text.split())
    return Spent(run, wait, turns)


def listing() -> dict[int, Process]:
    """All processes of this machine that we may look at."""
    found = {}
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            stat = (entry / "stat").read_text()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
            found[int(entry.name)] = Process(int(entry.name), int(stat.rpartition(")")[2].split()[1]), command)
    return found


def family(root: int, mark: str) -> list[Process]:
    """`root`, its descendants, and every process that carries our mark in its environment."""
    everything = listing()
    wanted = f"{MARK}={mark}".encode()
    members = {root} | {pid for pid in everything if wanted in _environment(pid)}
    grew = True
    while grew:
        more = {p.pid for p in everything.values() if p.parent in members} - members
        members |= more
        grew = bool(more)
    return [everything[pid] for pid in sorted(members) if pid in everything]


def worker_of(members: list[Process], port: int) -> int:
    """The process that answers on `port`: of those that hold its listening socket, the one furthest down the tree."""
    inodes = _listening_inodes(port)
    by_pid = {p.pid: p for p in members}
    holders = [p for p in members if inodes & _socket_inodes(p.pid)]
    if not holders:
        raise RuntimeError(f"no process of ours listens on port {port}")

    def depth(process: Process) -> int:
        steps = 0
        while (parent := by_pid.get(process.parent)) is not None:
            process, steps = parent, steps + 1
        return steps

    return max(holders, key=lambda p: (depth(p), sum(spent.run_ns for spent in _threads(p.pid).values()))).pid


def workers_of(members: list[Process], port: int) -> list[int]:
    """All processes that answer on `port`: those with its listening socket that have no child with one."""
    inodes = _listening_inodes(port)
    holders = {p.pid: p for p in members if inodes & _socket_inodes(p.pid)}
    parents = {p.parent for p in holders.values()}
    return sorted(pid for pid in holders if pid not in parents)


def peers_of(pid: int, port: int) -> list[int]:
    """The callers' ports of the connections to `port` that this process holds now."""
    held = _socket_inodes(pid)
    return [peer for inode, peer in _established(port).items() if inode in held]


def sample(pids: list[int], core: int | None) -> CpuSample:
    threads = {(pid, tid): spent for pid in pids for tid, spent in _threads(pid).items()}
    return CpuSample(time.monotonic(), threads, _core_busy_s(core))


def spent_us(before: CpuSample, after: CpuSample, pids: list[int] | None = None) -> float:
    """CPU microseconds between two samples, of some processes or of all that were sampled."""
    return sum(now.run_ns - was.run_ns for was, now in _pairs(before, after, pids)) / 1000


def turns_between(before: CpuSample, after: CpuSample, pids: list[int]) -> int:
    """How often these processes were put on a CPU: about how often they were woken."""
    return sum(now.turns - was.turns for was, now in _pairs(before, after, pids))


def _pairs(before: CpuSample, after: CpuSample, pids: list[int] | None) -> list[tuple[Spent, Spent]]:
    """Each thread's counts then and now. A thread that has ended is left out, a new one began at nothing."""
    return [
        (before.threads.get(thread, Spent(0, 0, 0)), spent)
        for thread, spent in after.threads.items()
        if pids is None or thread[0] in pids
    ]


def rss_kb(pid: int) -> int:
    """Resident memory; 0 for a process that is gone."""
    with contextlib.suppress(OSError):
        for line in (PROC / str(pid) / "status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return 0


def role_of(process: Process, root: int, worker: int) -> str:
    """A short name for the table: what this process is to the product."""
    if process.pid == worker:
        return "worker"
    words = process.command.lower()
    if "valkey" in words or "redis-server" in words:
        return "valkey"
    if process.pid == root:
        return "supervisor"
    if "resource_tracker" in words:
        return "other"
    return "admin" if "admin" in words else "other"


def _threads(pid: int) -> dict[str, Spent]:
    found = {}
    with contextlib.suppress(OSError):
        for task in (PROC / str(pid) / "task").iterdir():
            with contextlib.suppress(OSError, ValueError):
                found[task.name] = parse_schedstat((task / "schedstat").read_text())
    return found


def _environment(pid: int) -> bytes:
    try:
        return (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return b""


def parse_tcp_table(text: str, state: str, port: int) -> dict[str, int]:
    """Of /proc/net/tcp: inode → the other side's port, for sockets in `state` whose own port is `port`."""
    found = {}
    for line in text.splitlines()[1:]:
        fields = line.split()
        if fields[3] == state and int(fields[1].rpartition(":")[2], 16) == port:
            found[fields[9]] = int(fields[2].rpartition(":")[2], 16)
    return found


def _listening_inodes(port: int) -> set[str]:
    return set(_sockets("0A", port))


def _established(port: int) -> dict[str, int]:
    return _sockets("01", port)


def _sockets(state: str, port: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            found.update(parse_tcp_table((PROC / "net" / name).read_text(), state, port))
    return found


def _socket_inodes(pid: int) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for entry in (PROC / str(pid) / "fd").iterdir():
            with contextlib.suppress(OSError):
                target = str(entry.readlink())
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found


def _core_busy_s(core: int | None) -> float:
    if core is None:
        return 0.0
    for line in (PROC / "stat").read_text().splitlines():
        name, *fields = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _wait, irq, soft, *_rest = (int(value) for value in fields)
            return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")
    return 0.0
