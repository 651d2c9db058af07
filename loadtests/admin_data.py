"""Fills a SQLite file of the control plane with many records and keys: `python -m loadtests.admin_data FOLDER [RECORDS] [KEYS]`.

The rows are what the ledger job would have written: 90 days of requests of many keys at some providers, and every
roll-up of them. The roll-ups are made by the same statements in SQL, since 5,000,000 records one by one take an hour.
"""

import asyncio
import random
import sqlite3
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from admin_api.store.database import FILE_NAME, open_database
from admin_api.store.records import COLUMNS
from admin_api.store.usage_sums import BLOCK, BUCKETS_A_DOUBLING, DAY, HOUR, LAST_BUCKET, PARTS_KEPT_S, SUMS
from gateway.domain.ids import uuid7

RECORDS, KEYS, DAYS = 5_000_000, 100_000, 90
PROVIDERS = tuple(f"provider-{number}" for number in range(12))
MODELS = tuple(f"model-{number}" for number in range(40))
CONNECTIONS = tuple(f"connection-{number:03}" for number in range(300))
COMBOS = ("", "", "", "always-on", "cheap-first")
_BATCH = 50_000
_AT = "CAST(at AS INTEGER) / {step} * {step}"
_ATTEMPTS = '[{"provider":"provider-1","connection_id":"connection-001","model":"model-1","outcome":"committed","duration_ms":812.5}]'


def fill(folder: Path, records: int = RECORDS, keys: int = KEYS, now: float | None = None) -> Path:
    """Make the file. Gives its path."""
    now = time.time() if now is None else now
    asyncio.run(_migrate(folder))
    path = folder / FILE_NAME
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-500000", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
    indexes = _drop_indexes(connection)
    connection.execute("BEGIN")
    _write_keys(connection, keys, now)
    insert = f"INSERT INTO request_records ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
    rows = _rows(records, keys, now)
    done = 0
    while batch := list(islice(rows, _BATCH)):
        connection.executemany(insert, batch)
        done += len(batch)
        print(f"\r{done:,} records", end="", flush=True, file=sys.stderr)
    connection.execute("COMMIT")
    connection.execute("BEGIN")
    for statement in indexes:
        connection.execute(statement)
    _write_sums(connection, now)
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("ANALYZE")
    connection.close()
    print(f"\n{path.stat().st_size / 1e9:.1f} GB", file=sys.stderr)
    return path


async def _migrate(folder: Path) -> None:
    database = open_database("", folder)
    await database.migrate()
    await database.close()


def _drop_indexes(connection: sqlite3.Connection) -> list[str]:
    """Indexes are built faster at the end. Gives the statements that make them again."""
    found = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'request_records' AND sql IS NOT NULL"
    ).fetchall()
    for name, _ in found:
        connection.execute(f"DROP INDEX {name}")
    return [statement for _, statement in found]


def _write_keys(connection: sqlite3.Connection, keys: int, now: float) -> None:
    columns = {row[1]: row for row in connection.execute("PRAGMA table_info(api_keys)")}
    given: dict[str, Any] = {
        "allowed_models": "[]",
        "budget_period": "monthly",
        "priority": "interactive",
        "version": 1,
    }
    kinds = {"VARCHAR": "", "TEXT": "", "JSON": "[]", "BIGINT": 0, "INTEGER": 0, "BOOLEAN": 1, "DOUBLE": now}
    blank = [given.get(name, kinds.get(row[2].split("(")[0], "")) for name, row in columns.items()]
    places = {name: index for index, name in enumerate(columns)}
    blank[places["managed"]] = 0

    def rows() -> Iterator[list[Any]]:
        for number in range(keys):
            row = list(blank)
            row[places["id"]] = row[places["name"]] = f"key-{number:06}"
            row[places["digest"]] = f"{number:064x}"
            row[places["created_at"]] = now - number
            row[places["budget_nano_usd"]] = 50_000_000_000 if number % 2 else 0
            row[places["revision"]] = 1
            yield row

    connection.executemany(f"INSERT INTO api_keys VALUES ({', '.join('?' * len(columns))})", rows())
    connection.execute("UPDATE revision SET value = 1")  # as after an edit: without one nothing is published


def _rows(records: int, keys: int, now: float) -> Iterator[tuple[Any, ...]]:
    """Oldest first, as they would have come; ids sort by time."""
    chance = random.Random(1)
    step = DAYS * DAY / records
    began = now - DAYS * DAY
    pick, uniform, many = chance.choice, chance.random, chance.randrange
    for number in range(records):
        at = began + number * step
        is_failed = uniform() < 0.02
        key = many(keys) if uniform() < 0.5 else many(max(1, keys // 100))
        row_id = uuid7(int(at * 1000), number.to_bytes(10, "big"))
        ms = chance.lognormvariate(6.5, 0.8)
        provider = pick(PROVIDERS)
        yield (
            row_id, at, "final", "w-1", "/v1/chat/completions", "openai_chat", "a/name", "", f"key-{key:06}",
            f"key-{key:06}", pick(COMBOS), provider, pick(CONNECTIONS), pick(MODELS), 1, 502 if is_failed else 200,
            "upstream_error" if is_failed else "", 500 + number % 1500, 20 + number % 400, 100, 0, 10, 0,
            None if provider == "provider-11" else 1_000_000 + number % 9_000_000, _ATTEMPTS, None if is_failed else ms / 3, ms,
            2000, 1000, None, "", 0, 0, 0, 0,
        )  # fmt: skip


def _write_sums(connection: sqlite3.Connection, now: float) -> None:
    sums = {
        "requests": "COUNT(*)", "errors": "SUM(status >= 400 OR error <> '')", "estimated": "SUM(is_estimated)",
        "cost_nano_usd": "SUM(COALESCE(cost_nano_usd, 0))", "unpriced": "SUM(cost_nano_usd IS NULL)",
        "cached": "SUM(cache <> '')",
    }  # fmt: skip
    summed = ", ".join(sums.get(name, f"SUM({name})") for name in SUMS)
    fresh = (int(now) // HOUR - 1) * HOUR
    names = {
        "all": "''", "provider": "provider", "model": "provider || '/' || model", "connection": "connection_id",
        "combo": "combo", "key": "key_id",
    }  # fmt: skip
    for kind, name in names.items():
        spans = (
            [("d", DAY, "1"), ("e", 0, "1")] if kind == "key" else [("h", HOUR, f"at >= {fresh}"), *_folded(fresh, now)]
        )
        for span, step, where in spans:
            at = _AT.format(step=step) if step else "at * 0"
            named = " AND combo <> ''" if kind == "combo" else ""
            connection.execute(
                f"INSERT INTO usage_sums (kind, span, at, name, {', '.join(SUMS)}) "
                f"SELECT '{kind}', '{span}', {at}, {name}, {summed} FROM request_records WHERE {where}{named} GROUP BY {at}, {name}"
            )
        print(f"\n{kind}", end="", flush=True, file=sys.stderr)
    for measure, column in (("first_byte", "first_byte_ms"), ("duration", "duration_ms")):
        bucket = f"CASE WHEN {column} < 1 THEN 0 ELSE MIN({LAST_BUCKET}, 1 + CAST(LOG2({column}) * {BUCKETS_A_DOUBLING} AS INTEGER)) END"
        for span, step, where in (("h", HOUR, f"at >= {fresh}"), *_folded(fresh, now)):
            at = _AT.format(step=step) if step else "at * 0"
            connection.execute(
                f"INSERT INTO latency_counts (span, at, provider, measure, bucket, count) "
                f"SELECT '{span}', {at}, provider, '{measure}', {bucket}, COUNT(*) FROM request_records "
                f"WHERE {where} AND first_byte_ms IS NOT NULL GROUP BY {at}, provider, {bucket}"
            )


def _folded(fresh: int, now: float) -> list[tuple[str, int, str]]:
    """Span, seconds and rows of what the job has made of the hours before `fresh`."""
    parts = int(now - PARTS_KEPT_S) // DAY * DAY
    spans = [("d", DAY), ("b", BLOCK), ("e", 0)]
    return [("p", HOUR, f"at >= {parts} AND at < {fresh}"), *((span, step, f"at < {fresh}") for span, step in spans)]


if __name__ == "__main__":
    arguments = sys.argv[1:]
    Path(arguments[0]).mkdir(parents=True, exist_ok=True)
    fill(Path(arguments[0]), *(int(one) for one in arguments[1:3]))
