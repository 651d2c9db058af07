"""Burying what is not ours. The first process of a container inherits every process whose parent has died, and must take note of its end.

Else each worker that outlives granian's main process stays in the table of processes as a zombie until the container ends.
"""

import os
from collections.abc import Collection


def is_first_process() -> bool:
    """Whether we are the one that inherits: a container's command without an init before it."""
    return os.getpid() == 1


def reap_orphans(ours: Collection[int]) -> int:
    """Take note of the ends of inherited processes; gives how many. `ours` are process ids that somebody else here waits for."""
    count = 0
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return count
        if ended is None or ended.si_pid in ours:
            return count  # one of ours hides those behind it until it is buried: they can wait
        os.waitpid(ended.si_pid, 0)
        count += 1
