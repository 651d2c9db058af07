"""The three ways to run: `serve` (everything), `gateway` (workers only), `admin` (admin process only).

`gateway` and `admin` are for many replicas: what replicas must share is required there, never made up.
"""

import sys
from collections.abc import Mapping
from dataclasses import replace

import structlog

from gateway.config.server_secrets import with_server_secrets, with_shared_secrets
from gateway.config.settings import BadSetting, Settings, ignored_variables, load_settings
from gateway.serve.data_dir_lock import DataDirInUse, take_data_dir_lock
from gateway.serve.environment import Role, child_environment
from gateway.serve.readiness import CannotStart
from gateway.serve.run_dir import empty_run_dir, make_data_dir, valkey_socket, with_usable_run_dir
from gateway.serve.supervisor import Programs, Supervisor
from gateway.serve.valkey import NoValkeyBinary
from gateway.telemetry.logs import configure_logging

_REQUIRED: Mapping[Role, tuple[str, ...]] = {
    "serve": (),
    "gateway": ("redis_url", "api_key_secret", "storage_encryption_key"),
    "admin": ("redis_url", "database_url", "api_key_secret", "storage_encryption_key"),
}
_LOCK_NAMES: Mapping[Role, str] = {"serve": "omniroute.lock", "gateway": "gateway.lock", "admin": "admin.lock"}

_log = structlog.get_logger()


def run_role(
    role: Role, environment: Mapping[str, str], overrides: Mapping[str, str], programs: Programs | None = None
) -> int:
    """Run one role until it is told to stop. Returns the exit code. Raises BadSetting."""
    given = {**environment, **overrides}
    settings = with_usable_run_dir(load_settings(given), role)
    if not settings.port:
        raise BadSetting("PORT must be from 1 to 65535: all workers share it")
    configure_logging(settings.log_level, settings.log_format)
    make_data_dir(settings.data_dir)
    settings = with_secrets_for(role, settings)
    if ignored := ignored_variables(environment):
        _log.warning("variables without effect here", names=" ".join(ignored))
    try:
        lock = take_data_dir_lock(settings.data_dir / _LOCK_NAMES[role])
        empty_run_dir(settings)
        return Supervisor(settings, given, role, lock, programs or Programs()).run()
    except (DataDirInUse, CannotStart, NoValkeyBinary) as error:
        print(f"omniroute: {error}", file=sys.stderr)  # noqa: T201  (the command's own output)
        return 1


def with_secrets_for(role: Role, settings: Settings) -> Settings:
    """The server's secrets: made on first start by `serve`, required by the others. Raises BadSetting."""
    if role == "serve":
        return with_server_secrets(settings, may_create=True)
    missing = [name.upper() for name in _REQUIRED[role] if not getattr(settings, name)]
    if missing:
        raise BadSetting(f"`omniroute {role}` needs {', '.join(missing)}: all replicas share them")
    if role == "admin" and settings.database_url.startswith("sqlite"):
        raise BadSetting("DATABASE_URL must not be SQLite for `omniroute admin`: replicas share the database")
    return with_shared_secrets(settings)


def admin_command_environment(environment: Mapping[str, str], overrides: Mapping[str, str]) -> dict[str, str]:
    """The environment of a one-off `python -m admin_api ...` command, beside a running product or without one.

    Raises BadSetting.
    """
    given = {**environment, **overrides}
    settings = with_usable_run_dir(load_settings(given), "serve")
    make_data_dir(settings.data_dir)
    settings = with_server_secrets(settings, may_create=not settings.database_url)
    socket_path = valkey_socket(settings)
    if not settings.redis_url and socket_path.exists():
        settings = replace(settings, redis_url=f"unix://{socket_path}")
    return child_environment(settings, given, "admin")
