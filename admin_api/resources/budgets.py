"""What keys may spend, and have spent: `/api/usage/budget`, in the seed's words. A key has one budget, of one period.

What is spent is what the ledger has, which is behind the requests by a second or so; `take` obeys the counter in Redis.
"""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from admin_api.http.answers import saved
from admin_api.http.errors import bad_request, not_found
from admin_api.http.paging import MAX_PAGE, Cursor, Limit, load_page
from admin_api.http.versions import Version, check_version
from admin_api.services.budget_spending import spent_by_key
from admin_api.services.key_rules import NANO, nano_usd
from admin_api.services.ownership import editable
from admin_api.services.plane import Plane
from admin_api.store.keys import KeyRow, has_budget, keys
from gateway.domain.budget import period_of

_Usd = Annotated[float, msgspec.Meta(ge=0, le=1_000_000_000)] | None
_PERIODS: dict[str, Literal["daily", "weekly", "monthly", "total"]] = {
    "daily_limit_usd": "daily",
    "weekly_limit_usd": "weekly",
    "monthly_limit_usd": "monthly",
    "total_limit_usd": "total",
}


class BudgetBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """One limit above 0 at most; none = no budget any more. `warningThreshold` is a part of it, 0..1, 0 = never."""

    api_key_id: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    daily_limit_usd: _Usd = None
    weekly_limit_usd: _Usd = None
    monthly_limit_usd: _Usd = None
    total_limit_usd: _Usd = None
    warning_threshold: Annotated[float, msgspec.Meta(ge=0, le=1)] | msgspec.UnsetType = msgspec.UNSET
    version: Version | msgspec.UnsetType = msgspec.UNSET


@get("/api/usage/budget")
async def get_budget(
    plane: NamedDependency[Plane],
    api_key_id: Annotated[str, QueryParameter(name="apiKeyId", max_length=100)] = "",
    limit: Limit = None,
    cursor: Cursor = "",
) -> dict[str, Any]:
    """Of one key; without one, of those that have a budget, the newest first, 500 of them without a limit."""
    now = plane.now()
    async with plane.database.read() as connection:
        if api_key_id:
            row = await keys.get(connection, api_key_id)
            if row is None:
                raise not_found("key", api_key_id)
            return _view(row, (await spent_by_key(connection, [row], now)).get(row.id, 0), now)
        rows, after = await load_page(connection, keys, limit or MAX_PAGE, cursor, *has_budget(), is_reversed=True)
        spent = await spent_by_key(connection, rows, now)
    return {"budgets": [_view(row, spent.get(row.id, 0), now) for row in rows], "nextCursor": after}


@post("/api/usage/budget", status_code=200)
async def set_budget(data: JSONBody[BudgetBody], plane: NamedDependency[Plane]) -> Response[dict[str, Any]]:
    limits = {period: usd for name, period in _PERIODS.items() if (usd := getattr(data, name))}
    if len(limits) > 1:
        raise bad_request(*((f"{period}LimitUsd", "a key has one budget, of one period") for period in limits))
    period, usd = next(iter(limits.items()), ("", 0.0))
    now = plane.now()
    async with plane.change() as change:
        row = editable(await keys.get(change.connection, data.api_key_id), "key", data.api_key_id)
        check_version(row.version, None, data.version)
        share = row.warn_share if data.warning_threshold is msgspec.UNSET else data.warning_threshold
        row = msgspec.structs.replace(
            row,
            budget_nano_usd=nano_usd(usd),
            budget_period=period,
            warn_share=share,
            version=row.version + 1,
            revision=change.revision,
            updated_at=now,
        )
        await keys.replace(change.connection, row)
        spent = (await spent_by_key(change.connection, [row], now)).get(row.id, 0)
    return saved(_view(row, spent, now), await plane.published(), version=row.version)


def _view(row: KeyRow, spent: int, now: float) -> dict[str, Any]:
    period = period_of(row.budget_period, now)
    limit = row.budget_nano_usd
    limits = {
        f"{name}LimitUsd": limit / NANO if limit and row.budget_period == name else 0.0 for name in _PERIODS.values()
    }
    return {
        "apiKeyId": row.id,
        "apiKeyName": row.name,
        **limits,
        "period": row.budget_period if limit else "",
        "warningThreshold": row.warn_share,
        "spentUsd": spent / NANO if limit else 0.0,
        "remainingUsd": max(0, limit - spent) / NANO,
        "warningReached": bool(limit and row.warn_share and spent >= limit * row.warn_share),
        "exceeded": bool(limit and spent >= limit),
        "resetsAt": period.ends_at or None if limit else None,
        "version": row.version,
    }


handlers = (get_budget, set_budget)
