"""The application as a worker's server calls it: start-up either succeeds, or ends the worker.

granian does two things here that we do not want. A stop signal that comes while lifespan starts is lost, and the
worker then serves on until it is killed: so until it serves, the signal simply ends the process. And a lifespan
that raises is taken for one that is not supported: so an error is told as a failed start.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import structlog

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SERVING_AFTER_S = 0.05
"""granian begins to serve in the same turn in which lifespan has started; a timer fires after that turn only."""

_log = structlog.get_logger()

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class StartsOrEnds:
    """Wraps an application's lifespan; its requests pass straight through."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._has_started = False
        self._graceful: dict[signal.Signals, Any] = {}

    def __call__(self, scope: Message, receive: Receive, send: Send) -> Awaitable[None]:
        """One plain call and no coroutine of our own: this stands in the way of every request."""
        if scope["type"] == "lifespan":
            return self._lifespan(scope, receive, send)
        if self._graceful:
            self._drain_at_stop_signals()
        return self._app(scope, receive, send)

    async def _lifespan(self, scope: Message, receive: Receive, send: Send) -> None:
        handlers = {signum: signal.getsignal(signum) for signum in STOP_SIGNALS}
        end_at_stop_signals()

        async def noticing(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self._has_started = True
                self._graceful = handlers
                asyncio.get_running_loop().call_later(_SERVING_AFTER_S, self._drain_at_stop_signals)
            await send(message)

        try:
            await self._app(scope, receive, noticing)
        except Exception as error:
            if self._has_started:
                raise
            _log.exception("worker could not start")
            await send({"type": "lifespan.startup.failed", "message": f"the worker could not start: {error!r}"})

    def _drain_at_stop_signals(self) -> None:
        """We serve, or are about to: from here on the server's own handlers count."""
        for signum, handler in self._graceful.items():
            signal.signal(signum, handler)
            signal.siginterrupt(signum, False)
        self._graceful = {}


def end_at_stop_signals() -> None:
    """A process that serves nobody yet has nothing to drain."""
    for signum in STOP_SIGNALS:
        signal.signal(signum, signal.SIG_DFL)
