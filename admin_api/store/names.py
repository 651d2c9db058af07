"""Aliases and fallback chains: other names for models."""

import msgspec

from admin_api.store import tables
from admin_api.store.collection import Collection


class AliasRow(msgspec.Struct, frozen=True):
    pattern: str
    target: str
    managed: bool
    version: int = 1


class ChainRow(msgspec.Struct, frozen=True):
    name: str
    models: list[str]
    managed: bool
    version: int = 1


aliases = Collection(tables.aliases, AliasRow)
chains = Collection(tables.fallback_chains, ChainRow)
