"""Calendar periods of budgets, in UTC, and the budgets of tiers. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta


class Period(NamedTuple):
    """One day, week (from Monday), month or all time. `ends_at` is the first instant after it, unix seconds.

    `name` is the same for all workers, and another for each period. All time has no end: 0.
    """

    name: str
    starts_at: float
    ends_at: float

    def has(self, at: float) -> bool:
        return self.starts_at <= at and (at < self.ends_at or not self.ends_at)


TOTAL = Period("total", 0.0, 0.0)


def period_of(kind: str, at: float) -> Period:
    """The period that holds the instant `at`. A `kind` that is not known (or empty) is a month."""
    if kind == "total":
        return TOTAL
    day = datetime.fromtimestamp(at, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if kind == "daily":
        start, end = day, day + timedelta(days=1)
    elif kind == "weekly":
        start = day - timedelta(days=day.weekday())
        end = start + timedelta(days=7)
    else:
        start = day.replace(day=1)
        end = (start + timedelta(days=32)).replace(day=1)
    name = f"{kind}-{start:%Y-%m-%d}" if kind in ("daily", "weekly") else f"monthly-{start:%Y-%m}"
    return Period(name, start.timestamp(), end.timestamp())


def told_spent(nano_usd: int, most: int, kind: str) -> str:
    """How much of a budget is used, for a header: `0.8123 of 1.0000 USD daily`. Money of open requests is in it."""
    return f"{nano_usd / 1e9:.4f} of {most / 1e9:.4f} USD {kind or 'monthly'}"


class TierBudget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all requests to connections of one tier may cost together in a period. A request under way may go above it."""

    usd: Annotated[float, Meta(gt=0, le=1_000_000_000)]
    period: Literal["daily", "weekly", "monthly", "total"] = "monthly"

    @property
    def nano_usd(self) -> int:
        return round(self.usd * 1_000_000_000)


class TierBudgets(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename={"api_key": "api-key"}
):
    """By tier; None = no budget. A tier whose budget is spent is left out where tiers are walked (`auto/tiered`)."""

    subscription: TierBudget | None = None
    api_key: TierBudget | None = None
    cheap: TierBudget | None = None
    free: TierBudget | None = None

    def by_tier(self) -> dict[str, TierBudget]:
        """Those there are."""
        named = {"subscription": self.subscription, "api-key": self.api_key, "cheap": self.cheap, "free": self.free}
        return {tier: budget for tier, budget in named.items() if budget is not None}
