"""Run a program that the kernel ends when its parent ends: `tied_exec.py PARENT_PID SIGNAL PROGRAM [ARGUMENT...]`.

The supervisor starts its children through this file instead of a `preexec_fn`, which is unsafe beside threads. It
is run with `-I -S`, so it may import the standard library only. Systems without PR_SET_PDEATHSIG just get the exec;
there a lifeline pipe or a look at the parent must do (`gateway/tasks`).
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent_pid: int, signum: int) -> None:
    """Ask the kernel for `signum` at the parent's end; leave at once if it has ended already."""
    if sys.platform == "linux":
        # The signal comes when the *thread* that forked us ends, so parents start children from their main thread.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signum, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]), int(sys.argv[2]))
    os.execvp(sys.argv[3], sys.argv[3:])  # noqa: S606  (the argument list is the supervisor's own)
