"""The environment that the supervisor gives its children: the user's, the command line's, and what was decided here.

Pure. Children read their settings from it exactly as a process started by hand would (`config/settings.py`).
"""

from collections.abc import Mapping
from typing import Literal

from gateway.config.settings import Settings

Role = Literal["serve", "gateway", "admin"]

_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(8 * 1024 * 1024), "MALLOC_TRIM_THRESHOLD_": str(32 * 1024 * 1024)}
"""For glibc, bytes. By default it gives the memory of each large body back and faults it in again for the next one: copying
1 MB took 1,000 µs instead of 50. So a process keeps up to 32 MB that it has used, and only larger blocks go back at once."""


def child_environment(settings: Settings, given: Mapping[str, str], role: Role) -> dict[str, str]:
    """The environment of workers and admin. `given` is the process environment with the command line's options."""
    decided = {
        "DATA_DIR": str(settings.data_dir),
        "OMNIROUTE_RUN_DIR": str(settings.run_dir),
        "OMNIROUTE_ROLE": role,
        "REDIS_URL": settings.redis_url,
        "REDIS_CACHE_URL": settings.redis_cache_url,
        "JWT_SECRET": settings.jwt_secret,
        "API_KEY_SECRET": settings.api_key_secret,
        "STORAGE_ENCRYPTION_KEY": settings.storage_encryption_key,
        "PROMETHEUS_MULTIPROC_DIR": str(settings.metrics_dir),
        "PYTHONUNBUFFERED": "1",
    }
    return {**_MALLOC, **given, **{name: value for name, value in decided.items() if value}}


def bare_environment(given: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program that needs no settings and shall see no secret."""
    return {name: given[name] for name in ("PATH", "LANG", "LC_ALL", "TZ", "HOME") if name in given}
