"""What an operator sets for all requests and for the dashboard: one row a field, named as the API names it."""

from typing import Any

import msgspec

from admin_api.store import tables
from admin_api.store.collection import Collection


class SettingRow(msgspec.Struct, frozen=True):
    name: str
    value: Any
    managed: bool
    version: int = 1


settings_rows = Collection(tables.settings, SettingRow)
