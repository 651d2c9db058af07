"""A program that ends when its parent ends, by the kernel and without it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.serve import tied_exec
from tests.support.product import is_alive, wait_for

PROGRAM = str(Path(tied_exec.__file__))
PARENT = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, *sys.argv[1:2], "{program}", str(os.getpid()), "15", "sleep", "60"])
print(child.pid, flush=True)
child.wait()
"""
WATCHING = f"""
import os, sys
sys.path.insert(0, {str(Path(tied_exec.__file__).parent)!r})
import tied_exec
tied_exec.watch_parent(int(sys.argv[1]), int(sys.argv[2]))
os.execvp(sys.argv[3], sys.argv[3:])
"""


def start_parent(program: str) -> tuple[subprocess.Popen[str], int]:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(program=program), "-I"], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout
    child = int(parent.stdout.readline())
    parent.stdout.close()
    return parent, child


@pytest.mark.parametrize("by_kernel", [True, False])
def test_the_program_ends_after_its_parent_was_killed(tmp_path: Path, by_kernel: bool) -> None:
    watching = tmp_path / "watching.py"
    watching.write_text(WATCHING)
    parent, child = start_parent(PROGRAM if by_kernel else str(watching))
    wait_for(lambda: b"sleep" in Path(f"/proc/{child}/cmdline").read_bytes(), 3)
    parent.kill()
    parent.wait()
    wait_for(lambda: not is_alive(child), 3)


def test_the_watcher_leaves_with_the_program(tmp_path: Path) -> None:
    watching = tmp_path / "watching.py"
    watching.write_text(WATCHING)
    command = [sys.executable, str(watching), str(os.getpid()), "15", "sleep", "0.2"]
    program = subprocess.Popen(command, start_new_session=True)
    assert program.wait(5) == 0
    wait_for(lambda: not _group_lives(program.pid), 3)


def test_a_program_whose_parent_is_gone_already_does_not_start() -> None:
    done = subprocess.run([sys.executable, "-I", "-S", PROGRAM, "1", str(int(signal.SIGTERM)), "echo", "started"],
                          capture_output=True, text=True, timeout=60)  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
