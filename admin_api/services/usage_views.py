"""What was used, as the views show it: from roll-ups, never from rows."""

from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.services.key_rules import NANO
from admin_api.store import tables
from admin_api.store.connections import connections
from admin_api.store.keys import keys as all_keys
from admin_api.store.usage_sums import (
    DAY,
    HOUR,
    Kind,
    Sums,
    load_by_name,
    load_courses,
    load_latencies,
    load_series,
    load_sums,
    percentile,
)
from admin_api.store.usage_tops import load_top_keys

Range = Literal["1d", "7d", "30d", "90d", "ytd", "all"]
MOST_NAMES = 50
"""Names of a list, the dearest first."""
MOST_COURSES = 7
"""Names whose course is shown one by one; a chart has eight colours, and one is for the rest."""
_DAYS = {"1d": 1, "7d": 7, "30d": 30, "90d": 90}
_LISTS: dict[str, Kind] = {"byProvider": "provider", "byModel": "model", "byAccount": "connection", "byCombo": "combo"}


def begin_of(wanted: Range, now: float) -> float:
    """The first instant of a range, unix seconds: whole UTC days, and whole hours for one day."""
    if wanted == "1d":
        return now // HOUR * HOUR - DAY + HOUR
    if wanted == "ytd":
        return datetime(datetime.fromtimestamp(now, UTC).year, 1, 1, tzinfo=UTC).timestamp()
    if wanted == "all":
        return 0.0
    return now // DAY * DAY - (_DAYS[wanted] - 1) * DAY


async def analytics(connection: AsyncConnection, wanted: Range, now: float) -> dict[str, Any]:
    """One page of figures: sums, their course, and who used what."""
    since = begin_of(wanted, now)
    step = HOUR if wanted == "1d" else DAY
    year = await load_series(connection, now // DAY * DAY - 364 * DAY, DAY)
    shown: dict[str, Any] = {
        "range": wanted,
        "since": since,
        "summary": sums_view(await load_sums(connection, "all", since)),
        "trend": [{"at": at, **sums_view(sums)} for at, sums in await load_series(connection, since, step)],
        "activity": {_day(at): sums["requests"] for at, sums in year},
        "weekdays": _weekdays(year),
        "streakDays": _streak(year, now),
    }
    for name, kind in _LISTS.items():
        rows = await load_by_name(connection, kind, since, MOST_NAMES)
        shown[name] = await _named(connection, kind, rows)
    keys, as_of = await load_top_keys(connection, since, now, MOST_NAMES)
    shown["byApiKey"] = await _named(connection, "key", keys)
    shown["byApiKeyAsOf"] = as_of
    return shown


async def courses(connection: AsyncConnection, kind: Kind, wanted: Range, now: float) -> dict[str, Any]:
    """The course of the dearest names of a kind, by hour or day; keys by UTC day always."""
    since, step = begin_of(wanted, now), HOUR if wanted == "1d" else DAY
    if kind == "key":
        since, step = since // DAY * DAY, DAY
        rows, _ = await load_top_keys(connection, since, now, MOST_COURSES)
    else:
        rows = await load_by_name(connection, kind, since, MOST_COURSES)
    found = await load_courses(connection, since, step, kind, [name for name, _ in rows])
    named = await _named(connection, kind, rows)
    for one in named:
        one["trend"] = [{"at": at, **sums_view(sums)} for at, sums in found.get(one["name"], [])]
    return {"by": kind, "range": wanted, "since": since, "step": step, "courses": named}


async def _named(connection: AsyncConnection, kind: Kind, rows: list[tuple[str, Sums]]) -> list[dict[str, Any]]:
    """Rows with the name that people gave: what is summed by is an id where names change. A `label` of null is gone."""
    ids = [name for name, _ in rows]
    labels: dict[str, dict[str, Any]] = {}
    if kind == "connection":
        found = await connections.load_all(connection, tables.provider_connections.c.id.in_(ids))
        labels = {row.id: {"label": row.name, "provider": row.provider} for row in found}
    elif kind == "key":
        labels = {
            row.id: {"label": row.name} for row in await all_keys.load_all(connection, tables.api_keys.c.id.in_(ids))
        }
    has_labels = kind in ("connection", "key")
    gone: dict[str, Any] = {"label": None} if has_labels else {}
    return [{"name": name, **labels.get(name, gone), **sums_view(sums)} for name, sums in rows]


async def provider_metrics(connection: AsyncConnection, since: float) -> dict[str, Any]:
    """Requests, successes and times of each provider. Times in ms, to a fifth; None = nothing was answered."""
    rows = await load_by_name(connection, "provider", since, 1000)
    times = await load_latencies(connection, since)
    return {
        name: {
            "totalRequests": sums["requests"],
            "totalSuccesses": sums["requests"] - sums["errors"],
            "successRate": (sums["requests"] - sums["errors"]) / sums["requests"] if sums["requests"] else None,
            "durationMs": percentiles(times.get((name, "duration"), {})),
            "firstByteMs": percentiles(times.get((name, "first_byte"), {})),
        }
        for name, sums in rows
        if name
    }


async def telemetry(connection: AsyncConnection, since: float) -> dict[str, Any]:
    """Times of all providers together and of each."""
    times = await load_latencies(connection, since)
    shown: dict[str, Any] = {}
    for measure, name in (("duration", "durationMs"), ("first_byte", "firstByteMs")):
        total: dict[int, int] = {}
        for (_, found), counts in times.items():
            if found == measure:
                for bucket, count in counts.items():
                    total[bucket] = total.get(bucket, 0) + count
        shown[name] = percentiles(total)
    providers = sorted({provider for provider, _ in times})
    shown["providers"] = {
        provider: {
            "durationMs": percentiles(times.get((provider, "duration"), {})),
            "firstByteMs": percentiles(times.get((provider, "first_byte"), {})),
        }
        for provider in providers
    }
    return shown


def percentiles(counts: dict[int, int]) -> dict[str, float | int | None]:
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    return {"count": sum(counts.values()), **{name: percentile(counts, share) for name, share in shares.items()}}


def sums_view(sums: Sums) -> dict[str, Any]:
    """Requests, tokens and money of some span. `unpriced` requests are in no sum of money."""
    return {
        "requests": sums["requests"],
        "errors": sums["errors"],
        "estimated": sums["estimated"],
        "tokens": {
            "input": sums["input_tokens"],
            "output": sums["output_tokens"],
            "cacheRead": sums["cache_read_tokens"],
            "cacheWrite": sums["cache_write_tokens"],
            "reasoning": sums["reasoning_tokens"],
        },
        "costNanoUsd": sums["cost_nano_usd"],
        "costUsd": sums["cost_nano_usd"] / NANO,
        "unpriced": sums["unpriced"],
        "cached": sums["cached"],
        "saved": {
            "input": sums["saved_input_tokens"],
            "output": sums["saved_output_tokens"],
            "nanoUsd": sums["saved_nano_usd"],
        },
    }


def _day(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def _weekdays(year: list[tuple[int, Sums]]) -> list[int]:
    """Requests of a year by weekday, Monday first."""
    found = [0] * 7
    for at, sums in year:
        found[datetime.fromtimestamp(at, UTC).weekday()] += sums["requests"]
    return found


def _streak(year: list[tuple[int, Sums]], now: float) -> int:
    """Days in a row with a request, up to today or yesterday."""
    busy = {at for at, sums in year if sums["requests"]}
    day = int(now) // DAY * DAY
    if day not in busy:
        day -= DAY
    streak = 0
    while day in busy:
        streak += 1
        day -= DAY
    return streak
