"""One admin process: start order, signals, the supervisor's lifeline, stop order.

Start: secrets, database, first start, config file, HTTP, first publish, jobs, ready. Stop (SIGTERM): HTTP finishes
what runs (5 s at most), jobs, Redis, database; exit code 0. When the supervisor has died, all of it within 1 s.
"""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import structlog
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from admin_api.app import build_app, build_plane, connect_redis
from admin_api.jobs.runner import JobRunner
from admin_api.jobs.table import build_jobs
from admin_api.services.apply_config_file import apply_config_file
from admin_api.services.backups import migrate_safely
from admin_api.services.check_secrets import count_unreadable_secrets
from admin_api.services.first_start import Credentials, confirm_shown, prepare_first_start
from admin_api.services.move_in import is_move_offered
from admin_api.services.plane import Plane
from gateway.config.settings import BadSetting, Settings
from gateway.telemetry.log_tail import LogTail

DRAIN_LIMIT_S = 5.0
_LIFELINE_LIMIT_S = 0.8
_FIRST_PUBLISH_LIMIT_S = 10.0
_LISTEN_LIMIT_S = 10.0
_LAST_WORD_S = 3.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen: the unix socket, or a host and port."""

    socket: Path | None
    host: str = "127.0.0.1"
    port: int = 0

    @property
    def where(self) -> str:
        return str(self.socket) if self.socket else f"{self.host}:{self.port}"


async def serve(
    settings: Settings,
    listen: Listen,
    *,
    lifeline_fd: int | None = None,
    ready_fd: int | None = None,
    log_tail: LogTail | None = None,
) -> int:
    """Run until a signal or the supervisor's death. Gives the exit code. Raises BadSetting."""
    if not settings.redis_url:
        raise BadSetting("REDIS_URL must be set: the supervisor of `omniroute serve` sets it, on Kubernetes you do")
    stop = asyncio.Event()
    _watch_lifeline(lifeline_fd, stop)
    plane = build_plane(settings, connect_redis(settings.redis_url))
    plane.log_tail = log_tail
    reloads: set[asyncio.Task[None]] = set()
    _handle_signals(stop, lambda: _reload(plane, reloads))
    try:
        await migrate_safely(plane.database, settings, plane.now)
        credentials = await prepare_first_start(plane)
        await apply_config_file(plane)
        plane.unreadable_secrets = await count_unreadable_secrets(plane)
        return await _serve_plane(plane, listen, stop, ready_fd, credentials)
    finally:
        await asyncio.gather(*reloads, return_exceptions=True)
        await plane.close()


async def _serve_plane(
    plane: Plane, listen: Listen, stop: asyncio.Event, ready_fd: int | None, credentials: Credentials
) -> int:
    server = _build_server(plane, listen)
    runner = JobRunner(plane, build_jobs(plane))
    serving = asyncio.create_task(server.serve(), name="http")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        await _wait_until_listening(listen, serving)
        if not await plane.publisher.publish(_FIRST_PUBLISH_LIMIT_S):
            log.warning("not_published_yet", reason=plane.publisher.problem)
        runner.start()
        offered = str(plane.settings.seed_database) if await is_move_offered(plane) else ""
        login_code = plane.login_link.make() if ready_fd is not None else ""
        _report_ready(ready_fd, credentials, plane.config_file.error, offered, login_code)
        if offered:
            log.warning("seed_database_found", file=offered, offer="omniroute import takes it over; it is not touched")
        await confirm_shown(plane)
        log.info("admin_ready", listen=listen.where)
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        return 0 if stop.is_set() else 1
    finally:
        stopping.cancel()
        plane.stopping.set()
        await _stop_http(server, serving)
        await runner.stop()


def _build_server(plane: Plane, listen: Listen) -> Server:
    if listen.socket:
        listen.socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        listen.socket.unlink(missing_ok=True)
        is_loopback = plane.settings.is_loopback
    else:
        is_loopback = replace(plane.settings, host=listen.host).is_loopback
    gc.disable()  # routes stay: see `__main__.py`
    app = build_app(plane, is_relayed=listen.socket is not None, is_loopback=is_loopback)
    gc.freeze()
    gc.enable()
    server = Server(
        app,
        address=listen.host,
        port=listen.port,
        uds=listen.socket,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
        backlog=1024,
    )
    # The embedded server does not take this as an argument, though its socket code obeys it.
    server.uds_permissions = 0o600
    return server


def _handle_signals(stop: asyncio.Event, reload: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()

    def end() -> None:
        # Whatever hangs, the supervisor's patience ends too.
        loop.call_later(DRAIN_LIMIT_S + _LAST_WORD_S, os._exit, 0)
        stop.set()

    loop.add_signal_handler(signal.SIGTERM, end)
    loop.add_signal_handler(signal.SIGINT, end)
    loop.add_signal_handler(signal.SIGHUP, reload)


def _watch_lifeline(lifeline_fd: int | None, stop: asyncio.Event) -> None:
    """End when the other end of the pipe is gone: the supervisor holds it as long as it lives."""
    if lifeline_fd is None:
        return
    loop = asyncio.get_running_loop()

    def check() -> None:
        if not os.read(lifeline_fd, 1024):
            loop.remove_reader(lifeline_fd)
            loop.call_later(_LIFELINE_LIMIT_S, os._exit, 1)
            stop.set()

    loop.add_reader(lifeline_fd, check)


def _reload(plane: Plane, reloads: set[asyncio.Task[None]]) -> None:
    task = asyncio.create_task(_apply_and_publish(plane), name="reload")
    reloads.add(task)
    task.add_done_callback(reloads.discard)


async def _apply_and_publish(plane: Plane) -> None:
    try:
        await apply_config_file(plane)
        await plane.publisher.publish()
    except Exception:
        # The boundary of a reload: a signal has nobody to answer to.
        log.exception("reload_failed")


async def _wait_until_listening(listen: Listen, serving: asyncio.Task[None]) -> None:
    """Ready means that a connection is taken. Raises OSError when it never is."""
    for _ in range(int(_LISTEN_LIMIT_S / 0.02)):
        if serving.done():
            serving.result()
            break
        try:
            if listen.socket:
                _, writer = await asyncio.open_unix_connection(str(listen.socket))
            else:
                _, writer = await asyncio.open_connection(listen.host, listen.port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            await writer.wait_closed()
            return
    raise OSError(f"cannot listen on {listen.where}")


def _report_ready(
    ready_fd: int | None, credentials: Credentials, config_error: str, seed_database: str, login_code: str
) -> None:
    """Tell the supervisor, or show the credentials once when there is none."""
    if ready_fd is None:
        if credentials.password:
            sys.stdout.write(f"admin password (shown once): {credentials.password}\n")
        if credentials.key:
            sys.stdout.write(f"gateway key (shown once): {credentials.key}\n")
        sys.stdout.flush()
        return
    line = {"ready": True, "password": credentials.password, "key": credentials.key, "configError": config_error}
    line |= {"seedDatabase": seed_database, "loginCode": login_code}
    with os.fdopen(ready_fd, "wb") as pipe:
        pipe.write(msgspec.json.encode(line) + b"\n")


async def _stop_http(server: Server, serving: asyncio.Task[None]) -> None:
    server.stop()  # type: ignore[no-untyped-call]  # the library leaves it untyped
    try:
        await asyncio.wait_for(serving, DRAIN_LIMIT_S)
    except TimeoutError:
        log.warning("requests_cut", after_s=DRAIN_LIMIT_S)
