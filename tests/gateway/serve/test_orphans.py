"""What a container's first process inherits is buried; what somebody waits for is left to him."""

import subprocess
import sys

import pytest

from tests.support.product import REPOSITORY, clean_environment

AS_FIRST_PROCESS = """
import ctypes, os, subprocess, time
from gateway.serve.orphans import reap_orphans

PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
subprocess.run(["sh", "-c", "sleep 0.1 & sleep 0.2 &"], check=True)   # both are ours now
count, deadline = 0, time.monotonic() + 60
while count < 2 and time.monotonic() < deadline:
    count += reap_orphans(())
    time.sleep(0.02)
own = subprocess.Popen(["sh", "-c", "exit 7"])
os.waitid(os.P_PID, own.pid, os.WEXITED | os.WNOWAIT)
print(count, reap_orphans({own.pid}), own.wait(), reap_orphans(()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="containers are Linux's")
def test_orphans_are_buried_and_what_somebody_waits_for_is_not() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AS_FIRST_PROCESS], env=clean_environment(), cwd=REPOSITORY, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.stdout.split() == ["2", "0", "7", "0"], done.stderr
