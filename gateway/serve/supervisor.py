"""The supervisor: starts Valkey, the admin process and the workers, keeps them alive, and ends them in order.

One thread, one loop: `_pump` waits for signals, for the end of a child and for the admin's ready line, and starts
again what should live. Everything else is a straight line of steps that pumps between them. The supervisor serves
no request and holds no state that a crash would lose: when it dies, the kernel ends its children.
"""

import math
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog

from gateway.config.settings import Settings
from gateway.serve import valkey
from gateway.serve.admin_link import AdminLink
from gateway.serve.banner import AdminReady, admin_announcement, banner, gateway_port, gateway_url, local_url, login_url
from gateway.serve.child import Child, start_tied
from gateway.serve.data_dir_lock import DataDirLock
from gateway.serve.drain import KILL_AFTER_DEADLINE_S, ORPHAN_LIMIT_S, write_drain_notice
from gateway.serve.environment import Role, bare_environment, child_environment
from gateway.serve.metrics_server import MetricsServer, ProcessFacts
from gateway.serve.orphans import is_first_process, reap_orphans
from gateway.serve.readiness import (
    CannotStart,
    answers_ready,
    drop_output,
    has_browser,
    has_terminal,
    open_browser,
    require_free_port,
)
from gateway.serve.run_dir import cache_socket, make_private, open_bounded_log, valkey_socket
from gateway.serve.signals import SignalInbox

PYTHON = (sys.executable, "-P")
"""`-P`: a folder named like one of our packages in the user's working dir must not be run."""
_WORKERS_SPARE_S = 5.0
_ADMIN_STOP_LIMIT_S = 8.0
_VALKEY_STOP_LIMIT_S = 10.0
_VALKEY_START_LIMIT_S = 30.0
_VALKEY_POLL_S = 0.01
_READY_POLL_S = 0.05
_LONGEST_ROUND_S = 1.0
_SAME_SIGNAL_S = 0.5
"""A stop signal that follows this closely is the first one again: `make`, `timeout` and the terminal send doubles."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Programs:
    """The commands that the children run: an argument, so that a test can bring its own."""

    workers: tuple[str, ...] = (*PYTHON, "-m", "gateway.serve.workers")
    admin: tuple[str, ...] = (*PYTHON, "-m", "admin_api", "serve")


class _EndNow(Exception):
    """Not an error: the operator's second signal."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


class Supervisor:
    """Runs one role. `given` is the process environment with the command line's options in it."""

    def __init__(
        self, settings: Settings, given: Mapping[str, str], role: Role, lock: DataDirLock, programs: Programs
    ) -> None:
        self._settings = settings
        self._given = given
        self._role: Role = role
        self._lock = lock
        self._programs = programs
        self._valkey_socket = valkey_socket(settings)
        self._valkey = Child("valkey", self._start_valkey) if role == "serve" and not settings.redis_url else None
        self._cache = None
        if role == "serve" and not settings.redis_cache_url:
            self._cache = Child("cache", self._start_cache)
        self._admin = Child("admin", self._start_admin) if role != "gateway" else None
        self._workers = None
        if role != "admin":
            # Longer than the workers take by themselves, so that it is needed only when they fail to.
            self._workers = Child("gateway", self._start_workers, orphan_limit_s=ORPHAN_LIMIT_S + 1)
        redis_url = f"unix://{self._valkey_socket}" if self._valkey else settings.redis_url
        cache_url = f"unix://{cache_socket(settings)}" if self._cache else settings.redis_cache_url
        shown = replace(settings, redis_url=redis_url, redis_cache_url=cache_url)
        self._environment = child_environment(shown, given, role)
        self._children: tuple[Child, ...] = ()
        self._inbox = SignalInbox()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._inbox, selectors.EVENT_READ, self._inbox)
        self._link = AdminLink(self._selector)
        self._admin_ready = None if self._admin else AdminReady()
        self._is_announced = False
        self._stop_signal = 0
        self._stopped_at = 0.0
        self._had_terminal = has_terminal()
        self._is_first_process = is_first_process()

    def run(self) -> int:
        """Run until told to stop. Returns the exit code. Raises CannotStart."""
        metrics = self._metrics_server()
        try:
            self._start()
            while not self._stop_signal:
                self._pump(_LONGEST_ROUND_S if self._is_announced else _READY_POLL_S)
                self._announce_when_ready()
            self._drain()
        except _EndNow as end:
            _log.warning("ending at once, on a second signal")
            return 128 + end.signum
        finally:
            for child in self._children:
                child.kill_all()
            if metrics:
                metrics.stop()
        return 0

    # -- start ---------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._workers:
            require_free_port(self._settings.host, gateway_port(self._settings), "port with --port")
        if self._admin and self._admin_port is not None:
            require_free_port(self._settings.host, self._admin_port, "port with DASHBOARD_PORT")
        if self._valkey:
            make_private(self._settings.data_dir / "valkey")
            self._children = (self._valkey,)
            self._wait_for_valkey()
        if self._stop_signal:
            return
        if self._cache:
            make_private(self._settings.run_dir / "cache")
        self._children = tuple(child for child in (self._valkey, self._cache, self._admin, self._workers) if child)

    def _wait_for_valkey(self) -> None:
        deadline = time.monotonic() + _VALKEY_START_LIMIT_S
        while not self._stop_signal and not valkey.answers(self._valkey_socket):
            if time.monotonic() > deadline:
                raise CannotStart(f"the embedded Valkey does not answer: see {self._settings.run_dir / 'valkey.log'}")
            self._pump(_VALKEY_POLL_S)

    def _start_valkey(self) -> subprocess.Popen[bytes]:
        arguments = valkey.command(valkey.find_binary(), self._valkey_socket, self._settings.data_dir / "valkey")
        return self._start_server(arguments, "valkey.log")

    def _start_cache(self) -> subprocess.Popen[bytes]:
        """Nobody waits for it: without it nothing is found in the cache, and that is all."""
        folder = self._settings.run_dir / "cache"
        arguments = valkey.cache_command(valkey.find_binary(), cache_socket(self._settings), folder)
        return self._start_server(arguments, "cache.log")

    def _start_server(self, arguments: tuple[str, ...], log_name: str) -> subprocess.Popen[bytes]:
        log = open_bounded_log(self._settings.run_dir / log_name)
        try:
            return start_tied(
                arguments,
                bare_environment(self._given),
                death_signal=signal.SIGTERM,
                descriptors=(self._lock.descriptor,),
                output=log,
            )
        finally:
            os.close(log)

    def _start_workers(self) -> subprocess.Popen[bytes]:
        return start_tied(self._programs.workers, self._environment, death_signal=signal.SIGKILL)

    def _start_admin(self) -> subprocess.Popen[bytes]:
        port = self._admin_port
        address = ("--host", self._settings.host, "--port", str(port)) if port is not None else ()
        ready, lifeline = self._link.open()
        try:
            return start_tied(
                (*self._programs.admin, *address, "--ready-fd", str(ready), "--lifeline-fd", str(lifeline)),
                self._environment,
                death_signal=signal.SIGKILL,
                descriptors=(ready, lifeline),
            )
        finally:
            os.close(ready)
            os.close(lifeline)

    @property
    def _admin_port(self) -> int | None:
        """TCP port of the admin process; None where it listens on its unix socket, behind the workers."""
        if self._settings.dashboard_port is not None or self._role == "serve":
            return self._settings.dashboard_port
        return self._settings.port

    # -- readiness -----------------------------------------------------------------------------------------------

    def _announce_when_ready(self) -> None:
        if self._is_announced or self._admin_ready is None:
            return
        if self._workers and not answers_ready(self._settings.host, gateway_port(self._settings)):
            return
        self._is_announced = True
        with suppress(OSError):  # a stdout that is gone is no reason to stop
            print(self._announcement(self._admin_ready), flush=True)  # noqa: T201  (the command's own output)
        login_code = self._admin_ready.login_code
        self._admin_ready = AdminReady()  # its secrets are kept no longer than needed
        if self._role == "serve" and not self._settings.no_open and has_browser():
            open_browser(login_url(self._settings, login_code))

    def _announcement(self, ready: AdminReady) -> str:
        if self._role == "serve":
            return banner(self._settings, ready)
        if self._role == "admin":
            return admin_announcement(local_url(self._settings.host, self._admin_port or 0), ready)
        return f"OmniRoute gateway is ready: {gateway_url(self._settings)}"

    # -- the loop ------------------------------------------------------------------------------------------------

    def _pump(self, limit_s: float) -> None:
        """Keep the children alive and wait for something to happen, at most `limit_s`. Raises _EndNow."""
        now = self._tend_children()
        due_in_s = min((child.due_at - now for child in self._children if child.is_due), default=math.inf)
        for key, _ in self._selector.select(max(0.0, min(limit_s, due_in_s))):
            if key.data is self._inbox:
                for signum in self._inbox.take():
                    self._on_signal(signum)
            else:
                self._admin_ready = self._link.take_ready() or self._admin_ready
        self._tend_children()

    def _tend_children(self) -> float:
        now = time.monotonic()
        for child in self._children:
            child.notice_end(now)
            child.start_if_due(now)
        if self._is_first_process:
            reap_orphans(set().union(*(child.pids for child in self._children)))
        return now

    def _pump_until(self, is_done: Callable[[], bool], limit_s: float) -> bool:
        deadline = time.monotonic() + limit_s
        while not is_done():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return False
            self._pump(min(left_s, _LONGEST_ROUND_S))
        return True

    def _on_signal(self, signum: int) -> None:
        if signum == signal.SIGHUP and self._had_terminal and not has_terminal():
            drop_output()
            signum = signal.SIGTERM
        if signum == signal.SIGHUP and self._admin:
            self._admin.signal(signal.SIGHUP)
        if signum in (signal.SIGTERM, signal.SIGINT):
            now = time.monotonic()
            if not self._stop_signal:
                self._stop_signal, self._stopped_at = signum, now
            elif now - self._stopped_at > _SAME_SIGNAL_S:
                raise _EndNow(signum)

    # -- end -----------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        """Workers first, then admin, which still writes their records, then the Valkeys; one holds the records."""
        delay_s, streams_s = self._settings.shutdown_delay_s, self._settings.shutdown_timeout_s
        if self._workers:
            _log.info("draining", delay_s=delay_s, streams_s=streams_s)
            write_drain_notice(self._settings, time.time() + delay_s + streams_s)
            self._pump_until(lambda: False, delay_s)
            self._stop(self._workers, math.ceil(streams_s) + KILL_AFTER_DEADLINE_S + _WORKERS_SPARE_S)
        if self._admin:
            self._stop(self._admin, _ADMIN_STOP_LIMIT_S)
        for server in (self._cache, self._valkey):
            if server:
                self._stop(server, _VALKEY_STOP_LIMIT_S)

    def _stop(self, child: Child, limit_s: float) -> None:
        child.is_wanted = False
        child.signal(signal.SIGTERM)
        if not self._pump_until(lambda: not child.is_running, limit_s):
            _log.warning("process did not end in time and is killed", process=child.name, limit_s=limit_s)
            child.kill_all()

    # -- metrics -------------------------------------------------------------------------------------------------

    def _metrics_server(self) -> MetricsServer | None:
        host, port = self._settings.metrics_host, self._settings.metrics_port
        if not port:
            return None
        try:
            server = MetricsServer((host, port), self._settings.metrics_dir, ProcessFacts(self._facts), self._is_ours)
        except OSError as error:
            raise CannotStart(
                f"cannot serve metrics on {host}:{port}: {error.strerror}. "
                "Choose another port with OMNIROUTE_METRICS_PORT"
            ) from error
        server.start()
        return server

    def _facts(self) -> list[tuple[str, bool, int]]:
        return [(child.name, child.is_running, child.restarts) for child in self._children]

    def _is_ours(self, pid: int) -> bool:
        """Whether a process that wrote figures lives on. Its group tells: process ids are used again."""
        try:
            return os.getpgid(pid) in {child.pid for child in self._children}
        except ProcessLookupError:
            return False
