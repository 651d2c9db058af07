"""The unit for one machine: systemd takes it as it is, finds little to reproach it with, and it lets the product end as it must."""

import configparser
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.config.settings import load_settings
from gateway.serve import drain, supervisor
from tests.support.chart import REPOSITORY

UNIT = REPOSITORY / "deploy" / "systemd" / "omniroute.service"
ANALYZE = shutil.which("systemd-analyze")
MOST_EXPOSED = 20
"""Of 100, as `systemd-analyze security` counts; a unit without any of it has 96."""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The unit with a program that is there; systemd looks for it."""
    if ANALYZE is None:
        pytest.skip("there is no systemd-analyze here (Debian: apt-get install systemd)")
    unit = tmp_path / "omniroute.service"
    unit.write_text(UNIT.read_text().replace("/opt/omniroute/bin/omniroute", sys.executable))
    return unit


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ANALYZE or "", *words], capture_output=True, text=True, timeout=60)


def service() -> Mapping[str, str]:
    """Its options; of one that is repeated the last."""
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.read_text())
    return parser["Service"]


def environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in service()["Environment"].split())


def test_systemd_takes_it_without_a_word(installed: Path) -> None:
    done = analyze("verify", "--man=no", str(installed))
    assert done.returncode == 0
    assert installed.name not in done.stderr, done.stderr


def test_a_planted_mistake_is_found(installed: Path) -> None:
    installed.write_text(installed.read_text().replace("KillMode=mixed", "KillMode=mixt"))
    assert "mixt" in analyze("verify", "--man=no", str(installed)).stderr


def test_it_is_as_closed_as_it_was(installed: Path) -> None:
    done = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", str(installed))
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd looks at loaded units only")
    assert done.returncode == 0, done.stdout


def test_it_waits_longer_than_the_product_drains_and_tells_the_supervisor_alone() -> None:
    settings = load_settings(environment())
    longest = settings.shutdown_delay_s + settings.shutdown_timeout_s + drain.KILL_AFTER_DEADLINE_S
    longest += supervisor._WORKERS_SPARE_S + supervisor._ADMIN_STOP_LIMIT_S + 2 * supervisor._VALKEY_STOP_LIMIT_S
    assert float(service()["TimeoutStopSec"]) > longest
    assert service()["KillMode"] == "mixed"


def test_all_that_is_written_lies_where_the_unit_lets_it() -> None:
    settings = load_settings(environment())
    assert str(settings.data_dir) == "/var/lib/" + service()["StateDirectory"] == service()["WorkingDirectory"]
    assert str(settings.run_dir) == "/run/" + service()["RuntimeDirectory"]
