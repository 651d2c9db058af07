"""What an operator sets for all requests and for the dashboard: one row a field, named as the API names it."""

from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.store import tables
from admin_api.store.collection import Collection


class SettingRow(msgspec.Struct, frozen=True):
    name: str
    value: Any
    managed: bool
    version: int = 1


settings_rows = Collection(tables.settings, SettingRow)


async def is_setup_complete(connection: AsyncConnection) -> bool:
    """Whether the first-start guide has been gone through or left, or was never to be offered."""
    row = await settings_rows.get(connection, "setupComplete")
    return row is None or bool(row.value)
