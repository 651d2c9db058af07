"""Write settings: those of the config file are not ours to change, and each remembers when it changed last."""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.http.errors import conflict
from admin_api.store.database import Change
from admin_api.store.settings import SettingRow, settings_rows
from gateway.config.file_shape import BackupPlan
from gateway.domain.bodies import LogSettings

PROXIES = "proxies"
BACKUPS = "backups"
LOGS = "logs"


async def load_settings(connection: AsyncConnection) -> dict[str, SettingRow]:
    """What is set, by name."""
    return {row.name: row for row in await settings_rows.load_all(connection)}


async def keep_settings(change: Change, given: Mapping[str, Any]) -> None:
    """Raises 409 when one of them is managed by the config file; nothing is written then."""
    rows = await load_settings(change.connection)
    managed = [name for name in given if name in rows and rows[name].managed]
    if managed:
        raise conflict(f"managed by the config file: {', '.join(managed)}; change them there")
    for name, value in given.items():
        row = SettingRow(name, value, managed=False, version=change.revision)
        if name not in rows:
            await settings_rows.insert(change.connection, row)
        elif rows[name].value != value:
            await settings_rows.replace(change.connection, row)


def version_of(rows: Mapping[str, SettingRow]) -> int:
    """Of all settings together: when one of them changed last."""
    return max((row.version for row in rows.values()), default=0)


async def load_proxies(connection: AsyncConnection) -> dict[str, dict[str, str]]:
    """Proxies of levels: `{"proxy": sealed, "hint": without credentials}` by provider id, and under "" for all."""
    row = await settings_rows.get(connection, PROXIES)
    return dict(row.value) if row is not None else {}


async def load_backup_plan(connection: AsyncConnection) -> BackupPlan:
    """When backups are made by themselves."""
    row = await settings_rows.get(connection, BACKUPS)
    return msgspec.convert(row.value, BackupPlan) if row is not None else BackupPlan()


async def load_log_settings(connection: AsyncConnection) -> LogSettings:
    """How long requests' rows and bodies are kept."""
    row = await settings_rows.get(connection, LOGS)
    return msgspec.convert(row.value, LogSettings) if row is not None else LogSettings()
