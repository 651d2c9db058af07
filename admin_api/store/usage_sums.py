"""Roll-ups: what was used in a span of time, by each of what views ask; and how long providers took.

Hours (span `h`) rise in the transaction that inserts the rows. Once an hour is over it is added to its day (`d`), its
block of days (`b`) and to all time (`e`), and stays as a part of these (`p`) while views of hours may ask for it
(`fold_hours`). So each use is in `h` or in all of the others, and a range is a few rows of a name, however long it is.
Keys, of which there may be 100,000, have days and all time only, and these rise at once. Latencies are counts in
buckets that grow by a fifth, so they add up over any range; a percentile is good to 10 %.
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
BLOCK = 16 * DAY
"""A range has fewer rows than days of two blocks and its number of blocks: at 16 the fewest for some months to a year."""
PARTS_KEPT_S = 2 * DAY
"""Only views of the last day show hours; longer ones are read from days and blocks."""
BUCKETS_A_DOUBLING = 4
LAST_BUCKET = 1 + 22 * BUCKETS_A_DOUBLING
"""An hour and more. Bucket 0 is less than 1 ms."""

_LEDGER_LOCK = 0x6F6D6E6A

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


async def fold_hours(connection: AsyncConnection, now: float) -> None:
    """Make the hours that were over an hour before `now` (unix seconds) part of longer spans. What comes late is folded next time."""
    await take_ledger_turn(connection)
    over = (int(now) // HOUR - 1) * HOUR
    forgotten = int(now - PARTS_KEPT_S) // DAY * DAY
    for table, key, sums in ((_sums, _KEY, SUMS), (_latencies, _LATENCY_KEY, ("count",))):
        ready = (table.c.span == "h") & (table.c.at < over)
        for span, at in (
            ("p", table.c.at),
            ("d", _begin(table.c.at, DAY)),
            ("b", _begin(table.c.at, BLOCK)),
            ("e", sa.literal_column("0")),
        ):
            await _add_up(connection, table, key, sums, ready, span, at)
        await connection.execute(sa.delete(table).where(ready))
        await connection.execute(sa.delete(table).where(table.c.span == "p", table.c.at < forgotten))


async def _add_up(
    connection: AsyncConnection,
    table: sa.Table,
    key: Sequence[str],
    sums: Sequence[str],
    where: sa.ColumnElement[bool],
    span: str,
    at: sa.ColumnElement[int],
) -> None:
    kept = [table.c[name] for name in key if name not in ("span", "at")]
    summed = [sa.func.sum(table.c[name]).label(name) for name in sums]
    named: list[sa.ColumnElement[Any]] = [sa.literal_column(f"'{span}'").label("span"), at.label("at")]
    chosen = sa.select(*named, *kept, *summed).where(where).group_by(*([] if span == "e" else [at]), *kept)
    statement = insert_or(connection, table)
    statement = statement.from_select([column.name for column in chosen.selected_columns], chosen)
    risen = {name: table.c[name] + statement.excluded[name] for name in sums}
    await connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=risen))


def _begin(at: sa.ColumnElement[int], step_s: int) -> sa.ColumnElement[int]:
    """Spelled out: PostgreSQL does not know that what is grouped by is what is asked for when values are bound apart."""
    return at - at % sa.literal_column(str(step_s))


async def take_ledger_turn(connection: AsyncConnection) -> None:
    """Writers of the ledger and its sums go one after the other, as SQLite's do, until the transaction ends."""
    if connection.dialect.name == "postgresql":
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LEDGER_LOCK)))


async def load_sums(connection: AsyncConnection, kind: Kind, since: float, name: str | None = None) -> Sums:
    """All of a kind together, or one name of it, since an instant (unix seconds); keys since its day."""
    chosen = _since(kind, since, SUMS, () if name is None else (_sums.c.name == name,))
    return _read((await connection.execute(sa.select(*_summed(chosen)))).one())


async def load_by_name(
    connection: AsyncConnection, kind: Kind, since: float, limit: int, *, is_unpriced: bool = False
) -> list[tuple[str, Sums]]:
    """Each name of a kind, the dearest first, then the busiest. `is_unpriced`: only those that used what has no price."""
    chosen = _since(kind, since, ("name", "cost_nano_usd", "requests", "unpriced"))
    cost, requests = sa.func.sum(chosen.c.cost_nano_usd), sa.func.sum(chosen.c.requests)
    first = sa.select(chosen.c.name).group_by(chosen.c.name)
    if is_unpriced:
        first = first.having(sa.func.sum(chosen.c.unpriced) > 0).where(chosen.c.name != "")
    names = list(
        (await connection.execute(first.order_by(cost.desc(), requests.desc(), chosen.c.name).limit(limit))).scalars()
    )
    # All sums of those alone: fourteen of them for every name would take four times as long.
    found = await load_named(connection, kind, since, names)
    return [(name, found[name]) for name in names]


async def load_named(connection: AsyncConnection, kind: Kind, since: float, names: Sequence[str]) -> dict[str, Sums]:
    """Of the given names those that were used since an instant (unix seconds); keys since its day."""
    shown = _since(kind, since, ("name", *SUMS), (_sums.c.name.in_(names),))
    statement = sa.select(shown.c.name, *_summed(shown)).group_by(shown.c.name)
    return {row[0]: _read(row) for row in await connection.execute(statement)}


async def load_prompt_cached(
    connection: AsyncConnection, kind: Kind, since: float, limit: int
) -> list[tuple[str, int, int, int]]:
    """(name, input, read from and written to providers' prompt caches), the most read first."""
    names = ("name", "input_tokens", "cache_read_tokens", "cache_write_tokens")
    chosen = _since(kind, since, names, (_sums.c.name != "",))
    read = sa.func.sum(chosen.c.cache_read_tokens)
    statement = (
        sa.select(chosen.c.name, sa.func.sum(chosen.c.input_tokens), read, sa.func.sum(chosen.c.cache_write_tokens))
        .group_by(chosen.c.name)
        .order_by(read.desc(), chosen.c.name)
        .limit(limit)
    )
    return [(row[0], int(row[1]), int(row[2]), int(row[3])) for row in await connection.execute(statement)]


async def load_series(
    connection: AsyncConnection, since: float, step_s: int, kind: Kind = "all", name: str = ""
) -> list[tuple[int, Sums]]:
    """Sums of each hour or day (`step_s`) that had any, oldest first. Hours are there for the newest days only."""
    return (await load_courses(connection, since, step_s, kind, [name])).get(name, [])


async def load_courses(
    connection: AsyncConnection, since: float, step_s: int, kind: Kind, names: Sequence[str]
) -> dict[str, list[tuple[int, Sums]]]:
    """By name what `load_series` gives of one; those that were used only. Keys have days alone: `since` is the first of one."""
    stretches = _hours(since) if step_s == HOUR else _days(since)
    chosen = _union(_sums, stretches, ("at", "name", *SUMS), (_sums.c.kind == kind, _sums.c.name.in_(names)))
    at = _begin(chosen.c.at, step_s)
    statement = sa.select(chosen.c.name, at, *_summed(chosen)).group_by(chosen.c.name, at).order_by(at)
    found: dict[str, list[tuple[int, Sums]]] = {}
    for row in await connection.execute(statement):
        found.setdefault(str(row[0]), []).append((int(row[1]), _read(row)))
    return found


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


async def load_latencies(connection: AsyncConnection, since: float) -> dict[tuple[str, str], dict[int, int]]:
    """(provider, measure) → bucket → how many."""
    names = ("provider", "measure", "bucket")
    chosen = _union(_latencies, _range(since), (*names, "count"))
    provider_of, measure_of, bucket_of_rows = (chosen.c[name] for name in names)
    statement = sa.select(provider_of, measure_of, bucket_of_rows, sa.func.sum(chosen.c["count"]))
    statement = statement.group_by(provider_of, measure_of, bucket_of_rows)
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


_Stretch = tuple[str, int, int | None]
"""Rows of a span that begin in `[from, before)`; None = open."""


def _range(since: float) -> list[_Stretch]:
    """The fewest rows that hold what was used since an instant: each use is in one of them."""
    if since <= 0:
        return [("h", 0, None), ("e", 0, None)]
    first_block = -(-int(since) // BLOCK) * BLOCK
    return [("b", first_block, None), *_days(since, first_block)]


def _days(since: float, before: int | None = None) -> list[_Stretch]:
    begins = int(since)
    first_day = -(-begins // DAY) * DAY
    days: list[_Stretch] = [("h", begins, None), ("d", first_day, before)]
    # Of a day that is not whole the hours; they are there for the newest days only.
    return days if first_day == begins else [*days, ("p", begins, first_day)]


def _hours(since: float) -> list[_Stretch]:
    return [("h", int(since), None), ("p", int(since), None)]


def _since(
    kind: Kind, since: float, columns: Sequence[str], where: Sequence[sa.ColumnElement[bool]] = ()
) -> sa.Subquery:
    """Rows of a kind to be added up."""
    stretches = [("d", int(since) // DAY * DAY, None)] if kind == "key" else _range(since)
    return _union(_sums, stretches, columns, (_sums.c.kind == kind, *where))


def _union(
    table: sa.Table,
    stretches: Sequence[_Stretch],
    columns: Sequence[str],
    where: Sequence[sa.ColumnElement[bool]] = (),
) -> sa.Subquery:
    parts = []
    for span, begins, before in stretches:
        part = sa.select(*(table.c[name] for name in columns)).where(*where, table.c.span == span, table.c.at >= begins)
        parts.append(part if before is None else part.where(table.c.at < before))
    return sa.union_all(*parts).subquery()


def _summed(chosen: sa.Subquery) -> list[sa.ColumnElement[int]]:
    return [sa.func.coalesce(sa.func.sum(chosen.c[name]), 0).label(name) for name in SUMS]


def _read(row: sa.Row[*tuple[Any, ...]]) -> Sums:
    return {name: int(row._mapping[name]) for name in SUMS}
