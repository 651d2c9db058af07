"""Reads a seed system's `storage.sqlite`: a copy of it, never the file itself. Columns that are not there are read as None.

What it looks like (tables, columns, namespaces of `key_value`) is told in docs/moving.md.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from admin_api.store.backup_files import BadDatabase, check_intact

REQUIRED_TABLES = frozenset({"provider_connections", "provider_nodes", "combos", "api_keys"})
MAX_ROWS = 100_000
"""Of one table; a file with more is refused."""

LEFT_BEHIND = ("usage_history", "call_logs", "proxy_logs", "domain_budgets", "semantic_cache")

Row = dict[str, Any]


class SeedData(msgspec.Struct, frozen=True):
    """Rows by column, and documents of `key_value` by namespace and key. `left_behind`: rows of what is not taken."""

    nodes: list[Row]
    connections: list[Row]
    combos: list[Row]
    keys: list[Row]
    chains: list[Row]
    documents: dict[str, dict[str, Any]]
    left_behind: dict[str, int]

    def __repr__(self) -> str:
        return "SeedData()"


def is_seed(tables: frozenset[str]) -> bool:
    """Whether a database with these tables is a seed system's (and not one of ours)."""
    return tables >= REQUIRED_TABLES and "alembic_version" not in tables


def read_seed(path: Path) -> SeedData:
    """All of it that can be moved. `path` is a copy. Raises BadDatabase."""
    tables = check_intact(path)
    if not is_seed(tables):
        missing = ", ".join(sorted(REQUIRED_TABLES - tables))
        raise BadDatabase(f"it is not a database of the seed system: it lacks {missing}" if missing else "it is ours")
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.row_factory = sqlite3.Row
            return SeedData(
                nodes=_rows(connection, "provider_nodes"),
                connections=_rows(connection, "provider_connections"),
                combos=_rows(connection, "combos"),
                keys=_rows(connection, "api_keys"),
                chains=_rows(connection, "domain_fallback_chains") if "domain_fallback_chains" in tables else [],
                documents=_documents(_rows(connection, "key_value")) if "key_value" in tables else {},
                left_behind={
                    name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # noqa: S608  (constants)
                    for name in LEFT_BEHIND
                    if name in tables
                },
            )
    except sqlite3.Error as error:
        raise BadDatabase(f"it cannot be read: {error}") from error


def _rows(connection: sqlite3.Connection, table: str) -> list[Row]:
    found = [dict(row) for row in connection.execute(f"SELECT * FROM {table} LIMIT {MAX_ROWS + 1}")]  # noqa: S608  (constants)
    if len(found) > MAX_ROWS:
        raise BadDatabase(f"{table} has more than {MAX_ROWS} rows")
    return found


def _documents(rows: list[Row]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for namespace, key, value in _readable(rows):
        found.setdefault(namespace, {})[key] = value
    return found


def _readable(rows: list[Row]) -> Iterator[tuple[str, str, Any]]:
    for row in rows:
        try:
            yield str(row["namespace"]), str(row["key"]), msgspec.json.decode(str(row["value"]))
        except (msgspec.DecodeError, KeyError):
            continue
