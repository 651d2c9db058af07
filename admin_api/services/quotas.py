"""How much of each limit is used, as bars with resets: of connections (ours and their providers'), keys and tiers."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.services.budget_spending import spent_by_key
from admin_api.services.key_rules import NANO
from admin_api.store.connections import ConnectionRow
from admin_api.store.keys import KeyRow
from admin_api.store.limit_defaults import LimitDefaults, is_protected
from gateway.domain.budget import TierBudgets, period_of
from gateway.state.money_admin import read_tiers_spent
from gateway.state.paces_admin import Pace, read_paces
from gateway.state.rest_table import RestState
from gateway.state.rests_admin import read_rests
from gateway.state.told_limits import Told, ToldWindow, read_told

_EXHAUSTING = ("quota", "rate_limited")
"""Why a connection rests when its provider says that it has had enough."""


class Standing(msgspec.Struct, frozen=True):
    """What shared state knows of one connection."""

    pace: Pace
    told: Told | None
    rests: tuple[RestState, ...]


async def standings(redis: Redis, ids: Sequence[str]) -> list[Standing]:
    """In the order of the ids. Raises redis.exceptions.RedisError."""
    paces, told = await read_paces(redis, ids), await read_told(redis, ids)
    by_id: dict[str, list[RestState]] = {}
    for state in await read_rests(redis):
        if state.kind == "cooldown" and state.why in _EXHAUSTING:
            by_id.setdefault(state.connection_id, []).append(state)
    return [
        Standing(pace, one, tuple(by_id.get(connection_id, ())))
        for connection_id, pace, one in zip(ids, paces, told, strict=True)
    ]


def connection_quota(row: ConnectionRow, defaults: LimitDefaults, standing: Standing) -> dict[str, Any]:
    """Bars of one connection; none where it has no limit and its provider tells of none."""
    own = defaults if is_protected(row) else LimitDefaults()
    pace, told = standing.pace, standing.told
    bars = []
    if rpm := row.rpm or own.rpm:
        bars.append(_bar("requestsPerMinute", "requests", pace.starts, rpm, None))
    if most := row.max_concurrency or own.max_concurrency:
        bars.append(_bar("openRequests", "requests", pace.open, most, None))
    if told is not None:
        windows = (("providerRequests", "requests", told.requests), ("providerTokens", "tokens", told.tokens))
        bars += [_told_bar(name, unit, window, told.at) for name, unit, window in windows if window is not None]
    return {
        "connectionId": row.id,
        "provider": row.provider,
        "name": row.name,
        "isActive": row.is_active,
        "quotas": bars,
        "exhausted": [
            {"model": state.model or None, "reason": state.why, "until": state.until} for state in standing.rests
        ],
        "learnedGap": {"gapMs": pace.learned_gap_ms, "until": pace.learned_until_ms / 1000}
        if pace.learned_gap_ms
        else None,
        "adaptiveLimit": pace.adaptive_limit or None,
    }


async def key_quotas(connection: AsyncConnection, rows: Sequence[KeyRow], now: float) -> list[dict[str, Any]]:
    """Budgets of keys, as the ledger knows what they spent."""
    spent = await spent_by_key(connection, rows, now)
    return [
        {
            "apiKeyId": row.id,
            "apiKeyName": row.name,
            "quotas": [
                {
                    **_money_bar(spent.get((row.id, budget.period), 0), budget.nano_usd, budget.period, now),
                    "warningThreshold": budget.warn_share,
                }
                for budget in row.budgets
            ],
        }
        for row in rows
    ]


async def tier_quotas(redis: Redis, stored: Mapping[str, Any], now: float) -> list[dict[str, Any]]:
    """Budgets of tiers, as workers told what was spent. Raises redis.exceptions.RedisError."""
    budgets = msgspec.convert(stored, TierBudgets).by_tier()
    counters = [(tier, period_of(budget.period, now)) for tier, budget in budgets.items()]
    spent = await read_tiers_spent(redis, counters) if counters else []
    return [
        {"tier": tier, "quotas": [_money_bar(nano_usd, budget.nano_usd, budget.period, now)]}
        for (tier, budget), nano_usd in zip(budgets.items(), spent, strict=True)
    ]


def _told_bar(name: str, unit: str, window: ToldWindow, told_at: float) -> dict[str, Any]:
    used = max(0.0, window.limit - window.remaining)
    return {**_bar(name, unit, used, window.limit, window.resets_at), "toldAt": told_at}


def _money_bar(spent: int, limit: int, period: str, now: float) -> dict[str, Any]:
    resets_at = period_of(period, now).ends_at or None
    return {**_bar("budget", "usd", spent / NANO, limit / NANO, resets_at), "period": period}


def _bar(name: str, unit: str, used: float, limit: float, resets_at: float | None) -> dict[str, Any]:
    """`resetsAt` is unix seconds; null = it rolls, or has no end."""
    left = max(0.0, limit - used)
    return {
        "name": name,
        "unit": unit,
        "used": used,
        "limit": limit,
        "remaining": left,
        "remainingPercentage": round(100 * left / limit, 1) if limit else 0.0,
        "resetsAt": resets_at,
    }
