"""The granian server as we run it: flags from measurements, workers tied to its main process, and our own respawning.

granian ends the whole server when one worker dies twice within seconds; its list of dead workers can lose one when
two die at once. Here a worker that dies is started again with growing delays while the others serve on.
"""

import gc
import math
import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import prometheus_client
import structlog
from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
from granian.http import HTTP1Settings
from granian.server.mp import MPServer

from gateway.config.settings import Settings
from gateway.serve.backoff import Backoff
from gateway.serve.banner import gateway_port
from gateway.serve.drain import KILL_AFTER_DEADLINE_S, ORPHAN_LIMIT_S
from gateway.serve.granian_log import granian_log_config
from gateway.serve.startup import STOP_SIGNALS, StartsOrEnds, end_at_stop_signals
from gateway.serve.tied_exec import die_with_parent
from gateway.tasks.beat import PARENT_GONE_SIGNAL

_BACKLOG = 4096
_BACKPRESSURE = 10_000
"""Counts open connections, not requests: at the default, streams and idle connections would starve the probes."""
_IDLE_CONNECTION_MS = 60_000
_LOOK_FOR_PARENT_S = 0.5

_log = structlog.get_logger()

CreateApp = Callable[[], Any]


class Workers(MPServer):
    """granian's process server with another loop over its workers."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._backoffs = [Backoff() for _ in range(self.workers)]
        self._due_at: dict[int, float] = {}
        self._restarts = prometheus_client.Counter(
            "omniroute_worker_restarts",
            "Workers that ended and were started again.",
            registry=prometheus_client.CollectorRegistry(),
        )

    def _spawn_workers(self, spawn_target: Any, target_loader: Any) -> None:
        for index in range(self.workers):
            self.wrks.append(self._started_worker(index, spawn_target, target_loader))

    def _serve_loop(self, spawn_target: Any, target_loader: Any) -> None:
        while not self.interrupt_signal:
            now = time.monotonic()
            workers: list[Any] = self.wrks
            for index, worker in enumerate(workers):
                if worker.is_alive():
                    continue
                if index not in self._due_at:
                    self._due_at[index] = now + self._backoffs[index].delay_after(now - worker.birth)
                elif now >= self._due_at[index]:
                    del self._due_at[index]
                    _log.warning("worker ended and is started again", worker=index + 1)
                    self._restarts.inc()
                    self.wrks[index] = self._started_worker(index, spawn_target, target_loader)
            soonest = min(self._due_at.values(), default=math.inf) - time.monotonic()
            self.main_loop_interrupt.wait(max(0.01, min(soonest, 1.0)))
            self.main_loop_interrupt.clear()

    def _started_worker(self, index: int, spawn_target: Any, target_loader: Any) -> Any:
        """Start one worker. Stop signals wait until it has a handler of its own, so that none is lost on the way."""
        worker: Any = self._spawn_worker(idx=index, target=spawn_target, callback_loader=target_loader)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            worker.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return worker


def run_workers(settings: Settings, create_app: CreateApp) -> None:
    """Serve `create_app()` in every worker until SIGTERM, then drain. What is imported by now is shared memory."""
    server = Workers(
        target="gateway",  # never imported by granian: `load` below makes the app
        address=settings.host,
        port=gateway_port(settings),
        interface=Interfaces.ASGI,  # not RSGI: its streams have no bound (docs/adr/0010)
        workers=settings.workers,
        runtime_mode=RuntimeModes.st,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=_IDLE_CONNECTION_MS),
        websockets=False,
        backlog=_BACKLOG,
        backpressure=_BACKPRESSURE,
        workers_kill_timeout=math.ceil(settings.shutdown_timeout_s) + KILL_AFTER_DEADLINE_S,
        log_dictconfig=granian_log_config(settings.log_format),
        log_access=False,
    )
    load = partial(load_in_worker, os.getpid(), create_app)
    gc.collect()
    gc.freeze()
    server.serve(target_loader=load, wrap_loader=False)


def load_in_worker(main_pid: int, create_app: CreateApp) -> Any:
    """First thing in a new worker: end with the main process, and end at a stop signal that comes before we serve."""
    end_at_stop_signals()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    # Not SIGTERM: granian's own handler can wait for one of its threads that waits for the GIL, and then nothing of this
    # process runs again, the guard below included (seen on 3.13). Not SIGKILL: `tasks/beat.py` ends streams honestly.
    die_with_parent(main_pid, PARENT_GONE_SIGNAL)
    threading.Thread(target=_end_after, args=(main_pid,), name="orphan-guard", daemon=True).start()
    return StartsOrEnds(create_app())


def _end_after(main_pid: int) -> None:
    """End this worker for certain, even if its loop is stuck, soon after the main process has died."""
    while os.getppid() == main_pid:
        time.sleep(_LOOK_FOR_PARENT_S)
    time.sleep(ORPHAN_LIMIT_S)
    os.kill(os.getpid(), signal.SIGKILL)
