"""Prometheus for the tests is the one that the lock names, or none."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.product import REPOSITORY

TOOL = REPOSITORY / "deploy/tools/prometheus.py"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A PATH whose apt gives another package than the lock says, and nothing else."""
    programs = {
        "dpkg": "echo amd64",
        "dpkg-deb": "exit 1",
        "apt-get": ": > prometheus_1_amd64.deb",
    }
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, line in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)
    return folder


def installed(path: Path, into: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, TOOL, into], env={"PATH": str(path)}, capture_output=True, text=True, timeout=60
    )


def test_a_package_with_another_hash_is_not_used(machine: Path, tmp_path: Path) -> None:
    done = installed(machine, tmp_path / "tools")
    assert done.returncode == 1
    assert "is not what prometheus.lock says" in done.stderr
    assert not (tmp_path / "tools/prometheus").exists()


def test_without_apt_what_is_on_the_path_serves(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("prometheus", "promtool"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    done = installed(folder, tmp_path / "tools")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tools/promtool").resolve() == folder / "promtool"


def test_without_either_it_says_what_is_missing(tmp_path: Path) -> None:
    done = installed(tmp_path, tmp_path / "tools")
    assert done.returncode == 1
    assert done.stderr.startswith("no Prometheus: there is no apt on this machine")
