"""The environment that the supervisor gives its children: the user's, the command line's, and what was decided here.

Pure. Children read their settings from it exactly as a process started by hand would (`config/settings.py`).
"""

from collections.abc import Mapping
from typing import Literal

from gateway.config.settings import Settings

Role = Literal["serve", "gateway", "admin"]


def child_environment(settings: Settings, given: Mapping[str, str], role: Role) -> dict[str, str]:
    """The environment of workers and admin. `given` is the process environment with the command line's options."""
    decided = {
        "DATA_DIR": str(settings.data_dir),
        "OMNIROUTE_RUN_DIR": str(settings.run_dir),
        "OMNIROUTE_ROLE": role,
        "REDIS_URL": settings.redis_url,
        "JWT_SECRET": settings.jwt_secret,
        "API_KEY_SECRET": settings.api_key_secret,
        "STORAGE_ENCRYPTION_KEY": settings.storage_encryption_key,
        "PROMETHEUS_MULTIPROC_DIR": str(settings.metrics_dir),
        "PYTHONUNBUFFERED": "1",
    }
    return {**given, **{name: value for name, value in decided.items() if value}}


def bare_environment(given: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program that needs no settings and shall see no secret."""
    return {name: given[name] for name in ("PATH", "LANG", "LC_ALL", "TZ", "HOME") if name in given}
