"""The supervisor's two pipes with the admin process: its ready line to us, and a lifeline that ends when we end."""

import os
import selectors

import msgspec
import structlog

from gateway.serve.banner import AdminReady

_READY_LINE_LIMIT_BYTES = 65_536

_log = structlog.get_logger()


class AdminLink:
    """The pipes of the admin process that runs now. The ready pipe is watched by the supervisor's selector."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._ready = -1
        self._lifeline = -1
        self._gathered = b""

    def open(self) -> tuple[int, int]:
        """New pipes in place of those before. Returns the child's ends, to be closed here once it has them."""
        self.close()
        self._ready, its_ready = os.pipe()
        its_lifeline, self._lifeline = os.pipe()
        os.set_blocking(self._ready, False)
        self._selector.register(self._ready, selectors.EVENT_READ, self)
        return its_ready, its_lifeline

    def close(self) -> None:
        """Drop our ends: for the admin process that is the sign to end."""
        self._stop_reading()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    def take_ready(self) -> AdminReady | None:
        """What the ready line says, once it is whole; call it when the pipe is readable."""
        try:
            data = os.read(self._ready, 4096)
        except BlockingIOError:
            return None
        self._gathered += data
        line, newline, _ = self._gathered.partition(b"\n")
        if newline or not data or len(self._gathered) > _READY_LINE_LIMIT_BYTES:
            self._stop_reading()
        if not newline:
            return None
        try:
            return msgspec.json.decode(line, type=AdminReady)
        except msgspec.MsgspecError as error:
            _log.error("the admin process sent an unreadable ready line", error=str(error))
            return None

    def _stop_reading(self) -> None:
        if self._ready >= 0:
            self._selector.unregister(self._ready)
            os.close(self._ready)
            self._ready = -1
        self._gathered = b""
