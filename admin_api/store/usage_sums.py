"""Roll-ups: what was used in an hour, a day and all time, by each of what views ask; and how long providers took.

They rise in the transaction that inserts the rows. Hours become days once they are old (`fold_hours`), so a range is
the sum of the hours and the days in it. Keys, of which there may be 100,000, have days and all time only. Latencies
are counts in buckets that grow by a fifth, so they add up over any range; a percentile is good to 10 %.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.store import tables
from admin_api.store.upsert import insert_or

Kind = Literal["all", "provider", "model", "connection", "combo", "key"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Measure = Literal["first_byte", "duration"]

TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
SAVED = ("saved_input_tokens", "saved_output_tokens", "saved_nano_usd")
SUMS = ("requests", "errors", "estimated", *TOKENS, "cost_nano_usd", "unpriced", "cached", *SAVED)
HOUR, DAY = 3600, 86_400
BUCKETS_A_DOUBLING = 4
LAST_BUCKET = 1 + 22 * BUCKETS_A_DOUBLING
"""An hour and more. Bucket 0 is less than 1 ms."""

_sums = tables.usage_sums
_latencies = tables.latency_counts
_KEY = ("kind", "span", "at", "name")
_LATENCY_KEY = ("span", "at", "provider", "measure", "bucket")

Sums = dict[str, int]
"""SUMS by name."""


def _raising(table: sa.Table, key: Sequence[str], sums: Sequence[str]) -> str:
    """The statement as text: the library's own way costs as much a row as all the rest of a record."""
    columns = (*key, *sums)
    risen = ", ".join(f"{name} = {name} + excluded.{name}" for name in sums)
    return (
        f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}) "  # noqa: S608  (our own words)
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {risen}"
    )


_RAISE = {
    _sums.name: _raising(_sums, _KEY, SUMS),
    _latencies.name: _raising(_latencies, _LATENCY_KEY, ("count",)),
}


def bucket_of(ms: float) -> int:
    """The bucket of a time in ms."""
    return 0 if ms < 1 else min(LAST_BUCKET, 1 + int(math.log2(ms) * BUCKETS_A_DOUBLING))


def most_of(bucket: int) -> float:
    """The longest time of a bucket, ms."""
    return float(2 ** (bucket / BUCKETS_A_DOUBLING))


async def raise_sums(
    connection: AsyncConnection, added: Sequence[Mapping[str, Any]], removed: Sequence[Mapping[str, Any]]
) -> None:
    """Count rows of `request_records` that were inserted, and take out those that were deleted."""
    fine: dict[tuple[Any, ...], list[int]] = {}
    latencies: dict[tuple[Any, ...], int] = {}
    for sign, rows in ((1, added), (-1, removed)):
        for row in rows:
            hour_at = int(row["at"]) // HOUR * HOUR
            provider = row["provider"]
            name = (hour_at, provider, row["model"], row["connection_id"], row["combo"], row["key_id"])
            sums = fine.get(name)
            if sums is None:
                sums = fine[name] = [0] * len(SUMS)
            _add(sums, row, sign)
            if row["first_byte_ms"] is not None and provider and not row["cache"]:
                for measure, ms in (("first_byte", row["first_byte_ms"]), ("duration", row["duration_ms"])):
                    bucket = ("h", hour_at, provider, measure, bucket_of(ms))
                    latencies[bucket] = latencies.get(bucket, 0) + sign
    if fine:
        await _write_sums(connection, fine)
        await _write_latencies(connection, latencies)


def _add(sums: list[int], row: Mapping[str, Any], sign: int) -> None:
    """In the order of SUMS. Most of what might be counted is nothing, and is passed over."""
    sums[0] += sign
    if row["status"] >= 400 or row["error"]:
        sums[1] += sign
    if row["is_estimated"]:
        sums[2] += sign
    sums[3] += sign * row["input_tokens"]
    sums[4] += sign * row["output_tokens"]
    if row["cache_read_tokens"]:
        sums[5] += sign * row["cache_read_tokens"]
    if row["cache_write_tokens"]:
        sums[6] += sign * row["cache_write_tokens"]
    if row["reasoning_tokens"]:
        sums[7] += sign * row["reasoning_tokens"]
    cost = row["cost_nano_usd"]
    if cost is None:
        sums[9] += sign
    else:
        sums[8] += sign * cost
    if row["cache"]:
        sums[10] += sign
        for index, name in enumerate(SAVED):
            sums[11 + index] += sign * row[name]


async def _write_sums(connection: AsyncConnection, fine: Mapping[tuple[Any, ...], list[int]]) -> None:
    coarse: dict[tuple[str, str, int, str], list[int]] = {}
    for (hour_at, provider, model, connection_id, combo, key_id), sums in fine.items():
        names = [
            ("all", "h", hour_at, ""),
            ("provider", "h", hour_at, provider),
            ("model", "h", hour_at, f"{provider}/{model}" if provider else ""),
            ("connection", "h", hour_at, connection_id),
            ("key", "d", hour_at // DAY * DAY, key_id),
            ("key", "e", 0, key_id),
        ]
        if combo:
            names.append(("combo", "h", hour_at, combo))
        for name in names:
            there = coarse.get(name)
            coarse[name] = list(sums) if there is None else list(map(int.__add__, there, sums))
    # Sorted, so that two writers take the rows' locks in the same order.
    await _raise(connection, _sums, _KEY, SUMS, [(*name, *coarse[name]) for name in sorted(coarse)])


async def _raise(
    connection: AsyncConnection, table: sa.Table, key: Sequence[str], sums: Sequence[str], rows: list[tuple[Any, ...]]
) -> None:
    """Add `rows` (the key's columns, then the sums') to what is there."""
    if connection.dialect.name == "sqlite":
        await connection.exec_driver_sql(_RAISE[table.name], rows)
        return
    statement = insert_or(connection, table)
    risen = {name: table.c[name] + statement.excluded[name] for name in sums}
    values = [dict(zip((*key, *sums), row, strict=True)) for row in rows]
    await connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=risen), values)


async def _write_latencies(connection: AsyncConnection, counts: Mapping[tuple[Any, ...], int]) -> None:
    changed = sorted(name for name, count in counts.items() if count)
    if not changed:
        return
    await _raise(connection, _latencies, _LATENCY_KEY, ("count",), [(*name, counts[name]) for name in changed])


async def fold_hours(connection: AsyncConnection, before: float) -> None:
    """Make the hours before the day of `before` (unix seconds) part of their days. What comes late is folded next time."""
    limit = int(before) // DAY * DAY
    for table, key, sums in ((_sums, _KEY, SUMS), (_latencies, _LATENCY_KEY, ("count",))):
        old = (table.c.span == "h") & (table.c.at < limit)
        day = (table.c.at - table.c.at % DAY).label("at")
        kept = [table.c[name] for name in key if name not in ("span", "at")]
        chosen = sa.select(
            sa.literal("d").label("span"), day, *kept, *(sa.func.sum(table.c[name]).label(name) for name in sums)
        )
        chosen = chosen.where(old).group_by(day, *kept)
        statement = insert_or(connection, table)
        statement = statement.from_select([column.name for column in chosen.selected_columns], chosen)
        risen = {name: table.c[name] + statement.excluded[name] for name in sums}
        await connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=risen))
        await connection.execute(sa.delete(table).where(old))


async def load_sums(
    connection: AsyncConnection, kind: Kind, since: float, until: float, name: str | None = None
) -> Sums:
    """All of a kind together, or one name of it, in `[since, until)`."""
    statement = sa.select(*_summed()).where(*_within(kind, since, until))
    if name is not None:
        statement = statement.where(_sums.c.name == name)
    return _read((await connection.execute(statement)).one())


async def load_by_name(
    connection: AsyncConnection, kind: Kind, since: float, until: float, limit: int, *, is_unpriced: bool = False
) -> list[tuple[str, Sums]]:
    """Each name of a kind, the dearest first, then the busiest. `is_unpriced`: only those that used what has no price."""
    cost, requests = sa.func.sum(_sums.c.cost_nano_usd), sa.func.sum(_sums.c.requests)
    within = _within(kind, since, until)
    first = sa.select(_sums.c.name).where(*within).group_by(_sums.c.name)
    if is_unpriced:
        first = first.having(sa.func.sum(_sums.c.unpriced) > 0).where(_sums.c.name != "")
    names = list(
        (await connection.execute(first.order_by(cost.desc(), requests.desc(), _sums.c.name).limit(limit))).scalars()
    )
    # All sums of those alone: fourteen of them for every name would take four times as long.
    statement = sa.select(_sums.c.name, *_summed()).where(*within, _sums.c.name.in_(names)).group_by(_sums.c.name)
    found = {row[0]: _read(row) for row in await connection.execute(statement)}
    return [(name, found[name]) for name in names]


async def load_prompt_cached(
    connection: AsyncConnection, kind: Kind, since: float, until: float, limit: int
) -> list[tuple[str, int, int, int]]:
    """(name, input, read from and written to providers' prompt caches), the most read first."""
    read = sa.func.sum(_sums.c.cache_read_tokens)
    statement = (
        sa.select(_sums.c.name, sa.func.sum(_sums.c.input_tokens), read, sa.func.sum(_sums.c.cache_write_tokens))
        .where(*_within(kind, since, until), _sums.c.name != "")
        .group_by(_sums.c.name)
        .order_by(read.desc(), _sums.c.name)
        .limit(limit)
    )
    return [(row[0], int(row[1]), int(row[2]), int(row[3])) for row in await connection.execute(statement)]


async def load_series(
    connection: AsyncConnection, since: float, until: float, step_s: int, kind: Kind = "all", name: str = ""
) -> list[tuple[int, Sums]]:
    """Sums of each hour or day (`step_s`) that had any, oldest first. Hours are there for the newest days only."""
    at = (_sums.c.at - _sums.c.at % step_s).label("begins_at")
    statement = sa.select(at, *_summed()).where(*_within(kind, since, until), _sums.c.name == name)
    return [(int(row[0]), _read(row)) for row in await connection.execute(statement.group_by(at).order_by(at))]


async def load_ever(connection: AsyncConnection, names: Sequence[str]) -> dict[str, Sums]:
    """All that keys used since the first record, by id."""
    statement = sa.select(_sums.c.name, *(_sums.c[name] for name in SUMS)).where(
        _sums.c.kind == "key", _sums.c.span == "e", _sums.c.at == 0, _sums.c.name.in_(names)
    )
    return {row[0]: _read(row) for row in await connection.execute(statement)}


async def load_top_ever(connection: AsyncConnection, limit: int) -> list[tuple[str, Sums]]:
    """The keys that cost most since the first record."""
    statement = sa.select(_sums.c.name, *(_sums.c[name] for name in SUMS)).where(
        _sums.c.kind == "key", _sums.c.span == "e", _sums.c.at == 0
    )
    statement = statement.order_by(_sums.c.cost_nano_usd.desc(), _sums.c.requests.desc(), _sums.c.name).limit(limit)
    return [(row[0], _read(row)) for row in await connection.execute(statement)]


async def load_spent(connection: AsyncConnection, keys: Sequence[str], days: Sequence[int] | None) -> dict[str, int]:
    """Nano-dollars of keys in the given days (their first seconds), None = ever; only those with a row."""
    span, instants = ("e", [0]) if days is None else ("d", list(days))
    statement = (
        sa.select(_sums.c.name, sa.func.sum(_sums.c.cost_nano_usd))
        .where(_sums.c.kind == "key", _sums.c.span == span, _sums.c.at.in_(instants), _sums.c.name.in_(keys))
        .group_by(_sums.c.name)
    )
    return {row[0]: int(row[1]) for row in await connection.execute(statement)}


async def load_latencies(
    connection: AsyncConnection, since: float, until: float
) -> dict[tuple[str, str], dict[int, int]]:
    """(provider, measure) → bucket → how many."""
    statement = (
        sa.select(_latencies.c.provider, _latencies.c.measure, _latencies.c.bucket, sa.func.sum(_latencies.c.count))
        .where(_latencies.c.span.in_(("h", "d")), _latencies.c.at >= int(since), _latencies.c.at < int(until))
        .group_by(_latencies.c.provider, _latencies.c.measure, _latencies.c.bucket)
    )
    found: dict[tuple[str, str], dict[int, int]] = {}
    for provider, measure, bucket, count in await connection.execute(statement):
        found.setdefault((provider, measure), {})[bucket] = int(count)
    return found


def percentile(counts: Mapping[int, int], share: float) -> float | None:
    """The time in ms that `share` of what was counted did not exceed; None when nothing was."""
    wanted = sum(counts.values()) * share
    seen = 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= wanted and counts[bucket] > 0:
            return most_of(bucket)
    return None


def _summed() -> list[sa.ColumnElement[int]]:
    return [sa.func.coalesce(sa.func.sum(_sums.c[name]), 0).label(name) for name in SUMS]


def _within(kind: Kind, since: float, until: float) -> tuple[sa.ColumnElement[bool], ...]:
    spans = ("d",) if kind == "key" else ("h", "d")
    begins = int(since) // DAY * DAY if kind == "key" else int(since)
    return (_sums.c.kind == kind, _sums.c.span.in_(spans), _sums.c.at >= begins, _sums.c.at < math.ceil(until))


def _read(row: sa.Row[*tuple[Any, ...]]) -> Sums:
    return {name: int(row._mapping[name]) for name in SUMS}
