"""`make load SCENARIO=streaming`: one scenario with all that it needs, in one command.

    python -m loadtests.load SCENARIO [--users N] [--seconds S] [--processes N] [--workers N] [--out FOLDER]

Starts the C stand-in of a provider and the whole product on loopback, lets locust's processes be the users, ends all by pid, and
writes `load-SCENARIO.json`, `.md` and `.html` to loadtests/out. With OMNIROUTE_URL (and OMNIROUTE_KEY, OMNIROUTE_MODEL) it starts no
product and asks that one: never one whose providers bill. Ends with 1 when a threshold of the scenario is missed.
"""

import argparse
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.bench import build_tools
from loadtests.load_report import Report, markdown
from loadtests.overload import overload_markdown, run_overload
from loadtests.processes import CpuSample, Process, family, role_of, rss_kb, sample, spent_us
from loadtests.scenario import Keys, Scenario, ScenarioError, names, scenario_of
from loadtests.subjects import (
    CONFIG,
    KEY,
    LIMITS,
    ROOT,
    NotReadyError,
    Running,
    Upstream,
    free_port,
    problem_with,
    start_mock,
    start_product,
    stop,
)

OUT = ROOT / "loadtests" / "out"
LOCUST = ROOT / ".venv-load" / "bin" / "locust"
MODEL = "local/bench"
SPARE_S = 240.0
"""For locust's start and for what is under way at its end, beside its stages."""


@dataclass(frozen=True, slots=True)
class Where:
    """What is asked: an address, keys, a model. `running` is the product, where it is ours."""

    url: str
    keys: tuple[str, ...]
    model: str
    running: Running | None = None


def run_scenario(scenario: Scenario, where: Where, options: argparse.Namespace) -> Report:
    """One scenario against what listens there. Raises NotReadyError where locust is missing or gives no report."""
    running = where.running
    members = family(running.process.pid, running.mark) if running and running.process else []
    before = sample([member.pid for member in members], None)
    if scenario.overload is not None:
        if running is None:
            raise NotReadyError("overload is for loopback: unset OMNIROUTE_URL")
        about = {"url": where.url, "model": where.model, "workers": options.workers}
        found = run_overload(scenario, running.port, where.keys[0], where.model, about)
    else:
        found = run_locust(scenario, where, options)
    if running is not None:
        after = sample([member.pid for member in members], None)
        found["product"] = product_figures(running, members, before, after)
    return found


def run_locust(scenario: Scenario, where: Where, options: argparse.Namespace) -> Report:
    """locust's master and its workers, to their end; the report that the master has written."""
    if not options.locust.exists():
        raise NotReadyError(f"{options.locust} is missing: `make load` installs it")
    stem = options.out / f"load-{scenario.name}"
    with tempfile.TemporaryDirectory(prefix="omniload-") as folder:
        keys, path = Path(folder) / "keys", Path(folder) / "report.json"
        port = free_port()
        keys.write_text("\n".join(where.keys))
        command = [
            str(options.locust), "-f", str(ROOT / "loadtests" / "locustfile.py"), "--headless", "--only-summary",
            "--processes", str(options.processes), "--stop-timeout", "30", "--loglevel", "WARNING",
            "--exit-code-on-error", "0", "--html", f"{stem}.html", "--master-bind-host", "127.0.0.1",
            "--master-bind-port", str(port), "--master-port", str(port),
        ]  # fmt: skip
        variables = {
            "OMNIROUTE_SCENARIO": options.scenario,
            "OMNIROUTE_LOAD_USERS": str(options.users or ""),
            "OMNIROUTE_LOAD_SECONDS": str(options.seconds or ""),
            "OMNIROUTE_URL": where.url,
            "OMNIROUTE_MODEL": where.model,
            "OMNIROUTE_KEYS": str(keys),
            "OMNIROUTE_LOAD_REPORT": str(path),
        }
        process = subprocess.Popen(
            command, env={**os.environ, **variables}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
        )  # fmt: skip
        try:
            printed, _ = process.communicate(timeout=scenario.seconds + SPARE_S)
        except BaseException:
            stop(process)  # type: ignore[arg-type]
            raise
        if not path.exists():
            raise NotReadyError(f"locust gave no report:\n{printed[:2000]}")
        found: Report = json.loads(path.read_text())
        return found


def product_figures(running: Running, members: list[Process], before: CpuSample, after: CpuSample) -> dict[str, Any]:
    """CPU seconds of the whole run by role, warm-up and all, and memory at its end."""
    assert running.process is not None
    by_role: dict[str, float] = {}
    for member in members:
        role = role_of(member, running.process.pid, running.worker)
        by_role[role] = by_role.get(role, 0.0) + spent_us(before, after, [member.pid]) / 1e6
    return {
        "cpu_s": by_role,
        "cores": sum(by_role.values()) / max(1e-9, after.taken_at - before.taken_at),
        "worker_rss_mb": rss_kb(running.worker) / 1024,
    }


@contextmanager
def somewhere(scenario: Scenario, options: argparse.Namespace) -> Iterator[Where]:
    """What OMNIROUTE_URL names, or a product of our own."""
    if url := os.environ.get("OMNIROUTE_URL"):
        given = Path(os.environ["OMNIROUTE_KEYS"]).read_text().split() if "OMNIROUTE_KEYS" in os.environ else []
        yield Where(url, tuple(given) or (os.environ.get("OMNIROUTE_KEY", ""),), os.environ.get("OMNIROUTE_MODEL", "demo/story"))  # fmt: skip
        return
    build_tools()
    with tempfile.TemporaryDirectory(prefix="omniload-") as folder, ExitStack() as stack:
        process, mock = start_mock(None)
        stack.callback(stop, process)
        keys = keys_for(scenario.keys)
        text = CONFIG.format(mock=mock, tls=mock, limits=LIMITS["all"]) + more_config(scenario, keys)
        running = start_product(Upstream(mock), None, Path(folder), workers=options.workers, text=text)
        stack.callback(running.end)
        if problem := problem_with(running, MODEL):
            raise NotReadyError(f"the product {problem}")
        yield Where(f"http://127.0.0.1:{running.port}", keys or (KEY,), MODEL, running)


def keys_for(keys: Keys) -> tuple[str, ...]:
    """Secrets of as many new keys; none where the one of the benchmark does."""
    if keys.count == 1 and not keys.rpm:
        return ()
    return tuple(f"sk-or-load-{secrets.token_hex(20)}" for _ in range(keys.count))


def more_config(scenario: Scenario, keys: tuple[str, ...]) -> str:
    """What the config file has beside the benchmark's: the keys, and when a worker refuses."""
    lines = [f"  - {{name: load-{n}, secret: {key}, rpm: {scenario.keys.rpm}}}\n" for n, key in enumerate(keys, 1)]
    bounds = scenario.bounds
    lines.append(f"settings: {{waiting: {{max_open: {bounds.max_open}, max_lag_s: {bounds.max_lag_s}}}}}\n")
    return "".join(lines)


def options_from(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run one scenario of load.")
    parser.add_argument("scenario", help=f"of {', '.join(names())}, or the path of a .toml")
    parser.add_argument("--users", type=int, default=0, help="instead of those of the scenario, in one stage")
    parser.add_argument("--seconds", type=float, default=0.0, help="how long, instead of the scenario's stages")
    parser.add_argument("--processes", type=int, default=2, help="locust's workers (default 2)")
    parser.add_argument("--workers", type=int, default=1, help="of the product (default 1)")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--locust", type=Path, default=LOCUST)
    return parser.parse_args(arguments)


def _leave(_number: int, _frame: object) -> None:
    sys.exit(143)


def main() -> int:
    options = options_from(sys.argv[1:])
    signal.signal(signal.SIGTERM, _leave)  # so that what was started is ended then too
    try:
        given = {"OMNIROUTE_SCENARIO": options.scenario}
        if options.users or options.seconds:
            given |= {
                "OMNIROUTE_LOAD_USERS": str(options.users or ""),
                "OMNIROUTE_LOAD_SECONDS": str(options.seconds or ""),
            }
        scenario = scenario_of(given)
        options.out.mkdir(parents=True, exist_ok=True)
        with somewhere(scenario, options) as where:
            found = run_scenario(scenario, where, options)
    except (ScenarioError, NotReadyError) as error:
        sys.exit(str(error))
    text = markdown(found) if scenario.overload is None else overload_markdown(found)
    stem = options.out / f"load-{scenario.name}"
    stem.with_suffix(".json").write_text(json.dumps(found, indent=1))
    stem.with_suffix(".md").write_text(text)
    print(text)
    print(f"Written: {stem}.json, .md" + ("" if scenario.overload else ", .html"))
    return 1 if found["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
