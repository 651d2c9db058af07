"""Signals as something a loop can wait for: each one becomes a byte on a socket pair. Main thread only."""

import signal
import socket
from types import FrameType

_WATCHED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


class SignalInbox:
    """Readable (see `fileno`) when a signal has come; `take` says which."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        for signum in _WATCHED:
            signal.signal(signum, _only_wake)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)

    def fileno(self) -> int:
        """For a selector."""
        return self._reader.fileno()

    def take(self) -> list[int]:
        """The signals that came since the last call, in order."""
        try:
            return list(self._reader.recv(4096))
        except BlockingIOError:
            return []


def _only_wake(_signum: int, _frame: FrameType | None) -> None:
    """A signal needs a handler to reach the wake-up descriptor; there is nothing else to do in it."""
