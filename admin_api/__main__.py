"""`python -m admin_api`: the admin process, and the two commands that work on the database alone."""

import gc

gc.disable()  # what is imported stays: looking through all of it again and again took a sixth of the start

import argparse
import os
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import uvloop

from admin_api.auth.access import ROLES
from admin_api.move_commands import import_seed, make_backup, migrate, restore_file
from admin_api.process import Listen, serve
from admin_api.services.backups import SchemaTooNew
from admin_api.services.recovery import create_token, reset_password
from admin_api.store.faults import DatabaseAway
from gateway.config.server_secrets import with_server_secrets
from gateway.config.settings import BadSetting, Settings, load_settings
from gateway.telemetry.log_tail import LogTail
from gateway.telemetry.logs import configure_logging

gc.freeze()
gc.enable()


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        tail = LogTail()
        settings = _prepared(load_settings(os.environ), tail)
        return uvloop.run(_run(options, settings, tail))
    except BadSetting as error:
        sys.stderr.write(f"omniroute admin: {error}\n")
        return 2
    except (DatabaseAway, SchemaTooNew) as error:
        sys.stderr.write(f"omniroute admin: {error}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m admin_api", description="The control plane of OmniRoute.")
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="run the admin process")
    serving.add_argument("--host", help="listen on TCP instead of the unix socket")
    serving.add_argument("--port", type=int, help="the TCP port")
    serving.add_argument("--lifeline-fd", type=int, help="read end of a pipe; its end is ours")
    serving.add_argument("--ready-fd", type=int, help="where to write one JSON line when ready")
    token = commands.add_parser("token", help="admin tokens").add_subparsers(dest="action", required=True)
    creating = token.add_parser("create", help="make an admin token and print it once")
    creating.add_argument("--name", default="cli")
    creating.add_argument("--role", choices=ROLES, default="owner")
    creating.add_argument("--days", type=float, default=0.0, help="how long it is valid; 0 = for ever")
    importing = commands.add_parser("import", help="take over a seed system's storage.sqlite")
    importing.add_argument("path", type=Path)
    importing.add_argument("--dry-run", action="store_true")
    commands.add_parser("migrate", help="bring the schema up to date")
    commands.add_parser("backup", help="back the database up")
    restoring = commands.add_parser("restore", help="restore a backup")
    restoring.add_argument("path", type=Path)
    restoring.add_argument("--accept-other-secrets", action="store_true")
    commands.add_parser("reset-password", help="make a new admin password, print it once, end all sessions")
    return parser


def _prepared(settings: Settings, tail: LogTail) -> Settings:
    configure_logging(settings.log_level, settings.log_format, tail)
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    return with_server_secrets(settings, may_create=not settings.database_url)


def _run(options: argparse.Namespace, settings: Settings, tail: LogTail) -> Coroutine[Any, Any, int]:
    if options.command == "serve":
        listen = _listen(options.host, options.port, settings.admin_socket, settings.api_port or settings.port)
        return serve(settings, listen, lifeline_fd=options.lifeline_fd, ready_fd=options.ready_fd, log_tail=tail)
    if options.command == "import":
        return import_seed(settings, options.path, is_dry_run=options.dry_run)
    if options.command == "migrate":
        return migrate(settings)
    if options.command == "backup":
        return make_backup(settings)
    if options.command == "restore":
        return restore_file(settings, options.path, accepts_other_secrets=options.accept_other_secrets)
    if options.command == "token":
        return _print_secret(create_token(settings, options.name, options.role, options.days))
    return _print_secret(reset_password(settings))


def _listen(host: str | None, port: int | None, socket: Path, default_port: int) -> Listen:
    if host is None and port is None:
        return Listen(socket)
    return Listen(None, host or "127.0.0.1", port if port is not None else default_port)


async def _print_secret(secret: Coroutine[Any, Any, str]) -> int:
    sys.stdout.write(await secret + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
