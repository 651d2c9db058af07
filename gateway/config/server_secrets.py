"""The server's own secrets: given by the environment, else made on first start and kept in the data dir (0600)."""

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gateway.config.envelope import parse_encryption_key
from gateway.config.settings import BadSetting, Settings

_FILE = "secrets.json"
_FIELDS = ("jwt_secret", "api_key_secret", "storage_encryption_key")


def with_server_secrets(settings: Settings, *, may_create: bool) -> Settings:
    """Fill the three secrets that the environment did not give.

    `may_create` is False beside a database that replicas share: there all must have the same, so what was neither given nor
    kept raises BadSetting.
    """
    path = settings.data_dir / _FILE
    kept: dict[str, str] = {}
    if not all(getattr(settings, name) for name in _FIELDS) and path.exists():
        kept = json.loads(path.read_text())
        settings = _filled(settings, kept)
    if not may_create:
        return with_shared_secrets(settings)
    if fresh := {name: secrets.token_hex(32) for name in _FIELDS if not getattr(settings, name)}:
        _write_private(path, json.dumps({**kept, **fresh}, indent=1))
        settings = _filled(settings, fresh)
    _parse_key(settings)
    return settings


def with_shared_secrets(settings: Settings) -> Settings:
    """The secrets of one of many replicas: two must be there, sessions' is drawn from them. Raises BadSetting."""
    missing = [name for name in ("api_key_secret", "storage_encryption_key") if not getattr(settings, name)]
    if missing:
        raise BadSetting(f"{', '.join(name.upper() for name in missing)} must be set: all replicas share them")
    # All replicas have the encryption key, so all draw the same secret for sessions from it.
    drawn = hmac.digest(_parse_key(settings), b"jwt", hashlib.sha256).hex()
    return replace(settings, jwt_secret=settings.jwt_secret or drawn)


def _filled(settings: Settings, found: Mapping[str, str]) -> Settings:
    """With what was found, where nothing was given."""
    return replace(
        settings,
        jwt_secret=settings.jwt_secret or found.get("jwt_secret", ""),
        api_key_secret=settings.api_key_secret or found.get("api_key_secret", ""),
        storage_encryption_key=settings.storage_encryption_key or found.get("storage_encryption_key", ""),
    )


def _parse_key(settings: Settings) -> bytes:
    try:
        return parse_encryption_key(settings.storage_encryption_key)
    except ValueError as error:
        raise BadSetting(str(error)) from error


def _write_private(path: Path, text: str) -> None:
    """Replace `path` at once, never readable by others, never half written."""
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
