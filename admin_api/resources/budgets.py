"""What keys may spend, and have spent: `/api/usage/budget`, in the seed's words. A key has one budget, or two of different periods.

What is spent is what the ledger has, which is behind the requests by a second or so; `take` obeys the counter in Redis.
"""

from collections.abc import Mapping
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
from admin_api.services.key_rules import NANO, nano_usd, with_budgets
from admin_api.services.ownership import editable
from admin_api.services.plane import Plane
from admin_api.store.keys import KeyBudget, KeyRow, has_budget, keys
from gateway.domain.budget import period_of

_Usd = Annotated[float, msgspec.Meta(ge=0, le=1_000_000_000)] | None
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
MOST_BUDGETS = 2
_PERIODS: dict[str, Literal["daily", "weekly", "monthly", "total"]] = {
    "daily_limit_usd": "daily",
    "weekly_limit_usd": "weekly",
    "monthly_limit_usd": "monthly",
    "total_limit_usd": "total",
}


class BudgetBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """One or two limits above 0; none = no budget any more. `warningThreshold` is a part of each, 0..1, 0 = never.

    Of two, `secondWarningThreshold` is that of the longer period, when it is another.
    """

    api_key_id: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    daily_limit_usd: _Usd = None
    weekly_limit_usd: _Usd = None
    monthly_limit_usd: _Usd = None
    total_limit_usd: _Usd = None
    warning_threshold: _Share | msgspec.UnsetType = msgspec.UNSET
    second_warning_threshold: _Share | msgspec.UnsetType = msgspec.UNSET
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
            return _view(row, await spent_by_key(connection, [row], now), now)
        rows, after = await load_page(connection, keys, limit or MAX_PAGE, cursor, *has_budget(), is_reversed=True)
        spent = await spent_by_key(connection, rows, now)
    return {"budgets": [_view(row, spent, now) for row in rows], "nextCursor": after}


@post("/api/usage/budget", status_code=200)
async def set_budget(data: JSONBody[BudgetBody], plane: NamedDependency[Plane]) -> Response[dict[str, Any]]:
    limits = {period: usd for name, period in _PERIODS.items() if (usd := getattr(data, name))}
    if len(limits) > MOST_BUDGETS:
        raise bad_request(*((f"{period}LimitUsd", "a key has at most two budgets") for period in limits))
    now = plane.now()
    async with plane.change() as change:
        row = editable(await keys.get(change.connection, data.api_key_id), "key", data.api_key_id)
        check_version(row.version, None, data.version)
        shares = _shares(row, data)
        given = [
            KeyBudget(nano_usd(usd), period, share)
            for (period, usd), share in zip(limits.items(), shares, strict=False)
        ]
        row = with_budgets(msgspec.structs.replace(row, warn_share=shares[0]), given)
        row = msgspec.structs.replace(row, version=row.version + 1, revision=change.revision, updated_at=now)
        await keys.replace(change.connection, row)
        spent = await spent_by_key(change.connection, [row], now)
    return saved(_view(row, spent, now), await plane.published(), version=row.version)


def _shares(row: KeyRow, data: BudgetBody) -> tuple[float, float]:
    first = row.warn_share if data.warning_threshold is msgspec.UNSET else data.warning_threshold
    if data.second_warning_threshold is not msgspec.UNSET:
        return first, data.second_warning_threshold
    return first, row.second_warn_share if data.warning_threshold is msgspec.UNSET else first


def _view(row: KeyRow, spent: Mapping[tuple[str, str], int], now: float) -> dict[str, Any]:
    """In the seed's words the first budget; `budgets` are all of them."""
    shown = [_budget_view(budget, spent.get((row.id, budget.period), 0), now) for budget in row.budgets]
    limits = {one["period"]: one["limitUsd"] for one in shown}
    first = shown[0] if shown else _budget_view(KeyBudget(0, "", row.warn_share), 0, now)
    return {
        "apiKeyId": row.id,
        "apiKeyName": row.name,
        **{f"{name}LimitUsd": limits.get(name, 0.0) for name in _PERIODS.values()},
        **{name: value for name, value in first.items() if name != "limitUsd"},
        "budgets": shown,
        "version": row.version,
    }


def _budget_view(budget: KeyBudget, spent: int, now: float) -> dict[str, Any]:
    limit = budget.nano_usd
    return {
        "period": budget.period,
        "limitUsd": limit / NANO,
        "warningThreshold": budget.warn_share,
        "spentUsd": spent / NANO,
        "remainingUsd": max(0, limit - spent) / NANO,
        "warningReached": bool(limit and budget.warn_share and spent >= limit * budget.warn_share),
        "exceeded": bool(limit and spent >= limit),
        "resetsAt": period_of(budget.period, now).ends_at or None if limit else None,
    }


handlers = (get_budget, set_budget)
