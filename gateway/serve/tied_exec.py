"""Run a program that ends when its parent ends: `tied_exec.py PARENT_PID SIGNAL PROGRAM [ARGUMENT...]`.

The supervisor starts its children through this file instead of a `preexec_fn`, which is unsafe beside threads. It
is run with `-I -S`, so it may import the standard library only. Linux has the kernel send the signal; elsewhere a
small process in the program's group looks for the parent.
"""

import ctypes
import os
import sys
import time

_PR_SET_PDEATHSIG = 1
_LOOK_EVERY_S = 0.5
_INHERITED_DESCRIPTORS = 256


def die_with_parent(parent_pid: int, signum: int) -> None:
    """Have this process get `signum` at its parent's end (Linux); leave at once if that has come already."""
    if sys.platform == "linux":
        # The signal comes when the *thread* that forked us ends, so parents start children from their main thread.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signum, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)


def watch_parent(parent_pid: int, signum: int) -> None:
    """Fork a watcher that sends us `signum` once the parent is gone, and leaves when we are."""
    program = os.getpid()
    if os.fork() != 0:
        return
    os.closerange(3, _INHERITED_DESCRIPTORS)  # it must not keep the data dir's lock or a lifeline open
    while os.getppid() == program:
        if not _exists(parent_pid):
            os.kill(program, signum)
            break
        time.sleep(_LOOK_EVERY_S)
    os._exit(0)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return False  # an id used again by somebody else
    return True


if __name__ == "__main__":
    if sys.platform != "linux":
        watch_parent(int(sys.argv[1]), int(sys.argv[2]))
    die_with_parent(int(sys.argv[1]), int(sys.argv[2]))
    os.execvp(sys.argv[3], sys.argv[3:])  # noqa: S606  (the argument list is the supervisor's own)
