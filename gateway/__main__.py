"""The command `omniroute`: reads the command line and hands over. What the commands do stands in `serve/`.

Options are settings under another name: each becomes its environment variable, so there is one way to read them.
"""

import argparse
import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.config.file import ConfigFileError, load_config_file
from gateway.config.settings import BadSetting
from gateway.serve.roles import admin_command_environment, run_role
from gateway.serve.supervisor import PYTHON

_VARIABLES = {
    "host": "OMNIROUTE_HOST",
    "port": "PORT",
    "workers": "OMNIROUTE_WORKERS",
    "data_dir": "DATA_DIR",
    "config": "OMNIROUTE_CONFIG",
    "no_open": "OMNIROUTE_NO_OPEN",
}
_DEFAULT_COMMAND = "serve"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 2 for a setting or an argument that cannot be used."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help", "--version")):
        given.insert(0, _DEFAULT_COMMAND)
    options = _parser().parse_args(given)
    try:
        return _run(options, overrides_of(options))
    except BadSetting as error:
        _complain(str(error))
        return 2
    except KeyboardInterrupt:
        return 130


def overrides_of(options: argparse.Namespace) -> dict[str, str]:
    """The options that were given, under the names of their environment variables."""
    found = {variable: getattr(options, option, None) for option, variable in _VARIABLES.items()}
    return {variable: str(value) for variable, value in found.items() if value is not None}


def _run(options: argparse.Namespace, overrides: Mapping[str, str]) -> int:
    match options.command:
        case "serve" | "gateway" | "admin":
            return run_role(options.command, os.environ, overrides)
        case "check-config":
            return _check_config(options.file)
        case "token":
            return _run_admin(("token", "create", *_token_options(options)), overrides)
        case "import":
            return _run_admin(("import", str(options.path), *(("--dry-run",) if options.dry_run else ())), overrides)
        case "restore":
            accepts = ("--accept-other-secrets",) if options.accept_other_secrets else ()
            return _run_admin(("restore", str(options.path), *accepts), overrides)
        case "backup" | "migrate":
            return _run_admin((options.command,), overrides)
        case _:
            return _run_admin(("reset-password",), overrides)


def _token_options(options: argparse.Namespace) -> list[str]:
    given = [(name, getattr(options, name)) for name in ("name", "role", "days")]
    return [word for name, value in given if value is not None for word in (f"--{name}", str(value))]


def _check_config(path: Path) -> int:
    try:
        config = load_config_file(path, os.environ)
    except ConfigFileError as error:
        for problem in error.problems:
            _say(f"{path}: {problem}")
        return 1
    kinds = ("nodes", "connections", "combos", "aliases", "fallback_chains", "keys", "prices")
    _say("OK " + ", ".join(f"{len(getattr(config, kind))} {kind.replace('_', ' ')}" for kind in kinds))
    return 0


def _run_admin(command: tuple[str, ...], overrides: Mapping[str, str]) -> int:
    """These change the database, which is the admin plane's: it runs as a process of its own."""
    environment = admin_command_environment(os.environ, overrides)
    return subprocess.run((*PYTHON, "-m", "admin_api", *command), env=environment, check=False).returncode


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("omniroute", description="One endpoint in front of every model provider.")
    parser.add_argument("--version", action="version", version=importlib.metadata.version("omniroute"))
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run everything on this machine (the default)")
    gateway = commands.add_parser("gateway", help="run gateway workers only; needs REDIS_URL")
    admin = commands.add_parser("admin", help="run the admin process only; needs REDIS_URL and DATABASE_URL")
    for command in (serve, gateway, admin):
        command.add_argument("--host", help="address to listen on (127.0.0.1)")
        command.add_argument("--port", type=int, help="port to listen on (20128)")
        _add_data_dir(command)
    for command in (serve, gateway):
        command.add_argument("--workers", type=int, metavar="N", help="worker processes (one a core)")
    for command in (serve, admin):
        command.add_argument("--config", type=Path, metavar="FILE", help="YAML file of nodes, keys, combos and so on")
    serve.add_argument("--no-open", action="store_const", const="true", help="do not open the dashboard in a browser")
    check = commands.add_parser("check-config", help="check a config file and say what is wrong with it")
    check.add_argument("file", type=Path, metavar="FILE")
    token = commands.add_parser("token", help="tokens of the admin API")
    create = token.add_subparsers(dest="token_command", required=True).add_parser("create", help="make and print one")
    create.add_argument("--name", help="what the audit log calls it (cli)")
    create.add_argument("--role", choices=("owner", "operator", "viewer"), help="what it may do (owner)")
    create.add_argument("--days", type=float, help="how long it is valid (for ever)")
    _add_data_dir(create)
    importing = commands.add_parser("import", help="move in from the seed system: take over its storage.sqlite")
    importing.add_argument("path", type=Path, metavar="PATH", help="the file, or the data dir it lies in")
    importing.add_argument("--dry-run", action="store_true", help="only say what would move")
    _add_data_dir(importing)
    _add_data_dir(commands.add_parser("migrate", help="bring the database's schema up to date, and end"))
    _add_data_dir(commands.add_parser("backup", help="back up the database, in use or not"))
    restoring = commands.add_parser("restore", help="restore a backup, in use or not")
    restoring.add_argument("path", type=Path, metavar="FILE")
    restoring.add_argument("--accept-other-secrets", action="store_true", help="also when its secrets do not open here")
    _add_data_dir(restoring)
    _add_data_dir(commands.add_parser("reset-password", help="make and print a new admin password"))
    return parser


def _add_data_dir(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data-dir", type=Path, metavar="DIR", help="where everything is kept (~/.omniroute)")


def _say(line: str) -> None:
    print(line)  # noqa: T201  (the command's own output)


def _complain(message: str) -> None:
    print(f"omniroute: {message}", file=sys.stderr)  # noqa: T201  (the command's own output)


if __name__ == "__main__":
    sys.exit(main())
