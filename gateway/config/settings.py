"""Process settings: every environment variable, its default and its meaning, read once here.

The process environment wins over `.env` of the data dir, which wins over `.env` of the working dir (read only if
the user owns it). Anything that can change while running is configuration, not a setting (`config/snapshot.py`).
"""

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from dotenv import dotenv_values

REFUSED_LITERALS = frozenset(
    {"123456", "CHANGEME", "omniroute-default-secret-change-me", "endpoint-proxy-api-key-secret"}
)
"""Published defaults of the system we re-create: as good as no secret at all."""

IGNORED_SEED_VARIABLES = (
    "HOSTNAME", "API_HOST", "STORAGE_DRIVER", "SQLITE_MAX_SIZE_MB", "SQLITE_CLEAN_LEGACY_FILES", "CLOUD_URL",
    "NEXT_PUBLIC_BASE_URL", "NEXT_PUBLIC_CLOUD_URL", "NEXT_PUBLIC_APP_URL", "OMNIROUTE_MEMORY_MB", "MAX_BODY_SIZE_BYTES",
    "FETCH_TIMEOUT_MS", "STREAM_IDLE_TIMEOUT_MS", "SHUTDOWN_TIMEOUT_MS", "CORS_ORIGIN", "CORS_ORIGINS", "LOG_TO_FILE",
    "LOG_FILE_PATH", "LOG_MAX_FILE_SIZE", "LOG_RETENTION_DAYS", "MACHINE_ID_SALT", "INSTANCE_NAME",
    "ENABLE_TLS_FINGERPRINT", "ENABLE_SOCKS5_PROXY", "PROMPT_CACHE_MAX_SIZE", "CALL_LOGS_MAX",
)  # fmt: skip
"""Variables of the seed system that mean nothing here; `serve` names those that are set, in one line."""


class BadSetting(ValueError):
    """A variable that cannot be used. The message names it and the fix; it never holds the value of a secret."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one process. Secrets are empty until `config/server_secrets.py` fills them."""

    port: int = 20128
    host: str = "127.0.0.1"
    workers: int = 2
    api_port: int | None = None
    dashboard_port: int | None = None
    data_dir: Path = Path("~/.omniroute")
    run_dir_override: Path | None = None
    role: str = "serve"
    """Where sockets and the like live when the data dir's path is too long for one (the supervisor sets it)."""
    redis_url: str = ""
    redis_cache_url: str = ""
    redis_budget_s: float = 0.05
    """A trip of the request path to Redis that takes longer is given up."""
    max_waiting_records: int = 100_000
    """Records that Redis holds until SQL has them; a stream with more sends them to disk."""
    database_url: str = ""
    backs_up_before_migrations: bool = True
    config_file: Path | None = None
    initial_password: str = ""
    initial_key: str = ""
    admin_token: str = ""
    jwt_secret: str = ""
    api_key_secret: str = ""
    storage_encryption_key: str = ""
    seed_encryption_key: str = ""
    """What the seed system's secrets were sealed with, when somebody moves in from it."""
    require_api_key: bool = True
    allow_open: bool = False
    trusted_proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    auth_cookie_secure: bool = False
    base_url: str = ""
    enable_request_logs: bool = False
    metrics_port: int = 20129
    metrics_host: str = "127.0.0.1"
    shutdown_delay_s: float = 0.0
    shutdown_timeout_s: float = 60.0
    log_level: str = "info"
    log_format: str = "console"
    no_open: bool = False
    is_demo_enabled: bool = True
    semantic_cache_max_size: int = 100
    grammar_sample: float = 0.0
    """Share of translated streams whose events are checked against their dialect's grammar."""
    trace_url: str = ""
    """Where spans go (OTLP, JSON over HTTP); empty = no traces."""
    trace_headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    trace_ratio: float = 1.0
    """Share of the requests without a `traceparent` that are traced."""
    trace_resource: tuple[tuple[str, str], ...] = ()
    """What spans say of where they come from, `service.name` among it."""

    @property
    def drain_notice(self) -> Path:
        """The file by which the supervisor says that everything will be stopped."""
        return self.run_dir / "draining"

    @property
    def admin_socket(self) -> Path:
        """Unix socket of the admin process, inside the data dir's run folder."""
        return self.run_dir / "admin.sock"

    @property
    def run_dir(self) -> Path:
        """Folder of sockets, notices and metrics files: of this run only, emptied at start."""
        return self.run_dir_override or self.data_dir / "run"

    @property
    def metrics_dir(self) -> Path:
        """Folder of prometheus-client's multiprocess files; wiped at start."""
        return self.run_dir / "metrics"

    @property
    def spool_dir(self) -> Path:
        """Folder of records that could not reach Redis."""
        return self.data_dir / "spool"

    @property
    def backups_dir(self) -> Path:
        """Folder of the admin process's backups of its database."""
        return self.data_dir / "backups"

    @property
    def seed_database(self) -> Path:
        """Where the seed system keeps its database, when it lived in this data dir. It is never touched."""
        return self.data_dir / "storage.sqlite"

    @property
    def lastgood_dir(self) -> Path:
        return self.data_dir / "lastgood"

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def load_settings(environment: Mapping[str, str], overrides: Mapping[str, str] | None = None) -> Settings:
    """Build Settings from an environment; `overrides` are command-line options under their variable's name.

    Raises BadSetting.
    """
    given = {**environment, **(overrides or {})}
    data_dir = Path(given.get("DATA_DIR") or "~/.omniroute").expanduser().absolute()
    values = {**_dotenv(Path.cwd() / ".env", must_own=True), **_dotenv(data_dir / ".env"), **given}
    port = _port(values, "PORT", 20128) or 0
    settings = Settings(
        port=port,
        host=values.get("OMNIROUTE_HOST") or "127.0.0.1",
        workers=_integer(values, "OMNIROUTE_WORKERS", default_workers(), low=1, high=256),
        api_port=_port(values, "API_PORT", None),
        dashboard_port=_port(values, "DASHBOARD_PORT", None),
        data_dir=data_dir,
        role=_choice(values, "OMNIROUTE_ROLE", "serve", ("serve", "gateway", "admin")),
        run_dir_override=Path(values["OMNIROUTE_RUN_DIR"]).absolute() if values.get("OMNIROUTE_RUN_DIR") else None,
        redis_url=_with_sentinels_password(values, _with_password(values, "REDIS_URL", "REDIS_PASSWORD")),
        redis_cache_url=values.get("REDIS_CACHE_URL", ""),
        redis_budget_s=_integer(values, "OMNIROUTE_REDIS_BUDGET_MS", 50, low=1, high=60_000) / 1000,
        max_waiting_records=_integer(values, "OMNIROUTE_MAX_WAITING_RECORDS", 100_000, low=100, high=100_000_000),
        database_url=_with_password(values, "DATABASE_URL", "DATABASE_PASSWORD"),
        config_file=Path(values["OMNIROUTE_CONFIG"]).expanduser().absolute()
        if values.get("OMNIROUTE_CONFIG")
        else None,
        initial_password=_secret(values, "INITIAL_PASSWORD"),
        initial_key=_secret(values, "OMNIROUTE_INITIAL_KEY"),
        admin_token=_secret(values, "OMNIROUTE_ADMIN_TOKEN"),
        jwt_secret=_secret(values, "JWT_SECRET"),
        api_key_secret=_secret(values, "API_KEY_SECRET"),
        storage_encryption_key=_secret(values, "STORAGE_ENCRYPTION_KEY"),
        seed_encryption_key=values.get("OMNIROUTE_SEED_ENCRYPTION_KEY", ""),
        require_api_key=_boolean(values, "REQUIRE_API_KEY", True),
        allow_open=_boolean(values, "OMNIROUTE_ALLOW_OPEN", False),
        trusted_proxies=_networks(values, "OMNIROUTE_TRUSTED_PROXIES"),
        auth_cookie_secure=_boolean(values, "AUTH_COOKIE_SECURE", False),
        base_url=values.get("BASE_URL", ""),
        backs_up_before_migrations=_boolean(values, "OMNIROUTE_MIGRATION_BACKUP", True),
        enable_request_logs=_boolean(values, "ENABLE_REQUEST_LOGS", False),
        metrics_port=_port(values, "OMNIROUTE_METRICS_PORT", port + 1 if port < 65535 else 20129) or 0,
        metrics_host=values.get("OMNIROUTE_METRICS_HOST") or "127.0.0.1",
        shutdown_delay_s=_seconds(values, "SHUTDOWN_DELAY_S", 0.0),
        shutdown_timeout_s=_seconds(values, "SHUTDOWN_TIMEOUT_S", 60.0),
        log_level=_choice(values, "LOG_LEVEL", "info", ("debug", "info", "warning", "error")),
        log_format=_choice(values, "LOG_FORMAT", "console", ("console", "json")),
        no_open=_boolean(values, "OMNIROUTE_NO_OPEN", False),
        is_demo_enabled=_boolean(values, "OMNIROUTE_DEMO", True),
        semantic_cache_max_size=_integer(values, "SEMANTIC_CACHE_MAX_SIZE", 100, low=0, high=10_000_000),
        grammar_sample=_share(values, "OMNIROUTE_GRAMMAR_SAMPLE"),
        trace_url=_trace_url(values),
        trace_headers=_pairs(values, "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"),
        trace_ratio=_trace_ratio(values),
        trace_resource=(
            *_pairs(values, "OTEL_RESOURCE_ATTRIBUTES"),
            *((("service.name", values["OTEL_SERVICE_NAME"]),) if values.get("OTEL_SERVICE_NAME") else ()),
        ),
    )
    if not settings.require_api_key and not settings.is_loopback and not settings.allow_open:
        raise BadSetting(
            f"REQUIRE_API_KEY=false while listening on {settings.host} would serve anybody: "
            "listen on 127.0.0.1, or set OMNIROUTE_ALLOW_OPEN=true if that is meant"
        )
    return settings


def ignored_variables(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Variables of the seed system that are set and have no effect here."""
    return tuple(name for name in IGNORED_SEED_VARIABLES if name != "HOSTNAME" and name in environment)


def default_workers() -> int:
    """One worker a core this process may use, at most 8; at least 1."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS has no affinity
        cores = os.cpu_count() or 1
    return max(1, min(8, cores))


def _dotenv(path: Path, *, must_own: bool = False) -> dict[str, str]:
    """A `.env` in a folder like /tmp could be somebody else's: in the working dir it counts only if we own it."""
    try:
        if must_own and path.stat().st_uid != os.getuid():
            return {}
        return {name: value for name, value in dotenv_values(path, interpolate=False).items() if value is not None}
    except OSError:
        return {}


def _integer(values: Mapping[str, str], name: str, default: int, *, low: int, high: int) -> int:
    text = values.get(name, "")
    if not text:
        return default
    try:
        number = int(text)
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise BadSetting(f"{name} must be a whole number from {low} to {high}, not {text!r}")
    return number


def _port(values: Mapping[str, str], name: str, default: int | None) -> int | None:
    return _integer(values, name, default or 0, low=0, high=65535) if values.get(name) else default


def _seconds(values: Mapping[str, str], name: str, default: float) -> float:
    text = values.get(name, "")
    if not text:
        return default
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 86_400:
        raise BadSetting(f"{name} must be seconds from 0 to 86400, not {text!r}")
    return number


def _trace_url(values: Mapping[str, str]) -> str:
    """OpenTelemetry's own variables, as its SDKs read them; empty = off."""
    base, exact = values.get("OTEL_EXPORTER_OTLP_ENDPOINT", ""), values.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
    exporter = values.get("OTEL_TRACES_EXPORTER") or "otlp"
    if not (base or exact) or exporter == "none" or _boolean(values, "OTEL_SDK_DISABLED", False):
        return ""
    name = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" if exact else "OTEL_EXPORTER_OTLP_ENDPOINT"
    protocol = values.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or values.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http"
    if exporter != "otlp" or not protocol.startswith("http"):
        raise BadSetting(
            "traces are sent by OTLP over HTTP as JSON: set OTEL_EXPORTER_OTLP_PROTOCOL=http/json and the endpoint's HTTP port "
            "(4318), or switch them off with OTEL_SDK_DISABLED=true"
        )
    url = exact or base.rstrip("/") + "/v1/traces"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadSetting(f"{name} must be a URL like http://collector:4318")
    return url


def _trace_ratio(values: Mapping[str, str]) -> float:
    """Of requests without a parent; those with one always go by its word, as the `parentbased_…` samplers do."""
    sampler = values.get("OTEL_TRACES_SAMPLER", "").removeprefix("parentbased_")
    if sampler not in ("", "traceidratio", "always_on", "always_off"):
        raise BadSetting(
            "OTEL_TRACES_SAMPLER must be parentbased_traceidratio, parentbased_always_on or parentbased_always_off"
        )
    if sampler.startswith("always"):
        return float(sampler == "always_on")
    return _share(values, "OTEL_TRACES_SAMPLER_ARG") if values.get("OTEL_TRACES_SAMPLER_ARG") else 1.0


def _pairs(values: Mapping[str, str], *names: str) -> tuple[tuple[str, str], ...]:
    """`name=value,name=value`, values percent-encoded, of the first variable that is set. The message holds no value."""
    given = next((name for name in names if values.get(name)), "")
    pairs = []
    for part in filter(None, (one.strip() for one in values.get(given, "").split(","))):
        name, equals, value = part.partition("=")
        if not equals or not name.strip() or not unquote(value).isprintable():
            raise BadSetting(f"{given} must be name=value pairs separated by commas")
        pairs.append((name.strip(), unquote(value.strip())))
    return tuple(pairs)


def _share(values: Mapping[str, str], name: str) -> float:
    text = values.get(name, "")
    try:
        number = float(text or 0)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise BadSetting(f"{name} must be a share from 0 to 1, not {text!r}")
    return number


def _boolean(values: Mapping[str, str], name: str, default: bool) -> bool:
    text = values.get(name, "").strip().lower()
    if not text:
        return default
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off"):
        return False
    raise BadSetting(f"{name} must be true or false, not {text!r}")


def _choice(values: Mapping[str, str], name: str, default: str, allowed: tuple[str, ...]) -> str:
    text = (values.get(name) or default).lower()
    if text not in allowed:
        raise BadSetting(f"{name} must be one of {', '.join(allowed)}, not {text!r}")
    return text


def _secret(values: Mapping[str, str], name: str) -> str:
    text = values.get(name, "")
    if text in REFUSED_LITERALS:
        raise BadSetting(f"{name} is a published default and protects nothing: try `openssl rand -hex 32`")
    return text


def _with_password(values: Mapping[str, str], name: str, of_password: str) -> str:
    """A URL with the password that was given apart from it, in which any character may stand; one that the URL has goes first."""
    url, password = values.get(name, ""), values.get(of_password, "")
    scheme, mark, rest = url.partition("://")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    user, _, hosts = authority.rpartition("@")
    if not mark or not password or ":" in user:
        return url
    return f"{scheme}://{user}:{quote(password, safe='')}@{hosts}{rest[len(authority) :]}"


def _with_sentinels_password(values: Mapping[str, str], url: str) -> str:
    password = values.get("REDIS_SENTINEL_PASSWORD", "")
    if not password or not url.startswith("redis+sentinel://") or "sentinel_password=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}sentinel_password={quote(password, safe='')}"


def _networks(values: Mapping[str, str], name: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in values.get(name, "").split(",") if part.strip())
    except ValueError as error:
        raise BadSetting(f"{name} must be CIDR ranges separated by commas: {error}") from error
