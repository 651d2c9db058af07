"""Named lists of models with a strategy."""

from typing import Any

import msgspec

from admin_api.store import tables
from admin_api.store.collection import Collection


class ComboRow(msgspec.Struct, frozen=True):
    """`models` holds `{"model": name, "weight": number}`."""

    id: str
    name: str
    models: list[dict[str, Any]]
    strategy: str
    config: dict[str, Any]
    is_active: bool
    managed: bool
    created_at: float
    updated_at: float
    version: int = 1


combos = Collection(tables.combos, ComboRow, tables.combos.c.name)
