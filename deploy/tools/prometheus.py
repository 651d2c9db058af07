"""Puts `prometheus` and `promtool` into a folder, without root: `python deploy/tools/prometheus.py FOLDER`.

They come from Debian's package, the version and hash of `requirements/prometheus.lock`, through the machine's own apt: its
lists if it has them, else lists of its own. Where there is no apt, or another architecture, what is on the PATH is linked.
Standard library only. Exit code 1 and one line when there is nothing to be had.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

LOCK = Path(__file__).parents[2] / "requirements/prometheus.lock"
PROGRAMS = ("prometheus", "promtool")
LIMIT_S = 600
_PATIENT = ("-o", "Acquire::Retries=3", "-o", "Acquire::http::Timeout=60")


class NotToBeHad(Exception):
    """The message says why."""


def install(folder: Path) -> None:
    """Fill the folder unless it is full; several at once wait for the first. Raises NotToBeHad."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        mark, wanted = folder / ".made-from", LOCK.read_text()
        if mark.exists() and mark.read_text() == wanted and all((folder / name).exists() for name in PROGRAMS):
            return
        try:
            _from_package(folder)
        except NotToBeHad as error:
            _from_path(folder, error)
        mark.write_text(wanted)


def _from_package(folder: Path) -> None:
    if not all(map(shutil.which, ("apt-get", "dpkg-deb", "dpkg"))):
        raise NotToBeHad("there is no apt on this machine")
    architecture = _run(["dpkg", "--print-architecture"], folder).strip()
    locked = [line.split() for line in LOCK.read_text().splitlines() if line and not line.startswith("#")]
    found = [(version, digest) for name, version, digest in locked if name == architecture]
    if not found:
        raise NotToBeHad(f"{LOCK.name} has no package for {architecture}")
    [(version, digest)] = found
    with tempfile.TemporaryDirectory() as scratch:
        package = _downloaded(f"prometheus={version}", Path(scratch))
        if hashlib.sha256(package.read_bytes()).hexdigest() != digest:
            raise NotToBeHad(f"{package.name} is not what {LOCK.name} says")
        _run(["dpkg-deb", "-x", str(package), scratch], folder)
        for name in PROGRAMS:
            (folder / name).unlink(missing_ok=True)
            shutil.move(Path(scratch) / "usr/bin" / name, folder / name)


def _downloaded(package: str, scratch: Path) -> Path:
    """With the machine's lists; a machine without (or with old ones) gets lists in the scratch folder."""
    try:
        _run(["apt-get", *_PATIENT, "download", package], scratch)
    except NotToBeHad:
        state, cache = scratch / "state", scratch / "cache"
        (state / "lists/partial").mkdir(parents=True)
        (cache / "archives/partial").mkdir(parents=True)
        own = ("-o", f"Dir::State::Lists={state}/lists", "-o", f"Dir::Cache={cache}", *_PATIENT)
        _run(["apt-get", *own, "update"], scratch)
        _run(["apt-get", *own, "download", package], scratch)
    [found] = scratch.glob("prometheus_*.deb")
    return found


def _from_path(folder: Path, cause: NotToBeHad) -> None:
    found = {name: shutil.which(name) for name in PROGRAMS}
    for name, path in found.items():
        if path is None:
            raise NotToBeHad(f"{cause}, and no {name} on the PATH") from cause
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(path)


def _run(command: list[str], folder: Path) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=True,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError) as error:
        said = str(getattr(error, "stderr", "") or error).strip().splitlines()
        raise NotToBeHad(f"{' '.join(command[:1] + command[-2:])}: {said[-1] if said else error}") from error
    return done.stdout


if __name__ == "__main__":
    try:
        install(Path(sys.argv[1]).absolute())
    except NotToBeHad as error:
        sys.exit(f"no Prometheus: {error}")
