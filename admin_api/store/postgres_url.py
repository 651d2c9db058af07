"""`DATABASE_URL` of a PostgreSQL as operators write it for libpq → what the driver is called with. Pure.

Managed databases hand out URLs with libpq's options. The driver knows some of them and would tell the server of the others as if
they were settings of the server, which then refuses the connection for a reason that nobody understands.
"""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from gateway.config.settings import BadSetting

CONNECT_LIMIT_S = 5.0
COMMAND_LIMIT_S = 60.0

_DRIVERS_OWN = frozenset(
    {
        "host", "port", "dbname", "database", "user", "password", "passfile", "sslmode", "sslcert", "sslkey", "sslrootcert",
        "sslcrl", "sslpassword", "sslnegotiation", "ssl_min_protocol_version", "ssl_max_protocol_version",
        "target_session_attrs", "krbsrvname", "gsslib", "service",
    }
)  # fmt: skip
_OF_THE_SERVER = frozenset({"application_name", "search_path", "statement_timeout", "lock_timeout", "timezone"})
_WITHOUT_MEANING_HERE = frozenset(
    {
        "channel_binding", "gssencmode", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count",
        "client_encoding", "pgbouncer", "tcp_user_timeout", "load_balance_hosts",
    }
)  # fmt: skip
"""What other clients are told; the driver does without, and what is asked for is kept or is not weaker."""

_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


class BadDatabaseUrl(BadSetting):
    """The message names the part that cannot be used, and holds no secret."""


def connect_arguments(url: str) -> dict[str, Any]:
    """Keyword arguments of `asyncpg.connect`: `dsn`, limits in seconds. Raises BadDatabaseUrl."""
    try:
        parts = urlsplit(url)
        if "," not in parts.netloc:  # several hosts: the driver takes them apart
            _ = parts.port
    except ValueError:
        raise BadDatabaseUrl(
            "DATABASE_URL is no URL: look at its host and port, and quote what the password has of @:/?#"
        ) from None
    scheme, _, driver = parts.scheme.partition("+")
    if scheme not in ("postgres", "postgresql") or driver not in ("", "asyncpg"):
        raise BadDatabaseUrl("DATABASE_URL must begin with postgresql:// (without it, SQLite in the data dir is used)")
    arguments: dict[str, Any] = {"timeout": CONNECT_LIMIT_S, "command_timeout": COMMAND_LIMIT_S}
    kept: list[tuple[str, str]] = []
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name in ("ssl", "sslmode"):
            kept.append(("sslmode", _ssl_mode(value)))
        elif name == "connect_timeout":
            arguments["timeout"] = _seconds(name, value)
        elif name in _DRIVERS_OWN or name in _OF_THE_SERVER:
            kept.append((name, value))
        elif name not in _WITHOUT_MEANING_HERE:
            raise BadDatabaseUrl(f"DATABASE_URL has the option {name!r}, which is not known here")
    arguments["dsn"] = urlunsplit(("postgresql", parts.netloc, parts.path, urlencode(kept), ""))
    return arguments


def _ssl_mode(value: str) -> str:
    """SQLAlchemy's `ssl=` takes the modes too; `true` and `false` come from other drivers."""
    mode = {"true": "require", "1": "require", "false": "disable", "0": "disable"}.get(value.lower(), value)
    if mode not in _SSL_MODES:
        raise BadDatabaseUrl(f"DATABASE_URL: sslmode must be one of {', '.join(_SSL_MODES)}")
    return mode


def _seconds(name: str, value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= 600:
        raise BadDatabaseUrl(f"DATABASE_URL: {name} must be seconds from 1 to 600")
    return seconds
