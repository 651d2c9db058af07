"""User-made providers."""

import msgspec

from admin_api.store import tables
from admin_api.store.collection import Collection


class NodeRow(msgspec.Struct, frozen=True):
    id: str
    prefix: str
    dialect: str
    base_url: str
    name: str
    allow_private: bool
    managed: bool
    created_at: float
    updated_at: float
    version: int = 1


nodes = Collection(tables.provider_nodes, NodeRow)
