"""The server's own secrets: given by the environment, else made on first start and kept in the data dir (0600)."""

import json
import os
import secrets
from dataclasses import replace
from pathlib import Path

from gateway.config.envelope import parse_encryption_key
from gateway.config.settings import BadSetting, Settings

_FILE = "secrets.json"
_FIELDS = ("jwt_secret", "api_key_secret", "storage_encryption_key")


def with_server_secrets(settings: Settings, *, may_create: bool) -> Settings:
    """Fill the three secrets that the environment did not give.

    `may_create` is False on Kubernetes, where every replica must share them: then a missing one raises BadSetting.
    """
    missing = [name for name in _FIELDS if not getattr(settings, name)]
    if missing and not may_create:
        raise BadSetting(f"{', '.join(name.upper() for name in missing)} must be set: all replicas share them")
    if missing:
        path = settings.data_dir / _FILE
        kept = json.loads(path.read_text()) if path.exists() else {}
        fresh = {name: kept.get(name) or secrets.token_hex(32) for name in missing}
        if any(name not in kept for name in missing):
            _write_private(path, json.dumps({**kept, **fresh}, indent=1))
        settings = replace(
            settings,
            jwt_secret=settings.jwt_secret or fresh["jwt_secret"],
            api_key_secret=settings.api_key_secret or fresh["api_key_secret"],
            storage_encryption_key=settings.storage_encryption_key or fresh["storage_encryption_key"],
        )
    try:
        parse_encryption_key(settings.storage_encryption_key)
    except ValueError as error:
        raise BadSetting(str(error)) from error
    return settings


def _write_private(path: Path, text: str) -> None:
    """Replace `path` at once, never readable by others, never half written."""
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
